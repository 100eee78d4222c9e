"""Allocations: which part of which node, or GPU, each job holds and when.

The stage takes the tables of a site: jobs, allocated cores, and hardware of nodes. It gives the
allocations of each job (`node_allocations.ALLOCATION_SCHEMA`: constant share, GPUs and cores of a
node from `started_at` to `stopped_at`), the occupancy of each node (share held, 0 to 1, as a step
function of time), and the overlaps that were settled. Times are UTC in microseconds.

- `shares`: the part of a node that each core stands for, and the share that each job reserved.
- `node_allocations`: allocations on nodes, clipped to the study, and their checks.
- `gpu_allocations`: allocations on single GPUs, for the gate `two_part`.
- `containers`: pairs of a container job and a job inside it.
- `remainders`: what inner jobs and overlapping jobs leave of an allocation.
- `overlaps`: jobs that hold the same cores at the same time: shared, trimmed, or refused.
- `held_intervals`: when nodes are held, for the cleaning of their readings.
"""
