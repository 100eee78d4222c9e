"""Columns of the generic tables: their names, units, and what a cell may contain.

The reader, `footprint check` and docs/your-cluster.md use these definitions. This module does not
import Polars, because the Snakefile lists the input files with it on every start.
"""

from __future__ import annotations

from typing import NamedTuple

TEXT, WHOLE, NUMBER, TIME, FLAG = "text", "whole number", "number", "time", "yes or no"
NODE_LIST, ID_LIST = "list of nodes", "list of numbers"


class Column(NamedTuple):
    """A column of a generic table.

    Attributes:
        name: Name in the header.
        kind: What its cells contain.
        meaning: Description, with the unit.
        required: Whether a file must have the column, and each row a value in it.
        in_header: Whether a file must have the column, while its cells may be empty.
    """

    name: str
    kind: str
    meaning: str
    required: bool = False
    in_header: bool = False


TIME_UNITS = {"": 1_000_000, "_ms": 1_000, "_us": 1}
"""Suffixes of the names of columns of times, and microseconds of one unit of their numbers."""

POWER_UNITS = {"power_w": 1.0, "power_kw": 1e3}
"""Columns of power, and watts of their unit."""

ENERGY_UNITS = {
    "energy_uj": 1e-6,
    "energy_j": 1.0,
    "energy_kj": 1e3,
    "energy_mj": 1e6,
    "energy_wh": 3.6e3,
    "energy_kwh": 3.6e6,
}
"""Columns of energy counters, and joules of their unit (`energy_mj`: megajoules)."""

NODES = (
    Column("node", NODE_LIST, "Nodes with this hardware, as `n[001-064]`", True),
    Column("n_cores", WHOLE, "Physical cores of a node, or slots that the scheduler gives", True),
    Column("n_cpus", WHOLE, "Sockets; 1 where it is empty"),
    Column("n_threads", WHOLE, "Hardware threads; by default as many as cores"),
    Column("cpu_model", TEXT, "Processor, as in `Intel Xeon Platinum 8160`"),
    Column("memory_gib", NUMBER, "Main memory, in GiB"),
    Column("n_gpus", WHOLE, "GPUs; 0 where it is empty"),
    Column("gpu_model", TEXT, "Model of the GPUs, as in `A100-SXM4-40GB`"),
    Column("gpu_generation", TEXT, "Generation of the GPUs, as in `Ampere`"),
    Column("gpu_power_limit_w", NUMBER, "Power limit of a GPU, in W"),
    Column("gpu_memory_gib", NUMBER, "Memory of a GPU, in GiB"),
    Column("cores", ID_LIST, "Number of each core, as `0-47`; from 0 where it is empty"),
    Column(
        "core_gpus",
        TEXT,
        "GPU of each core of `cores`, as `0*12 1*12`, `-` for none; by default each GPU has an "
        "equal part of the cores",
    ),
    Column("queues", TEXT, "Queues or partitions of the node, separated by spaces"),
)

JOBS = (
    Column("job_id", WHOLE, "Number of the job, unique in the study", True),
    Column("user", TEXT, "Login of the owner; only a pseudonym of it is published", True),
    Column("started_at", TIME, "Start; empty if the job never started", in_header=True),
    Column("stopped_at", TIME, "End; empty while the job runs", in_header=True),
    Column("nodes", NODE_LIST, "Nodes of the job, unless `allocations` has them"),
    Column("n_cores", WHOLE, "Cores on each of `nodes`; empty: whole nodes"),
    Column(
        "total_cores",
        WHOLE,
        "Cores on all of `nodes` together, taken as equally divided and rounded up, where "
        "`n_cores` is empty",
    ),
    Column("n_gpus", WHOLE, "GPUs on each of `nodes`"),
    Column("exclusive", FLAG, "Whether the job has its nodes alone, whatever it asked for"),
    Column("submitted_at", TIME, "Submission"),
    Column("state", TEXT, "State, as in `COMPLETED`; by default from the times"),
    Column("project", TEXT, "Project or account"),
    Column("queue", TEXT, "Queue or partition"),
    Column("name", TEXT, "Name of the job"),
    Column("command", TEXT, "Submitted command"),
    Column("directory", TEXT, "Directory of the submission"),
    Column("request", TEXT, "Requested resources"),
    Column("interactive", FLAG, "Whether the job is interactive"),
    Column("walltime_s", WHOLE, "Longest duration allowed, in s"),
    Column("exit_code", WHOLE, "Raw wait status: exit status of the shell x 256, or signal"),
    Column("array_id", WHOLE, "First job of the array"),
    Column("array_index", WHOLE, "Index of the job in its array"),
    Column("types", TEXT, "Types as OAR names them, separated by spaces: `container`, `inner=12`"),
    Column("events", TEXT, "Types of events, separated by spaces"),
    Column(
        "suspensions",
        TEXT,
        "Intervals of suspension, as `2025-03-03T10:00:00Z/2025-03-03T11:00:00Z`, separated by "
        "spaces",
    ),
)

ALLOCATIONS = (
    Column("job_id", WHOLE, "Job", True),
    Column("node", NODE_LIST, "Node, or nodes on which the job has the same", True),
    Column("cores", ID_LIST, "Numbers of the cores, as `0-11,24`"),
    Column("n_cores", WHOLE, "Number of cores, where `cores` is unknown; both empty: whole node"),
    Column("gpus", ID_LIST, "Numbers of the GPUs, as `0,1`"),
    Column("n_gpus", WHOLE, "Number of GPUs, where `gpus` is unknown"),
)

STATES = (
    Column("node", TEXT, "Node", True),
    Column("state", TEXT, "`absent`, `suspected`, `dead`, `maintenance` or `standby`", True),
    Column("from", TIME, "Start", True),
    Column("to", TIME, "End; empty while the state lasts", in_header=True),
)

POWER = (
    Column("node", TEXT, "Node", True),
    Column("timestamp", TIME, "Time of the reading", True),
    Column("power_w", NUMBER, "Power of the node, in W; or `power_kw`, in kW"),
    Column(
        "energy_j",
        NUMBER,
        "Energy counter of the node, in J; or `energy_uj`, `energy_kj`, `energy_mj` (MJ), "
        "`energy_wh`, `energy_kwh`",
    ),
    Column("sensor", TEXT, "Part of the node that was read, where there are several"),
)

DEVICES = (
    Column("node", TEXT, "Node", True),
    Column("timestamp", TIME, "Time of the reading", True),
    Column("gpu", WHOLE, "Number of the GPU of `power_w`"),
    Column("power_w", NUMBER, "Power of the GPU, in W"),
    Column("load1", NUMBER, "Load average of the node over a minute, where `gpu` is empty"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "nodes": NODES,
    "jobs": JOBS,
    "allocations": ALLOCATIONS,
    "states": STATES,
    "power": POWER,
    "devices": DEVICES,
}
"""Columns of each table, by the name of the table."""

REQUIRED_TABLES = ("nodes", "jobs", "power")
"""Tables that a study needs."""


def base_name(table: str, name: str) -> str | None:
    """Name of the definition behind a column of a file; None for a column that is not read.

    Args:
        table: Table.
        name: Name in the file, as in `timestamp_ms` or `energy_kwh`.
    """
    if table == "power" and name in POWER_UNITS:
        return "power_w"
    if table == "power" and name in ENERGY_UNITS:
        return "energy_j"
    for column in TABLES[table]:
        suffixes = TIME_UNITS if column.kind == TIME else ("",)
        if any(name == column.name + suffix for suffix in suffixes):
            return column.name
    return None
