"""Draw the training compute of notable AI models against their publication date."""

import polars as pl

from footprint.core import logs
from footprint.report import notable_models
from footprint.report.figures import models as figure
from footprint.report.figures import style

logs.log_to_file(snakemake.log[0])

frame = pl.read_parquet(snakemake.input.models)
style.save_figure(
    figure.plot(frame, provenance=notable_models.list_provenance(frame)), snakemake.output
)
