"""Write the notable AI models and what their training took."""

from footprint import logs, tables
from footprint.models import download
from footprint.tables.models import NotableModels

logs.to_file(snakemake.log[0])

params = snakemake.params
found = download.gather(file=params.file, url=params.url)
tables.write(NotableModels, found, snakemake.output.models)
