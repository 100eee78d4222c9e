"""Tables of validation: true energies and kinds of the simulated site, and recorded runs."""

from __future__ import annotations

import dataframely as dy

from footprint.core.vocabulary import KINDS, PHASES, ROLES
from footprint.schemas.columns import Count, Energy, Fraction, Key, Seconds, Text


class Truth(dy.Schema):
    """True energy of each job of the simulated site, by node, within the study's window."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    true_kwh = dy.Float64(
        min=0,
        metadata={"unit": "kWh"},
        description="Integral of the node's true power x the allocated share",
    )
    metered_kwh = dy.Float64(
        nullable=True,
        min=0,
        metadata={"unit": "kWh"},
        description="Energy that a perfect meter of the node's gain would have read: `true_kwh` / "
        "gain; null: the node's power is not read",
    )


class SimulationCheck(dy.Schema):
    """Measured against metered energy, and intervals against true energy, on the simulated site."""

    sensors = Key(
        description="Resolution of the sensor, as in `36 W`; `no readings`: jobs without a "
        "measured energy; `all`"
    )
    n_jobs = Count(
        metadata={"unit": "jobs"},
        description="Number of jobs with a total energy, measured or estimated",
    )
    n_jobs_compared = Count(
        metadata={"unit": "jobs"},
        description="Number of these jobs that are longer than 10 minutes and fully covered by "
        "readings; errors are theirs",
    )
    largest_error_frac = dy.Float64(
        nullable=True,
        description="Largest relative error of the jobs compared: measured_kwh against the energy "
        "of a perfect meter of the same gain (`truth.metered_kwh`)",
    )
    median_error_frac = dy.Float64(
        nullable=True, description="Median absolute relative error of the jobs compared"
    )
    inside_frac = Fraction(
        description="Part of the jobs whose 95 % interval of the total contains the energy that "
        "the nodes really drew (`truth.true_kwh`)"
    )
    median_width_frac = dy.Float64(
        nullable=True, description="Median width of this interval / true energy"
    )


class AgainstCounters(dy.Schema):
    """Measured energy of each job on each node that it held alone, against the node's counter."""

    job_id = dy.Int64(primary_key=True, description="Job")
    node = Key(description="Node")
    cluster = dy.String(description="Cluster of the node")
    duration_s = Seconds(description="Allocated time within the window, without suspensions")
    coverage_frac = Fraction(description="Part of this time with samples of power")
    measured_kwh = Energy(description="Energy from samples of power; null: no samples")
    counter_kwh = dy.Float64(
        min=0,
        metadata={"unit": "kWh"},
        description="Difference of the counter, interpolated at the bounds of the allocation",
    )
    counter_low_kwh = dy.Float64(
        min=0,
        metadata={"unit": "kWh"},
        description="Lower end of the 95 % interval by the counter's resolution",
    )
    counter_high_kwh = dy.Float64(
        min=0, metadata={"unit": "kWh"}, description="Upper end of this interval"
    )
    ratio = dy.Float64(nullable=True, min=0, description="measured_kwh / counter_kwh")
    compared = dy.Bool(
        description="Whether the allocation is longer than 60 s, at least 95 % of it has samples, "
        "and the counter runs through it without a gap or reset"
    )


class AgainstTruth(dy.Schema):
    """Totals and ratios of the study against their true values, on the simulated site.

    Rows of the levels that contain several papers have no truth and are left out.
    """

    level = dy.Enum(
        ["site", "project", "user", "paper", "ratio", "job"],
        primary_key=True,
        description="Level of the total; `ratio`: R of a paper; `job`: all jobs with a total",
    )
    name = Key(description="Name at that level")
    total = dy.Float64(nullable=True, description="Total, or R; `job`: sum of the totals")
    low = dy.Float64(
        nullable=True, description="Lower end of the 95 % interval; null for `job`, or no interval"
    )
    high = dy.Float64(
        nullable=True,
        description="Upper end; null for `job`, or no upper end: R without one, or a total that is "
        "a lower bound because part of the energy is unknown",
    )
    truth = dy.Float64(
        nullable=True,
        description="Energy that the nodes really drew; R: by true energies and true phases of the "
        "jobs that labels assign to the paper; null: none truly trained the reported model",
    )
    unit = dy.Enum(["kWh", "1"], description="Unit of the four numbers")
    is_inside = dy.Bool(
        nullable=True, description="Whether the interval contains the truth; null for `job`"
    )
    n_compared = Count(description="Number of intervals: 1, or that of the jobs with a total")
    n_inside = Count(description="Number of these intervals that contain the truth")
    error_frac = dy.Float64(nullable=True, description="total / truth - 1")
    miss_half_widths = dy.Float64(
        nullable=True,
        min=0,
        description="Distance of the truth from the nearer end of the interval, in half widths of "
        "the interval; 0: inside; null for `job`, or no half width",
    )


