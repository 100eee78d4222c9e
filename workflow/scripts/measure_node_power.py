"""Write the idle and maximum power of each node of one cluster."""

import polars as pl

from footprint import logs, node_power, partitions, tables, windows
from footprint.integration import Calibration

logs.to_file(snakemake.log[0])

cluster, integration = snakemake.wildcards.cluster, snakemake.params.integration
start, end = windows.window(snakemake.params.start, snakemake.params.end)
read = partitions.reader(*snakemake.input.power)
studied = pl.col("timestamp").is_between(start, end, closed="left")
measured = node_power.measure(
    (
        (node, read(node).filter(studied))
        for node in partitions.nodes_of(snakemake.input.nodes, cluster)
    ),
    pl.read_parquet(snakemake.input.occupancy),
    off_threshold_w=integration["off_threshold_w"],
    calibration=Calibration.from_config(integration, cluster=cluster),
)
table = node_power.complete(
    measured,
    cluster=cluster,
    idle_power_w=integration["idle_power"].get(cluster),
    max_power_w=integration["max_power"].get(cluster),
)
tables.write(tables.NodePower, table, snakemake.output.node_power)
