"""Validation: measured and estimated energies against references.

On the simulated site the stage takes measured and true energies of jobs (kWh) and gives their
errors. On recordings of a real node it takes runs and power samples (W) of two meters, and gives
the energy of each run (kWh) by each method, as a ratio to the energy of the wattmeter. The
recordings are from Jay et al., "An experimental comparison of software-based power meters" (CCGrid
2023); `docs/validation-gemini.md` has the results.

Modules:
    against_truth: Energies of the simulated site's jobs against metered and true ones.
    true_totals: Totals and ratios of the simulated site against their true values.
    against_wattmeter: BMC, tools and estimators against a wattmeter.
    against_counters: Energies of jobs by samples of power against counters of their nodes.
    line_fit: Line from the readings of one meter to those of a reference meter.
    recordings: Reader of the recordings.
    repository: Download of the recordings from their authors' repository.
"""
