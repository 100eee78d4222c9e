"""The energy that deep-learning research really used, from the cluster's own logs."""

import os

# Snakemake hands a rule's threads to OpenMP and BLAS only. Polars reads its own variable, once,
# when it is first imported: without this, eight rules on eight cores would start 64 Polars threads.
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("POLARS_MAX_THREADS", os.environ["OMP_NUM_THREADS"])

__version__ = "0.1.0"
