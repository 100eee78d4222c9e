"""Write the total energy of each job under each gate."""

import polars as pl

from footprint.core import logs
from footprint.energy import gate_policies
from footprint.schemas.energy import GatePolicies
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

inputs, params = snakemake.input, snakemake.params
found = gate_policies.compare_gates(
    (pl.read_parquet(path) for path in inputs.segments),
    pl.read_parquet(inputs.gaps),
    pl.read_parquet(inputs.node_allocations),
    pl.read_parquet(inputs.node_power, columns=["node", "idle_power_w"]),
    pl.read_parquet(inputs.job_energy, columns=["job_id", "total_kwh"]),
    gate=params.gate,
    jobs_complete=params.jobs_complete,
)
write_table(GatePolicies, found, snakemake.output.by_gate)
