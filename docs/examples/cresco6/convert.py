"""Write the public records of CRESCO6 as tables of the source `generic`.

    python docs/examples/cresco6/convert.py C6EnPLS tables

C6EnPLS is a folder with `jobs_data.csv.gz` and `sensors/*.tsv.gz` of
https://github.com/Reference-IMe/C6EnPLS (CC0; Artioli et al., Future Internet 2025, 17, 203). Jobs
without sensor files are left out: the records have power during jobs alone.
"""

import sys
from pathlib import Path

import polars as pl

source, tables = map(Path, sys.argv[1:3])
tables.mkdir(parents=True, exist_ok=True)
sensors = pl.concat(
    pl.read_csv(
        path,
        separator="\t",
        columns=["jobid", "nodename", "timestamp_measure", "sys_power", "dcenergy"],
        schema_overrides={"sys_power": pl.String, "dcenergy": pl.String},
    )
    for path in sorted((source / "sensors").glob("*_measures.tsv*"))
)
jobs = pl.read_csv(source / "jobs_data.csv.gz", infer_schema_length=None)
measured = jobs.filter(pl.col("jobid").is_in(sensors["jobid"].unique().implode()))
measured.select(
    job_id="jobid",
    user=pl.lit("enea"),  # the records do not name people
    name="jobname",
    started_at="start_ts",
    stopped_at="end_ts",
    nodes="nodes",  # 48*cresco6x051:48*cresco6x114
).write_csv(tables / "jobs.csv")
sensors.select(
    node="nodename", timestamp="timestamp_measure", power_w="sys_power", energy_kwh="dcenergy"
).write_csv(tables / "power.csv")
of_jobs = measured["nodes"].str.extract_all(r"cresco6x\d+").explode()
pl.concat([of_jobs, sensors["nodename"]]).unique().sort().to_frame("node").with_columns(
    n_cores=48, n_cpus=2, n_threads=48, memory_gib=192, cpu_model=pl.lit("Intel Xeon Platinum 8160")
).write_csv(tables / "nodes.csv")
print(f"{len(measured)} of {len(jobs)} jobs have power, on {sensors['nodename'].n_unique()} nodes")
