"""The report of a study: one self-contained HTML page, `results/report.html`.

- `run_rows`: the runs that the page lists, and the scopes that each belongs to.
- `scopes`: what the page says of a site, project, paper or person.
- `timeline`: energy of each scope by phase over time.
- `traces`: power of the nodes of the largest runs.
- `charts`: the specifications of the charts.
- `exhibits`: figures and tables with their captions, in the order of the argument.
- `document`: the page.
"""
