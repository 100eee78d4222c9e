"""Draw a figure by the function that its rule names, and for one column where the rule says so."""

from footprint.core import logs
from footprint.report import rendering
from footprint.report.figures import style

logs.log_to_file(snakemake.log[0])

settings = dict(snakemake.params.items())
files = dict(snakemake.output.items())
column = [path for name, path in files.items() if name.startswith("column_")]

drawn = rendering.render(settings["function"], snakemake.input, settings)
style.save_figure(drawn, [path for path in files.values() if path not in column])
if column:
    settings["width_mm"] = style.COLUMN_MM
    drawn = rendering.render(settings["function"], snakemake.input, settings)
    style.save_figure(drawn, column)