class ValidationRuns(dy.Schema):
    """Energy of a recorded run by each method, beside a reference wattmeter."""

    run_id = dy.Int64(primary_key=True, description="Run")
    method = Key(
        description="`wattmetre`, `bmc`, a software tool that measured the run, or an estimator"
    )
    kind = dy.Enum(["meter", "tool", "estimator"], description="Type of the method")
    application = dy.String(description="Application, as in `mg`")
    duration_s = Seconds(description="Duration of the run")
    energy_kwh = Energy(description="Energy by the method; null: none, or rejected")
    wattmeter_kwh = Energy(description="Energy by the wattmeter")
    ratio = dy.Float64(nullable=True, description="energy_kwh / wattmeter_kwh")
    reason = Text(description="Reason for rejecting the energy")


class TrueKinds(dy.Schema):
    """True kind, role and phase of each job of the simulated site; null: the job never started."""

    job_id = dy.Int64(primary_key=True, description="Job")
    kind = dy.Enum(KINDS, nullable=True, description="Kind of the job's run")
    role = dy.Enum(
        ROLES, nullable=True, description="`reported`: the run serves the reported model"
    )
    phase = dy.Enum(PHASES[:3], nullable=True, description="Phase")
    paper = Text(description="Paper")
    chain_id = dy.Int64(nullable=True, description="First job of the chain; null: no chain")
    habit = Text(
        description="Habit to which the job belongs (`source.habits`); null: the usual work"
    )


class PhaseEvaluation(dy.Schema):
    """Number and energy of jobs by true kind and classified kind, on the simulated site."""

    method = Key(
        description="`weights`; `rules`: the ordered rules; `baseline`: the rule that uses exit "
        "states alone; `everything_is_training`: each run is a training"
    )
    truth = Key(description="True kind of the job")
    kind = Key(description="Classified kind of the job")
    n_jobs = Count(
        metadata={"unit": "jobs"},
        description="Number of jobs with an allocation within the study's nodes and window",
    )
    total_kwh = dy.Float64(
        min=0, metadata={"unit": "kWh"}, description="Total energy of the jobs; unknown counts as 0"
    )


class PhaseAccuracy(dy.Schema):
    """Share of jobs, and of their energy, with the right kind, on the simulated site."""

    method = Key(
        description="`weights`; `rules`: the ordered rules; `baseline`: the rule that uses exit "
        "states alone; `everything_is_training`: each run is a training"
    )
    weight = Key(description="`energy`: share of the total energy; `jobs`: share of the jobs")
    n_jobs = Count(
        metadata={"unit": "jobs"},
        description="Number of jobs with an allocation within the study's nodes and window",
    )
    n_users = Count(metadata={"unit": "users"}, description="Number of owners of these jobs")
    right_frac = Fraction(description="Share with the right kind; `unknown` is wrong")
    right_low_frac = Fraction(
        description="Lower end of the 95 % interval, by bootstrap over users; null: fewer than 2"
    )
    right_high_frac = Fraction(
        description="Upper end of the 95 % interval, by bootstrap over users; null: fewer than 2"
    )


class KindReliability(dy.Schema):
    """Probabilities of kinds beside how often they are right, in bins of the probability.

    The jobs are those of a true kind (simulated site) or of a run whose kind a label gives; the
    probabilities are those before any label.
    """

    subject = Key(description="`most_probable`: the most probable kind of each job; or a kind")
    bin = dy.Int64(
        primary_key=True, min=0, max=9, description="Tenth of the probability: 0 is below 0.1"
    )
    basis = dy.Enum(["truth", "labels"], description="Where the true kinds are from")
    n_jobs = Count(
        metadata={"unit": "jobs"}, description="Number of jobs with energy of a known kind"
    )
    n_users = Count(metadata={"unit": "users"}, description="Number of owners of these jobs")
    total_kwh = dy.Float64(
        min=0, metadata={"unit": "kWh"}, description="Total energy of these jobs"
    )
    probability_frac = Fraction(description="Mean probability, weighted by energy")
    observed_frac = Fraction(description="Part of the energy of which the kind is the true one")
    observed_low_frac = Fraction(
        description="Lower end of the 95 % interval, by bootstrap over users; null: fewer than 2"
    )
    observed_high_frac = Fraction(
        description="Upper end of the 95 % interval, by bootstrap over users; null: fewer than 2"
    )
