"""Write a readers' table by the function that its rule names."""

from footprint.core import logs
from footprint.report import rendering
from footprint.report.tables import formats

logs.log_to_file(snakemake.log[0])

table = rendering.render(snakemake.params.function, snakemake.input, snakemake.params)
formats.write_table(table, snakemake.output, provenance=snakemake.params.provenance)
