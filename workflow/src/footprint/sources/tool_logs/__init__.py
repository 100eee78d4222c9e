"""Parsers of files that energy tools left: CSV files of CodeCarbon and logs of carbontracker.

The package takes the files of a folder of recordings and returns one row a run or task
(`run_records.RUN_SCHEMA`; energies in kWh, durations in s, times in UTC). Runs, lines and files
that cannot be used have a `reason`; runs that are used with a limit have the `limit`.

Modules:
    runs: Files of any tool -> runs, each used once.
    codecarbon: CSV files of CodeCarbon, versions 1 to 3.
    carbontracker: Logs of carbontracker, versions 1 and 2.
    job_hints: Job and node from fields and paths.
    run_records: Columns, faults and times of a run.
"""
