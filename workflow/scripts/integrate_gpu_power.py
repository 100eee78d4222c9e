"""Write the energy of the GPUs that each job held on a cluster, by the GPUs' own readings."""

import polars as pl

from footprint import device_use, logs, tables, windows

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
pieces = pl.read_parquet(snakemake.input.gates)
table = device_use.gpu_power(
    list(snakemake.input.devices),
    device_use.of_cluster(pieces, snakemake.wildcards.cluster, snakemake.params.node_pattern),
    start=start,
    end=end,
)
tables.write(tables.GpuPower, table, snakemake.output.gpu_power)
