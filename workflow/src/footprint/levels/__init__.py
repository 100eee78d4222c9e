"""Energy and carbon of the study's levels, and statistics of its jobs and people.

The stage takes energies of jobs and nodes (`schemas.JobEnergy`, `schemas.JobNodeEnergy`,
`schemas.NodeEnergy`), estimates and papers. It gives `schemas.Levels`: energy in kWh of the site,
its overhead, queues, projects, users and papers, by each method. From these it gives carbon in kg
(`schemas.Carbon`), and from jobs the numbers of active users (`schemas.ActiveUsers`).

- `levels`: energy at each level
- `level_totals`: totals of groups of jobs and of overhead classes
- `budgets`: uncertainty budgets of the site and of papers
- `selection`: groups that are shown by name, and groups hidden that have too few people
- `overhead`: overhead energy given to jobs
- `carbon`: carbon of each level by named factors
- `eco2mix`: carbon intensity of electricity, read from files of eCO2mix
- `carbon_intensity`: mean carbon intensity over intervals
- `concentration`: Lorenz curve and Gini index of energy over jobs
- `active_users`: distinct users in windows of 12 months
- `usage_files`: jobs over a longer time, and numbers of users that a platform publishes
- `time_steps`: energy and node time by day, week or month
"""
