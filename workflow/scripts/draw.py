"""Draw a figure by the function that its rule names."""

from footprint.core import logs
from footprint.report import rendering
from footprint.report.figures import style

logs.log_to_file(snakemake.log[0])

drawn = rendering.render(snakemake.params.function, snakemake.input, snakemake.params)
style.save_figure(drawn, snakemake.output)
