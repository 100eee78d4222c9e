"""Write R of each paper and project with its sensitivities and budget, and energies of phases."""

import polars as pl

from footprint.core import calendar, logs
from footprint.labels import precedence
from footprint.phases import energies, recorded_time, reported_runs, study_ratios
from footprint.schemas.phases import PhaseEnergies, PhaseRatio, PhaseSensitivities
from footprint.schemas.totals import RatioUncertainty
from footprint.schemas.writing import write_table

logs.log_to_file(snakemake.log[0])

given, params = snakemake.input, snakemake.params
errors = energies.read_errors(given.job_nodes, given.job_energy, given.virtual_meter, params.meters)
jobs, allocations = pl.scan_parquet(given.jobs), pl.scan_parquet(given.allocations)
start, end = calendar.study_window(params.start, params.end)
found = study_ratios.ratios_of_study(
    pl.scan_parquet(given.runs),
    features=pl.scan_parquet(given.features),
    labelled=pl.scan_parquet(given.labels),
    levels=pl.scan_parquet(given.levels),
    recorded_time=recorded_time.recorded_time_of_jobs(
        jobs, allocations, errors.job_nodes, start=start, end=end
    ),
    errors=errors,
    jobs=jobs,
    papers_wanted=params.papers,
    by_gate=pl.scan_parquet(given.by_gate) if given.by_gate else None,
    gate=params.gate,
    site=params.site,
)
ratios = found.ratios.collect()
precedence.log_warnings(reported_runs.uncertain_messages(ratios))
write_table(PhaseRatio, ratios, snakemake.output.ratio)
write_table(PhaseSensitivities, found.sensitivities, snakemake.output.sensitivities)
write_table(PhaseEnergies, found.energies, snakemake.output.energies)
write_table(RatioUncertainty, found.budget, snakemake.output.uncertainty)
