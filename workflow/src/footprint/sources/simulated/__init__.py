"""Simulated site: a source of nodes, jobs, states and power whose true energies are known.

The site is shaped like the production clusters of Nancy. It takes the seed and the window of the
study and gives the tables of `footprint.sources.protocol`, and beside them the true energy (kWh)
and the true kind of each job. Every rule of the pipeline builds the same site anew.

Modules:
    catalogue: Hardware of the clusters.
    hardware: Nodes of the site, their cores and GPUs.
    hidden_hardware: Properties of hardware that no description publishes.
    meters: Gains of meters, clusters without meters or without series.
    people: Teams, people and papers.
    submission_times: Times at which people submit work.
    job_requests: Requests of jobs, and the load of their programs.
    request_sampler: Random workers, clusters, commands, durations and endings of requests.
    load_models: Random loads of trainings, inference and other programs.
    daily_work: Debugging, inference, sessions, preprocessing, idle holds.
    trainings: Trainings, sweeps, chains, besteffort arrays, containers.
    habits: Habits of people beside the usual work: sweeps in one job, servers, walltimes, words.
    workload: Requests of the whole window.
    outages: Intervals in which nodes cannot be used.
    schedule: Scheduler that turns requests into jobs.
    oar_records: Records of the jobs as OAR stores them.
    job_power: Power that jobs add to nodes and GPUs.
    power_function: Power of a node as a function of time, and its integral.
    clock: Times at which a collector reads a node.
    sensor_spells: Spells of stuck sensors and drop-outs.
    sensors: Readings of the BMCs, with their faults.
    exporters: Readings of the nodes' exporters: power of GPUs, load.
    electricity: Power, sensors, exporters and true energies of all nodes.
    random_numbers: Random generators that depend on the seed and a name alone.
    site: The site itself, with the methods of a source.
"""

from footprint.sources.simulated.site import SimulatedSite

__all__ = ["SimulatedSite"]
