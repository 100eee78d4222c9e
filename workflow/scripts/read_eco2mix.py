"""Write the carbon intensity of the study's hours, and the rejected rows of its files."""

from footprint.core import calendar, logs
from footprint.labels import precedence
from footprint.levels import eco2mix
from footprint.schemas.raw import RejectedRows
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
hourly = eco2mix.read_study_intensity(snakemake.input.files, start=start, end=end)
precedence.log_warnings(
    f"carbon.eco2mix: {reason} ({n_rows}, {example})"
    for reason, n_rows, example in hourly.rejected.select("reason", "n_rows", "example").iter_rows()
)
hourly.intensity.write_parquet(snakemake.output.intensity)
write_table(RejectedRows, hourly.rejected, snakemake.output.rejected)
