"""Write the exact energy and the true kind of each job of the simulated site."""

from footprint.core import logs
from footprint.schemas.validation import TrueKinds, Truth
from footprint.schemas.writing import write_table
from footprint.sources.registry import open_site

logs.log_to_file(snakemake.log[0])

site = open_site(snakemake.params.source, site=snakemake.params.site)
write_table(Truth, site.truth(), snakemake.output.truth)
write_table(TrueKinds, site.true_kinds(), snakemake.output.kinds)
