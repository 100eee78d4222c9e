"""The stage that takes the records of a cluster and gives the raw tables of a study.

A source is an implementation of `protocol.Site`. It gives nodes, jobs, allocations, node states,
and readings of power in watts, in the tables of `footprint.schemas.raw`. The stage cleans the
readings of power and writes the samples of each cluster and calendar month (UTC) to one Parquet
file. Rejected rows are counted with a reason in `schemas.RejectedRows`, and readings by node and
day in `schemas.Quality`.

Modules of every source:

- `protocol`: methods that every source has.
- `registry`: opens the source that the configuration names; lists its clusters and input files.
- `node_names`: short names of nodes, and the cluster in a name.
- `state_notes`: files `node,state,from,to` that a user wrote.
- `job_texts`: names and commands of jobs in one form.
- `rejected_files`: whole files that cannot be used, as rejected rows.
- `files`: lists and decompresses files that a user saved.
- `indexed_readings`: Parquet files of readings with an index of nodes and times.

From readings to samples:

- `power_download`: power of a cluster and month, from readings to the monthly file.
- `device_download`: series of GPUs and node exporters of a cluster and month.
- `series`: several series of one node and metric, merged into one.
- `cleaning`: rejects readings, counts them by day, and finds failures of sensors.
- `gpu_movement`: movement of the power of a node's GPUs, as evidence of stuck sensors.
- `stuck_spells`: spells in which a sensor repeats one reading although the power changes.
- `held_time`: intervals in which jobs held a node, which cleaning needs.
- `calibration`: line from readings to power.
- `monthly_files`: the Parquet file of a cluster and month.

Sources, which do not import one another:

- `exports`: files that a user saved from the APIs or on a frontend.
- `generic`: plain tables of any cluster.
- `grid5000`: services of Grid'5000, read over the network.
- `simulated`: a site whose true energies are known.

Parsers that the sources share:

- `kwollect`: answers of Kwollect, the monitoring service.
- `oar`: jobs and resources of OAR, the scheduler.
- `reference_api`: descriptions of nodes.
- `tool_logs`: records of CodeCarbon and carbontracker.
"""
