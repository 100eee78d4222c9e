"""Write the notable AI models and their training compute, and the rejected rows of their list."""

from footprint.core import logs
from footprint.report.notable_models import download
from footprint.schemas.raw import RejectedRows
from footprint.schemas.usage import NotableModels
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

params = snakemake.params
listed = download.load_models(file=params.file, url=params.url)
write_table(NotableModels, listed.models, snakemake.output.models)
write_table(RejectedRows, listed.rejected, snakemake.output.rejected)
