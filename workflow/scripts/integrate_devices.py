"""Write the energy of GPUs, and load and power of processors, of each job on a cluster."""

import polars as pl

from footprint.core import calendar, logs
from footprint.estimators import device_use
from footprint.schemas.estimates import CpuSeries, GpuPower
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

cluster, params = snakemake.wildcards.cluster, snakemake.params
start, end = calendar.study_window(params.start, params.end)
if snakemake.output.gpu_power:
    gpu_allocations = pl.read_parquet(snakemake.input.gpu_allocations)
    gpu_power = device_use.integrate_gpu_power(
        list(snakemake.input.devices),
        device_use.allocations_on_cluster(gpu_allocations, cluster, params.node_pattern),
        start=start,
        end=end,
    )
    write_table(GpuPower, gpu_power, snakemake.output.gpu_power)
if snakemake.output.cpu_series:
    node_allocations = pl.read_parquet(snakemake.input.node_allocations)
    cpu_series = device_use.integrate_cpu_series(
        device_use.allocations_on_cluster(node_allocations, cluster, params.node_pattern),
        pl.read_parquet(snakemake.input.hardware).filter(pl.col("cluster") == cluster),
        load=list(snakemake.input.load),
        package=list(snakemake.input.package),
        policy=params.policy,
        start=start,
        end=end,
    )
    write_table(CpuSeries, cpu_series, snakemake.output.cpu_series)
