"""Write the hardware of every node that the source describes."""

from footprint import schemas
from footprint.core import logs
from footprint.sources.registry import open_site

logs.log_to_file(snakemake.log[0])

params, download = snakemake.params, snakemake.config["download"]
site = open_site(params.source, site=params.site, download=download)
schemas.write_table(schemas.Nodes, site.nodes(), snakemake.output.nodes)
