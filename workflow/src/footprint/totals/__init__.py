"""Totals: measured plus estimated energy of jobs and groups, with one 95 % interval.

The stage takes the energies of jobs on nodes (kWh, measured and estimated, by basis), their half
widths, the table of the virtual meter and the configured meters. It gives intervals of jobs and
groups, draws for ratios of groups, and the uncertainty budget (docs/uncertainty.md).

- `meter_error`: error of a cluster's meters, by default and by a calibration.
- `error_model`: errors of all clusters of a study.
- `student_t`: quantiles of Student's t distribution.
- `error_draws`: random draws of the errors, with a fixed seed.
- `group_amounts`: energies and variances of groups by cluster.
- `group_totals`: draws and intervals of groups.
- `closed_form`: intervals without draws, for tables of many rows.
- `job_totals`: totals and intervals of jobs and of jobs on nodes.
- `largest_shares`: bootstrap intervals of the part of the largest jobs.
- `known_total`: totals of rows of which a part may be unknown.
- `study_totals`: the functions that rules and later stages call.
- `group_parts`: draws of the parts of groups, with energy that moves between them.
- `group_ratios`: intervals of ratios of groups.
- `bootstrap`: intervals of shares over dependent cases.
- `budget`: the uncertainty budget of groups.
"""
