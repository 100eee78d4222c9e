"""Schemas of all tables of the pipeline: columns, types, units, keys and invariants.

The classes are the single source of the schemas. Rules validate tables when they write them, and
`docs/data-dictionary.md` is generated from the classes. Timestamps are UTC with microseconds, days
are UTC days, the unit is part of a column's name, and null means unknown, never zero.

- `raw`: nodes, jobs, allocations, node states, power, rejected rows.
- `energy`: quality of the readings; energy of nodes and jobs.
- `gaps`: power models and estimates for time without readings.
- `totals`: the uncertainty budgets of totals and of R.
- `estimates`: hardware inputs, estimates of other tools, their ratio to the measurement.
- `labels`: ledgers, tracked energy, labels of each job.
- `phases`: runs, kinds, phases, ratio of development to training.
- `levels`: energy and carbon of site, overhead, queue, project, user and paper.
- `usage`: active users, notable models, logins behind pseudonyms.
- `validation`: the simulated truth, and recorded runs beside a wattmeter.
- `catalogue`: schema and file of each table, by name.
- `columns`: types of columns that several tables share.
- `writing`: validation and writing of tables.

A module is imported by itself: a script that writes the energy of jobs loads no other schema.
"""

from footprint.core.light_imports import hide_packages

with hide_packages("sqlalchemy", "pydantic", "pydantic_core"):
    import dataframely as _dataframely  # noqa: F401
