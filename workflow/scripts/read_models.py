"""Write the notable AI models and their training compute, and the rejected rows of their list."""

from footprint import schemas
from footprint.core import logs
from footprint.report.notable_models import download
from footprint.schemas.usage import NotableModels

logs.log_to_file(snakemake.log[0])

params = snakemake.params
listed = download.load_models(file=params.file, url=params.url)
schemas.write_table(NotableModels, listed.models, snakemake.output.models)
schemas.write_table(schemas.RejectedRows, listed.rejected, snakemake.output.rejected)
