"""Write the exact energy and the true kind of each job of the simulated site."""

from footprint import schemas
from footprint.core import logs
from footprint.sources.registry import open_site

logs.log_to_file(snakemake.log[0])

site = open_site(snakemake.params.source, site=snakemake.params.site)
schemas.write_table(schemas.Truth, site.truth(), snakemake.output.truth)
schemas.write_table(schemas.TrueKinds, site.true_kinds(), snakemake.output.kinds)
