"""Energy: the integral of each node's power, split among jobs and classes.

The stage takes cleaned samples of power (W), allocations, occupancy and node states. It gives the
energy of each job, of each job on a node, and of each node by UTC day and class, in kWh, with the
coverage, an estimate for time without measurement, and a 95 % interval. Energies of a month are in
joules. A run fails when jobs and classes do not add up to the nodes' integrals.

- `kernel`: cumulative integrals of a node's power at any moments, from its samples.
- `sample_intervals`: methods of integration, and moments and sums in a series of samples.
- `sensor_period`: period and step of a sensor.
- `segments`: the time of nodes between neighbouring cuts.
- `attribution`: energy of jobs under a gate, for a cluster and month.
- `gpu_attribution`: attribution by the power of single GPUs, for the gate `two_part`.
- `node_energy`: energy and time of nodes by day and class.
- `idle_power`: idle and maximum power of nodes.
- `quantisation`: error of an energy from the steps of a sensor.
- `job_energy`: energy, estimate, interval and flags of jobs, from the sums of all months.
- `study_records`: the records of a study's jobs, as energies of jobs need them.
- `energy_tables`: the tables of jobs and nodes as one argument of later stages.
- `study_energy`: the tables of energy of the whole study.
- `conservation`: sums that must hold in every run.
- `sensor_flags`: flags of jobs that held a node while its sensor failed.
- `rejected_power`: rejected rows of power.
- `job_count`: the jobs that tables count.
- `node_hardware`: hardware of nodes, as power models need it.
- `power_model`: models of the power of nodes without readings, and their prediction.
- `virtual_meter`: the model on series of GPU power and load.
- `hardware_power`: the model without series.
- `model_errors`: errors of the models, by leaving out one cluster at a time.
- `device_integrals`: integrals of device series over segments.
- `observed_segments`: segments with readings, on which the models are fitted.
- `free_power`: power of nodes that no job holds, relative to their hardware.
- `gap_power`: power of nodes in the time without readings, from the best of several bases.
- `gap_energy`: estimated energy of jobs and node classes.
- `gate_policies`: total energy of jobs under each gate.
- `calibrated_samples`: samples of a node for the kernel, with checks of the calibration.
- `ridge`: non-negative least squares, shrunk towards prior values.
"""
