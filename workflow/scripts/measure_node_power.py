"""Write the idle and maximum power of each node of one cluster."""

import polars as pl

from footprint.core import calendar, logs
from footprint.energy import idle_power
from footprint.schemas.energy import NodePower
from footprint.schemas.writing import write_table
from footprint.sources import monthly_files
from footprint.sources.calibration import Calibration

logs.log_to_file(snakemake.log[0])

cluster, integration = snakemake.wildcards.cluster, snakemake.params.integration
start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
read = monthly_files.sample_reader(*snakemake.input.power)
studied = pl.col("timestamp").is_between(start, end, closed="left")
measured = idle_power.measure_node_power(
    (
        (node, read(node).filter(studied))
        for node in monthly_files.cluster_nodes(snakemake.input.nodes, cluster)
    ),
    pl.read_parquet(snakemake.input.occupancy),
    off_threshold_w=integration["off_threshold_w"],
    calibration=Calibration.from_config(integration, cluster=cluster),
)
table = idle_power.fill_node_power(
    measured,
    cluster=cluster,
    idle_power_w=integration["idle_power"].get(cluster),
    max_power_w=integration["max_power"].get(cluster),
)
write_table(NodePower, table, snakemake.output.node_power)
