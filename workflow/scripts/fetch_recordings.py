"""Write the recordings for the validation, from the repository of their authors."""

from footprint.core import logs
from footprint.validation import repository

logs.log_to_file(snakemake.log[0])

params = snakemake.params
written = repository.fetch_recordings(params.repository, params.commit, snakemake.output.folder)
print(*written, sep="\n")
