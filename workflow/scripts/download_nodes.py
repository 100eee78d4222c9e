"""Write the hardware of every node that the source describes."""

from footprint.core import logs
from footprint.schemas.raw import Nodes
from footprint.schemas.writing import write_table
from footprint.sources.registry import open_site

logs.log_to_file(snakemake.log[0])

params, download = snakemake.params, snakemake.config["download"]
site = open_site(params.source, site=params.site, download=download)
write_table(Nodes, site.nodes(), snakemake.output.nodes)
