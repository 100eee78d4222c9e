"""Write the notable AI models and what their training took, and what of their list is not used."""

from footprint import logs, tables
from footprint.models import download
from footprint.tables.models import NotableModels

logs.to_file(snakemake.log[0])

params = snakemake.params
found = download.gather(file=params.file, url=params.url)
tables.write(NotableModels, found.models, snakemake.output.models)
tables.write(tables.SetAside, found.set_aside, snakemake.output.set_aside)
