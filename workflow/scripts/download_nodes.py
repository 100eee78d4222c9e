"""Write the hardware of every node that the source describes."""

from footprint import logs, tables
from footprint.site import open_site

logs.to_file(snakemake.log[0])

site = open_site(snakemake.params.source, site=snakemake.params.site)
tables.write(tables.Nodes, site.nodes(), snakemake.output.nodes)
