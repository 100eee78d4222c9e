"""Tables of raw records: nodes, jobs, allocations, node states, power, and rejected rows."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.schemas.columns import Count, Key, Text, Timestamp, Watts


class Nodes(dy.Schema):
    """Hardware of a node, one row for each interval in which it did not change."""

    node = Key(description="Short name of the node, as in `graffiti-3`")
    valid_from = Timestamp(
        primary_key=True, description="Start of the interval; 1970 if the source gives no date"
    )
    valid_until = Timestamp(
        nullable=True, description="End of the interval; null: still valid at the download"
    )
    site = dy.String(description="Grid'5000 site")
    cluster = dy.String(description="Cluster of the node")
    cpu_model = Text(description="Processor model, as in `Intel Xeon Gold 5220`")
    n_cpus = dy.Int32(min=1, description="Number of sockets")
    n_cores = dy.Int32(min=1, description="Number of physical cores, OAR's smallest resource")
    n_threads = dy.Int32(min=1, description="Number of hardware threads")
    memory_bytes = dy.Int64(nullable=True, min=0, metadata={"unit": "B"}, description="Main memory")
    cores = dy.List(dy.UInt16(), description="`cpuset` of each core, ascending")
    core_gpus = dy.List(
        dy.UInt8(nullable=True),
        description="GPU reserved together with each core of `cores`; null: none",
    )
    gpus = dy.List(dy.UInt8(), description="Index of each GPU, ordered by device name")
    gpu_reservable = dy.List(dy.Bool(), description="Whether each GPU can be reserved")
    gpu_models = dy.List(dy.String(), description="Model of each GPU")
    gpu_generations = dy.List(
        dy.String(nullable=True),
        description="Generation of each GPU, from its compute capability, else its "
        "microarchitecture; null: the source gives neither",
    )
    gpu_power_limits_w = dy.List(
        dy.Float64(nullable=True),
        metadata={"unit": "W"},
        description="Default power limit of each GPU",
    )
    gpu_memory_bytes = dy.List(
        dy.Int64(nullable=True), metadata={"unit": "B"}, description="Memory of each GPU"
    )
    queues = dy.List(dy.String(), description="OAR queues that may use the node")
    power_metrics = dy.List(
        dy.String(),
        nullable=True,
        description="Power metrics that Kwollect collects by default; null: not given by the "
        "source",
    )
    max_plausible_power_w = Watts(
        min=0,
        description="Readings above this power are spikes: twice the sum of GPU limits, 12 W a "
        "core, 0.3725 W a GB of memory, and 300 W",
    )

    @dy.rule()
    def one_gpu_a_core(cls) -> pl.Expr:
        return pl.col("cores").list.len() == pl.col("core_gpus").list.len()

    @dy.rule()
    def all_cores_named(cls) -> pl.Expr:
        return pl.col("cores").list.len() == pl.col("n_cores")


class Jobs(dy.Schema):
    """OAR jobs as recorded. The table contains logins and stays in `resources/`."""

    job_id = dy.Int64(primary_key=True, description="OAR job id, unique within a site")
    site = dy.String(description="Grid'5000 site")
    user = dy.String(description="Login of the owner")
    project = Text(description="Project (granting group) of the submission")
    queue = Text(description="OAR queue")
    name = Text(description="Job name, given with `-n`")
    command = Text(description="Submitted command; empty for interactive jobs")
    directory = Text(description="Directory of the submission")
    request = Text(description="Requested resources, in OAR's syntax")
    job_type = Text(description="`INTERACTIVE` or `PASSIVE`")
    types = dy.List(
        dy.String(), description="Job types given with `-t`, as in `container`, `inner=123`"
    )
    state = dy.String(description="OAR job state in lower case, as in `terminated`")
    array_id = dy.Int64(
        nullable=True, description="First job of the array; null: not given by the source"
    )
    array_index = dy.Int64(nullable=True, description="Index of the job in its array")
    submitted_at = Timestamp(nullable=True, description="Submission")
    started_at = Timestamp(nullable=True, description="Start; null: never started")
    stopped_at = Timestamp(nullable=True, description="End; null: still running or never started")
    walltime_s = dy.Int64(
        nullable=True, metadata={"unit": "s"}, description="Longest duration allowed"
    )
    exit_code = dy.Int64(
        nullable=True,
        description="Raw wait status: exit status of the shell x 256, or signal; null: unknown",
    )
    events = dy.List(
        dy.String(),
        nullable=True,
        description="Types of OAR events, in order; null: not given by the source",
    )
    suspensions = dy.List(
        dy.Struct({"started_at": Timestamp(), "stopped_at": Timestamp(nullable=True)}),
        nullable=True,
        description="Intervals of suspension; null: not given by the source",
    )

    @dy.rule()
    def stops_after_start(cls) -> pl.Expr:
        return (pl.col("stopped_at") >= pl.col("started_at")).fill_null(True)


class Allocations(dy.Schema):
    """Cores and GPUs allocated to a job, one row for each job and node."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    cores = dy.List(dy.UInt16(), description="`cpuset` of each allocated core, ascending")
    gpus = dy.List(dy.UInt8(), description="GPUs with at least one allocated core, ascending")
    basis = dy.Enum(
        ["cores", "whole_node"],
        description="`whole_node`: the source gives the node but not its cores",
    )


class States(dy.Schema):
    """Intervals of node states, such as those in which a node could not be used."""

    node = Key(description="Node")
    started_at = Timestamp(primary_key=True, description="Start of the interval")
    stopped_at = Timestamp(nullable=True, description="End of the interval; null: not ended")
    state = dy.String(
        description="`absent`, `suspected`, `dead`, `maintenance`, `standby` or `alive`"
    )


class Power(dy.Schema):
    """Power of the nodes of a cluster in a month, sorted by node and time, without duplicates.

    Samples up to `max_gap_s` before and after the month are included, so that each month is
    integrated on its own. The table is too long for a key check; `monthly_files.write_monthly_file`
    compares neighbouring rows instead.
    """

    node = dy.String(description="Node")
    timestamp = Timestamp(description="Time of the reading")
    power_w = Watts(min_exclusive=0, description="Power of the node")


class DevicePower(dy.Schema):
    """Power of each GPU of a cluster in a month, sorted by node, GPU and time, without duplicates.

    The table is written for the gate `two_part` if the source has GPU power. Readings shortly
    before the month are included.
    """

    node = dy.String(description="Node")
    gpu = dy.UInt8(description="Index of the GPU in the node")
    timestamp = Timestamp(description="Time of the reading")
    power_w = Watts(min_exclusive=0, description="Power of the GPU")


class DeviceSeries(dy.Schema):
    """Unprocessed readings of another series of a cluster in a month, sorted, no duplicates."""

    node = dy.String(description="Node")
    labels = dy.String(description='Labels of the series as JSON, as in `{"gpu":"0"}`')
    timestamp = Timestamp(description="Time of the reading")
    value = dy.Float64(nullable=True, description="Value; null or NaN as in the source")


class RejectedRows(dy.Schema):
    """Rows that the study rejects or uses with a limit, and gaps in lists, by reason."""

    stage = Key(description="`jobs`, `power`, `devices`, `recorded`, `ledger`, ...")
    source = Key(description="File or service that provided the rows")
    reason = Key(description="Reason for the rejection or the limit")
    n_rows = Count(description="Number of rows")
    example = Text(description="One of the rows, for look-up; never a login")
