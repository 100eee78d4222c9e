"""Write the exact energy of each job of the simulated site, and what each truly was."""

from footprint import logs, tables
from footprint.site import open_site

logs.to_file(snakemake.log[0])

site = open_site(snakemake.params.source, site=snakemake.params.site)
tables.write(tables.Truth, site.truth(), snakemake.output.truth)
tables.write(tables.TrueKinds, site.truth_of_jobs(), snakemake.output.kinds)
