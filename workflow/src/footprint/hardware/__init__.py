"""Hardware of nodes: what a node reserves, and the inputs that estimators need.

The package takes descriptions of nodes (`schemas.Nodes`) and the catalogue's CSV files, and gives
the hardware of each node (`schemas.Hardware`; W, GB) and the mapping of its cores to GPUs.

- `catalogue`: processors, GPUs and clusters that descriptions do not cover (`cpus.csv`, `gpus.csv`,
  `clusters.csv`).
- `topology`: cores of a node, the GPU of each core, generation of a GPU, plausible power.
"""
