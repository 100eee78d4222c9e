"""Write the energy of the GPUs that each job held on a cluster, by the GPUs' own readings."""

import polars as pl

from footprint.core import calendar, logs
from footprint.estimators import device_use
from footprint.schemas.estimates import GpuPower
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
allocations = pl.read_parquet(snakemake.input.gpu_allocations)
table = device_use.integrate_gpu_power(
    list(snakemake.input.devices),
    device_use.allocations_on_cluster(
        allocations, snakemake.wildcards.cluster, snakemake.params.node_pattern
    ),
    start=start,
    end=end,
)
write_table(GpuPower, table, snakemake.output.gpu_power)
