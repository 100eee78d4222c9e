"""Energy of the same jobs by models of other tools, to compare with the measurement.

The stage takes what each job held on each node (`inputs.EstimatorInputs`: hours of GPUs and cores,
memory, hardware, series of the devices) and gives `schemas.Estimates`: the energy of each job by
each estimator in kWh, in parts for GPUs, processors and memory. `comparison` gives the ratios of
estimates to measured energy (`schemas.EstimateRatios`). Equations, constants and sources are in
`docs/estimators.md`.

- `inputs`: what each job held on each node, joined with hardware and series
- `device_use`: energy of GPUs, load and power of processors while jobs held them, from series
- `rates`: energy of jobs from the power of one GPU, one core and one GB
- `estimator`: the record that describes an estimator
- `mlco2`, `green_algorithms`, `ga4hpc`, `codecarbon`: one module for each tool
- `recorded`: energy that tools recorded in jobs
- `recorded_runs`: the recorded energy of each job, and rejected runs
- `run_jobs`: the job of each recorded run
- `run_overlaps`: recorded runs of one machine that overlap
- `tracked`: energy counters that the tracker read in jobs
- `registry`: all estimators by name; writes the table
- `comparison`: estimates beside the measurement
"""
