"""Write the hardware of every node that the source describes."""

from footprint import logs, tables
from footprint.site import open_site

logs.to_file(snakemake.log[0])

params, download = snakemake.params, snakemake.config["download"]
site = open_site(params.source, site=params.site, download=download)
tables.write(tables.Nodes, site.nodes(), snakemake.output.nodes)
