"""Write the carbon intensity of the study's hours, and the rejected rows of its file."""

from footprint import schemas
from footprint.core import calendar, logs
from footprint.labels import precedence
from footprint.levels import carbon_intensity

logs.log_to_file(snakemake.log[0])

start, end = calendar.study_window(snakemake.params.start, snakemake.params.end)
hourly = carbon_intensity.read_study_intensity(snakemake.input.file, start=start, end=end)
precedence.log_warnings(
    f"carbon.eco2mix: {reason} ({n_rows}, {example})"
    for reason, n_rows, example in hourly.rejected.select("reason", "n_rows", "example").iter_rows()
)
hourly.intensity.write_parquet(snakemake.output.intensity)
schemas.write_table(schemas.RejectedRows, hourly.rejected, snakemake.output.rejected)
