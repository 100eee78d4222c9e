"""Write the recordings that the methods are compared on, from the repository of their authors."""

from footprint import logs
from footprint.validation import repository

logs.to_file(snakemake.log[0])

params = snakemake.params
written = repository.fetch(params.repository, params.commit, snakemake.output.folder)
print(*written, sep="\n")
