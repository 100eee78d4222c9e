"""Labels of jobs: paper, kind, role and phase, from label files, ledgers and names of jobs.

The stage takes label files, ledgers of the tracker and jobs (`schemas.Jobs`, `schemas.RunOfJob`).
It gives the labels of each job (`schemas.JobLabels`); from ledgers also the device energy of
tracked jobs in kWh (`schemas.Tracked`) and rejected rows (`schemas.RejectedRows`).

- `file_rows`: rows of YAML and CSV files as texts
- `files`: labels of the rows of label files
- `commands`: script, recipe step and group of a command
- `matching`: jobs that each row selects, and their labels
- `from_job_names`: labels in the names of jobs
- `from_ledgers`: tracked runs, their jobs, labels and device energy
- `precedence`: one label for each run where a source has several, and the order of the sources
- `similar_names`: papers and projects whose names differ in case or blanks alone
- `reconciliation`: jobs and tracked runs that the other side lacks, in numbers
"""
