"""Draw where the sites of Grid'5000 are, and which of them is studied."""

from footprint import logs
from footprint.figures import site_map, style

logs.to_file(snakemake.log[0])

drawn = site_map.plot(site=snakemake.params.site, provenance=snakemake.params.provenance)
style.save(drawn, snakemake.output)
