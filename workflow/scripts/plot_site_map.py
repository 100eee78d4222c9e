"""Draw the sites of Grid'5000 on a map, with the studied one marked."""

from footprint.core import logs
from footprint.report.figures import site_map, style

logs.log_to_file(snakemake.log[0])

drawn = site_map.plot(site=snakemake.params.site, provenance=snakemake.params.provenance)
style.save_figure(drawn, snakemake.output)
