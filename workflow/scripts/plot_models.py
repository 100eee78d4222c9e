"""Draw the training compute of notable AI models against their publication."""

import polars as pl

from footprint import logs, models
from footprint.figures import models as figure
from footprint.figures import style

logs.to_file(snakemake.log[0])

frame = pl.read_parquet(snakemake.input.models)
style.save(figure.plot(frame, provenance=models.provenance(frame)), snakemake.output)
