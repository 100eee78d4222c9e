"""Tables of raw records, as a source gave them."""

from __future__ import annotations

import dataframely as dy
import polars as pl

from footprint.tables.columns import Count, Key, Text, Timestamp, Watts


class Nodes(dy.Schema):
    """Hardware of a node, one row for each period in which it did not change."""

    node = Key(description="Short name, as in `graffiti-3`")
    valid_from = Timestamp(
        primary_key=True, description="Start of the period; 1970 when the source gives no date"
    )
    valid_until = Timestamp(nullable=True, description="End of the period; null while it lasts")
    site = dy.String(description="Grid'5000 site")
    cluster = dy.String(description="Cluster of the node")
    cpu_model = Text(description="Processor, as in `Intel Xeon Gold 5220`")
    n_cpus = dy.Int32(min=1, description="Sockets")
    n_cores = dy.Int32(min=1, description="Physical cores, which OAR reserves one by one")
    n_threads = dy.Int32(min=1, description="Hardware threads")
    memory_bytes = dy.Int64(nullable=True, min=0, metadata={"unit": "B"}, description="Main memory")
    cores = dy.List(dy.UInt16(), description="`cpuset` of each core, ascending")
    core_gpus = dy.List(
        dy.UInt8(nullable=True),
        description="GPU that each core of `cores` is reserved with; null: none",
    )
    gpus = dy.List(dy.UInt8(), description="Index of each GPU, in the order of its device name")
    gpu_reservable = dy.List(dy.Bool(), description="Whether each GPU can be reserved")
    gpu_models = dy.List(dy.String(), description="Model of each GPU")
    gpu_generations = dy.List(
        dy.String(nullable=True),
        description="Generation of each GPU by its compute capability, else its microarchitecture; "
        "null when the source says neither",
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
        description="Power metrics collected unasked; null when the source does not say",
    )
    max_plausible_power_w = Watts(
        min=0,
        description="Readings above are spikes: twice what GPUs, cores, memory and 300 W draw",
    )

    @dy.rule()
    def one_gpu_a_core(cls) -> pl.Expr:
        return pl.col("cores").list.len() == pl.col("core_gpus").list.len()

    @dy.rule()
    def all_cores_named(cls) -> pl.Expr:
        return pl.col("cores").list.len() == pl.col("n_cores")


class Jobs(dy.Schema):
    """OAR jobs as recorded. Holds logins: stays in `resources/`."""

    job_id = dy.Int64(primary_key=True, description="OAR's job id, unique within a site")
    site = dy.String(description="Grid'5000 site")
    user = dy.String(description="Login of the owner")
    project = Text(description="Project (granting group) that the job was submitted under")
    queue = Text(description="OAR queue")
    name = Text(description="Name given with `-n`")
    command = Text(description="Command, empty for interactive jobs")
    directory = Text(description="Launching directory")
    request = Text(description="Resources asked for, as OAR words them")
    job_type = Text(description="`INTERACTIVE` or `PASSIVE`")
    types = dy.List(
        dy.String(), description="Types given with `-t`, as in `container`, `inner=123`"
    )
    state = dy.String(description="OAR state in lower case, as in `terminated`")
    array_id = dy.Int64(
        nullable=True, description="First job of the array; null when the source lacks it"
    )
    array_index = dy.Int64(nullable=True, description="Line of the array")
    submitted_at = Timestamp(nullable=True, description="Submission")
    started_at = Timestamp(nullable=True, description="Start; null when it never started")
    stopped_at = Timestamp(
        nullable=True, description="End; null while it runs or when it never started"
    )
    walltime_s = dy.Int64(
        nullable=True, metadata={"unit": "s"}, description="Longest time it may run"
    )
    exit_code = dy.Int64(
        nullable=True,
        description="Raw wait status: shell code x 256, or the signal; null when unknown",
    )
    events = dy.List(
        dy.String(),
        nullable=True,
        description="Kinds of OAR events, in order; null when the source lacks them",
    )
    suspensions = dy.List(
        dy.Struct({"started_at": Timestamp(), "stopped_at": Timestamp(nullable=True)}),
        nullable=True,
        description="Intervals of suspension; null when the source does not tell",
    )

    @dy.rule()
    def stops_after_start(cls) -> pl.Expr:
        return (pl.col("stopped_at") >= pl.col("started_at")).fill_null(True)


class Allocations(dy.Schema):
    """What a job held: one row a job and node."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    cores = dy.List(dy.UInt16(), description="`cpuset` of each core held, ascending")
    gpus = dy.List(dy.UInt8(), description="GPUs of which at least one core is held, ascending")
    basis = dy.Enum(
        ["cores", "whole_node"],
        description="`whole_node` when the source names the node but not its cores",
    )


class States(dy.Schema):
    """States of nodes: when they could not be used, and what else a source says of them."""

    node = Key(description="Node")
    started_at = Timestamp(primary_key=True, description="Start of the interval")
    stopped_at = Timestamp(nullable=True, description="End of the interval; null while it lasts")
    state = dy.String(
        description="`absent`, `suspected`, `dead`, `maintenance`, `standby` or `alive`"
    )


class Power(dy.Schema):
    """Power of the nodes of a cluster in a month, sorted by node and time, without duplicates.

    Samples of `max_gap_s` before and after the month are included so that a month integrates by
    itself. Too long for a key check: `partitions.write` compares neighbours instead.
    """

    node = dy.String(description="Node")
    timestamp = Timestamp(description="Time of the reading")
    power_w = Watts(min_exclusive=0, description="Power read")


class DevicePower(dy.Schema):
    """Power of the single GPUs of a cluster's nodes in a month, sorted, without duplicates.

    Made for the gate `two_part` where the source has such series. Sorted by node, GPU and time;
    readings shortly before the month are included.
    """

    node = dy.String(description="Node")
    gpu = dy.UInt8(description="Index of the GPU in the node")
    timestamp = Timestamp(description="Time of the reading")
    power_w = Watts(min_exclusive=0, description="Power read")


class DeviceSeries(dy.Schema):
    """Any other series of a cluster's nodes in a month, as it came: sorted, without duplicates."""

    node = dy.String(description="Node")
    labels = dy.String(description='What the series is of, as in `{"gpu":"0"}`; JSON')
    timestamp = Timestamp(description="Time of the reading")
    value = dy.Float64(nullable=True, description="Value; null or NaN as the source had it")


class SetAside(dy.Schema):
    """Rows that the study does not use or uses with a limit, and gaps in lists, by reason."""

    stage = Key(description="`jobs`, `power`, `devices`, `recorded`, `ledger`, ...")
    source = Key(description="File or service that they came from")
    reason = Key(description="Why they were set aside")
    n_rows = Count(description="How many")
    example = Text(description="One of them, to look it up; never a login")
