"""Write the integrals of device series over the segments of one cluster and month."""

import polars as pl

from footprint.core import logs
from footprint.energy import device_integrals, node_hardware
from footprint.schemas.gaps import SegmentSeries
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

series = device_integrals.integrate_series(
    pl.read_parquet(snakemake.input.segments),
    node_hardware.summarise_hardware(pl.read_parquet(snakemake.input.hardware)),
    devices=list(snakemake.input.devices),
    load=list(snakemake.input.load),
)
write_table(SegmentSeries, series, snakemake.output.series)
