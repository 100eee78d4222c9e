"""Readers' tables: the printed form of results.

A module takes tables of `footprint.schemas` and returns a `formats.ReaderTable` with units, totals
and a note; `formats` writes it as CSV, HTML and LaTeX.

- `counters`: energies by samples of power against energy counters
- `energy`: energy by level and by class, power readings, check against the simulated site
- `estimates`: the estimators by level, against the measurement, and their formulas
- `formats`: the formats CSV, HTML and LaTeX
- `ledger`: tracked runs and jobs of OAR
- `phases`: energy by phase with R, and the confusion matrix of run kinds
- `study`: summary, hardware and carbon of the study
- `usage`: active users, concentration, energy over time
- `validation`: every method against the wattmeter
"""
