"""Figures of the results, as PDF, SVG and PNG.

A module takes tables of `footprint.schemas` (kWh, h, W) and draws one figure: `figure_title`
returns its title, `plot` the figure. Only this package imports matplotlib and seaborn.

- `active_users`: people with a job in the last 12 months, over time
- `busiest_week`: choice of the week of `node_week`
- `concentration`: Lorenz curves, and jobs by duration
- `distributions`: seaborn, for the figures of distributions
- `energy_by_class`: energy and time of each cluster by class
- `energy_over_time`: energy and time of the site by class, over time
- `energy_per_run`: energy of a run against the frequency of such runs
- `levels`: energy at each level, with intervals
- `methods`: four methods at each level
- `models`: training compute of notable AI models
- `node_week`: a week of one node and its jobs
- `paper_energy`: runs of papers, their cumulative energy and texts, for `paper_runs`
- `paper_runs`: runs of each paper over time
- `phases`: phases of papers and projects, with R
- `ratios`: ratios of the estimators to the measurement
- `simulation_check`: energies of the simulated site's jobs against the truth
- `site_map`: sites of Grid'5000
- `style`: sizes, colours, and files
- `time_axis`: an axis of UTC time
- `validation`: every method against the wattmeter
"""
