"""Write the carbon intensity of the study's hours, and what of its file cannot be used."""

from footprint import eco2mix, logs, tables, told, windows

logs.to_file(snakemake.log[0])

start, end = windows.window(snakemake.params.start, snakemake.params.end)
found = eco2mix.load(snakemake.input.file, start=start, end=end)
told.warn(
    f"carbon.eco2mix: {reason} ({n_rows}, {example})"
    for reason, n_rows, example in found.set_aside.select("reason", "n_rows", "example").iter_rows()
)
found.intensity.write_parquet(snakemake.output.intensity)
tables.write(tables.SetAside, found.set_aside, snakemake.output.set_aside)
