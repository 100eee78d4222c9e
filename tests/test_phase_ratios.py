"""Development over training: sums by phase, ranges, bounds, and who has a row of their own."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from test_roles import labels_frame

from footprint import gates, tables
from footprint.levels import NO_PROJECT, OTHERS, SMALL_GROUPS
from footprint.phases import evidence, kinds, ratios, roles
from footprint.shares import reserved_shares
from footprint.site.simulated import SimulatedSite
from footprint.tables import KINDS
from footprint.vocabulary import LEAST_MEASURED_FRAC

pytestmark = pytest.mark.filterwarnings("error")

RUN = {
    "run_id": pl.Int64(),
    "project": pl.String(),
    "paper": pl.String(),
    "kind": pl.Enum(KINDS),
    "energy_kwh": pl.Float64(),
    "idle_kwh": pl.Float64(),
    "gpu_hours": pl.Float64(),
}
REPORTED = {"role": "reported"}

Row = dict[str, Any]


def run(run_id: int, kind: str | None, kwh: float | None, **more: Any) -> Row:
    usual = {"project": "q", "paper": "p", "idle_kwh": None, "gpu_hours": 1.0}
    return {"run_id": run_id, "kind": kind, "energy_kwh": kwh} | usual | more


def levels_frame(
    paper: tuple[str, ...] = ("p",), project: tuple[str, ...] = ("q",)
) -> pl.LazyFrame:
    """Names that the levels show."""
    rows = [("paper", name, "bmc") for name in paper] + [
        ("project", name, "bmc") for name in project
    ]
    rows += [("paper", "of an estimator alone", "mlco2"), ("site", "nancy", "bmc")]
    return pl.LazyFrame(rows, ["level", "name", "method"], orient="row")


def variants_frame(*rows: tuple[int, int, str]) -> pl.LazyFrame:
    return pl.LazyFrame(
        rows, {"run_id": pl.Int64(), "variant": pl.Int64(), "kind": pl.String()}, orient="row"
    )


def with_phases(rows: list[Row], labelled: pl.LazyFrame) -> pl.LazyFrame:
    runs = pl.LazyFrame(rows, RUN)
    return runs.join(roles.assign(runs, labelled), on="run_id")


def found(rows: list[Row], labels: list[Row] | None = None, **options: Any) -> pl.DataFrame:
    labelled = labels_frame(*(labels or []))
    asked = {"levels": levels_frame(), "labelled": labelled, "time": time_frame(rows)} | options
    return ratios.ratios(with_phases(rows, labelled), **asked).collect()


def time_frame(rows: list[Row], **measured_s: float) -> pl.LazyFrame:
    """An hour of each run, measured where its energy is known or for the seconds of `run_{id}`."""
    known = [(row["run_id"], 0.0 if row["energy_kwh"] is None else 3600.0) for row in rows]
    return pl.LazyFrame(
        [(run_id, 3600.0, measured_s.get(f"run_{run_id}", seconds)) for run_id, seconds in known],
        {"run_id": pl.Int64(), "held_s": pl.Float64(), "measured_s": pl.Float64()},
        orient="row",
    )


def of_paper(rows: list[Row], labels: list[Row] | None = None, **options: Any) -> Row:
    (row,) = found(rows, labels, **options).filter(scope="paper", name="p").iter_rows(named=True)
    return row


LABELS = [{"run_id": 1} | REPORTED, {"run_id": 2} | REPORTED, {"run_id": 3} | REPORTED]
PAPER = [
    run(1, "training_run", 8.0),
    run(2, "training_run", 2.0),
    run(3, "inference_run", 1.0),
    run(4, "training_run", 30.0),
    run(5, "inference_run", 5.0),
    run(6, "idle_hold", 6.0, idle_kwh=5.5),
    run(7, "interactive", 4.0, idle_kwh=3.0),
    run(8, "training_run", 5.0, idle_kwh=2.5),
    run(9, "unknown", 20.0),
    run(10, None, None),
]


class TestSums:
    def test_a_paper_by_hand(self) -> None:
        row = of_paper(PAPER, LABELS)
        # development: 30 + 5 + 6 + 4 + 5
        energies = {"training": 10.0, "inference": 1.0, "development": 50.0, "unknown": 20.0}
        for phase, kwh in energies.items():
            assert row[f"{phase}_kwh"] == kwh
        assert row["energy_kwh"] == 81.0
        assert row["ratio"] == 5.0
        assert row["ratio_all_unknown"] == 7.0  # (50 + 20) / 10
        assert (row["n_runs"], row["n_labelled"], row["role_basis"]) == (9, 3, "label")
        # that of the hold and of the session, not that of the training
        assert row["idle_kwh"] == 8.5
        assert row["unmeasured_gpu_h"] == 0.0
        assert (row["ratio_low"], row["ratio_high"], row["baseline_ratio"]) == (None, None, None)

    def test_a_row_is_one_of_the_table(self) -> None:
        rows = tables.conform(tables.PhaseRatio, found(PAPER, LABELS))
        assert rows.select("scope", "name").rows() == [("paper", "p"), ("project", "q")]

    def test_without_reported_training_there_is_no_ratio(self) -> None:
        row = of_paper(PAPER[3:], [{"run_id": 4, "role": "other"}])
        assert (row["training_kwh"], row["inference_kwh"], row["ratio"]) == (None, None, None)
        assert (row["ratio_all_unknown"], row["role_basis"]) == (None, None)
        assert row["development_kwh"] == 50.0

    def test_an_assumed_training_is_told(self) -> None:
        row = of_paper(PAPER)
        # run 4 is assumed; development: 8 + 2 + 1 + 5 + 6 + 4 + 5
        assert (row["role_basis"], row["n_labelled"]) == ("assumed", 0)
        assert (row["training_kwh"], row["inference_kwh"]) == (30.0, None)
        assert row["ratio"] == pytest.approx(31.0 / 30.0, rel=1e-12)

    def test_no_other_single_training_gives_a_smaller_ratio_than_the_assumed_one(self) -> None:
        assumed = of_paper(PAPER)["ratio"]
        for run_id in (1, 2, 4, 8):
            assert of_paper(PAPER, [{"run_id": run_id} | REPORTED])["ratio"] >= assumed

    def test_what_was_not_measured_is_null_and_its_hours_stand_beside(self) -> None:
        part = [*PAPER, run(11, "training_run", None, gpu_hours=70.0)]
        row = of_paper(part, LABELS)
        assert (row["development_kwh"], row["unmeasured_gpu_h"], row["n_runs"]) == (50.0, 70.0, 10)
        nothing = [run(1, "training_run", 8.0), run(2, "debug", None), run(3, "unknown", None)]
        row = of_paper(nothing, LABELS[:1])
        assert (row["development_kwh"], row["unknown_kwh"], row["ratio"]) == (None, None, None)
        unmeasured = [run(1, "training_run", None), run(2, "debug", 1.0)]
        row = of_paper(unmeasured, LABELS[:1])
        assert (row["training_kwh"], row["role_basis"], row["ratio"]) == (None, "label", None)

    def test_a_paper_of_a_single_training_took_no_development(self) -> None:
        row = of_paper(PAPER[:1], LABELS[:1])
        assert (row["development_kwh"], row["unknown_kwh"], row["ratio"]) == (0.0, 0.0, 0.0)

    def test_the_baseline_counts_by_its_own_phases(self) -> None:
        said = pl.LazyFrame(
            {"run_id": [1, 4, 5, 6], "phase": ["development", "training", "unknown", "development"]}
        )
        row = of_paper(PAPER, LABELS, baseline=said)
        assert row["baseline_ratio"] == pytest.approx((8.0 + 6.0) / 30.0, rel=1e-12)

    def test_a_project_counts_the_runs_of_all_its_papers_and_of_none(self) -> None:
        rows = [*PAPER, run(11, "debug", 3.0, paper=None), run(12, "debug", 2.0, paper="small")]
        (row,) = found(rows, LABELS).filter(scope="project").iter_rows(named=True)
        assert (row["name"], row["development_kwh"], row["ratio"]) == ("q", 55.0, 5.5)


class TestRanges:
    def test_the_range_is_that_over_the_variants(self) -> None:
        variants = variants_frame(
            (4, 0, "unknown"),  # 20 / 10
            (9, 1, "training_run"),  # 70 / 10
            (9, 2, "training_run"),
            (4, 2, "unknown"),  # 40 / 10
            (4, 3, "training_run"),  # as it is
        )
        row = of_paper(PAPER, LABELS, variants=variants)
        assert (row["ratio_low"], row["ratio"], row["ratio_high"]) == (2.0, 5.0, 7.0)

    @pytest.mark.parametrize("kind", ["debug", "inference_run", "training_run"])
    def test_what_varies_within_a_phase_or_not_at_all_changes_nothing(self, kind: str) -> None:
        row = of_paper(PAPER, LABELS, variants=variants_frame((4, 0, kind), (6, 0, "interactive")))
        assert (row["ratio_low"], row["ratio_high"]) == (5.0, 5.0)

    def test_reported_runs_change_their_phase_with_their_kind(self) -> None:
        # run 2 becomes inference: 50 / 8; run 3 becomes training: 50 / 11
        variants = variants_frame((2, 0, "inference_run"), (3, 1, "training_run"))
        row = of_paper(PAPER, LABELS, variants=variants)
        assert row["ratio_low"] == pytest.approx(50.0 / 11.0, rel=1e-12)
        assert row["ratio_high"] == 6.25

    def test_what_labels_say_does_not_vary(self) -> None:
        said = [
            *LABELS,
            {"run_id": 4, "kind": "training_run"},
            {"run_id": 5, "phase": "development"},
        ]
        variants = variants_frame((4, 0, "unknown"), (5, 0, "unknown"))
        row = of_paper(PAPER, said, variants=variants)
        assert (row["ratio_low"], row["ratio_high"]) == (5.0, 5.0)

    def test_where_a_variant_has_no_training_left_the_range_is_open(self) -> None:
        variants = variants_frame(
            (1, 0, "unknown"), (2, 0, "unknown"), (9, 1, "debug"), (4, 2, "unknown")
        )
        row = of_paper(PAPER, LABELS, variants=variants)
        assert (row["ratio_low"], row["ratio"], row["ratio_high"]) == (2.0, 5.0, None)

    def test_an_assumption_is_made_anew_in_each_variant(self) -> None:
        # Without run 4, run 1 is the largest with 8 kWh: (2 + 1 + 5 + 6 + 4 + 5) / 8.
        # With run 9 (20 kWh) a training as well, it stays run 4: (31 + 20) / 30.
        variants = variants_frame((4, 0, "unknown"), (9, 1, "training_run"))
        row = of_paper(PAPER, variants=variants)
        assert row["ratio_low"] == pytest.approx(31.0 / 30.0, rel=1e-12)
        assert row["ratio_high"] == pytest.approx(23.0 / 8.0, rel=1e-12)
        # Both at once: run 9 is the largest, and 23 + 8 kWh are development.
        both = variants_frame((4, 0, "unknown"), (9, 0, "training_run"))
        assert of_paper(PAPER, variants=both)["ratio_high"] == pytest.approx(31.0 / 20.0, rel=1e-12)


class TestNames:
    ROWS = (
        *PAPER,
        run(11, "debug", 3.0, paper="small", project=None),
        run(12, "training_run", 2.0, paper="tiny", project="lone"),
    )

    def names(self, levels: pl.LazyFrame, **options: Any) -> dict[tuple[str, str], int]:
        rows = found(list(self.ROWS), LABELS, levels=levels, **options)
        return {
            (scope, name): n for scope, name, n in rows.select("scope", "name", "n_runs").rows()
        }

    def test_names_that_the_levels_merge_are_merged_here(self) -> None:
        merged = levels_frame(("p", SMALL_GROUPS), ("q", OTHERS))
        assert self.names(merged) == {
            ("paper", SMALL_GROUPS): 2,
            ("paper", "p"): 9,
            ("project", OTHERS): 2,
            ("project", "q"): 9,
        }

    def test_names_that_the_levels_leave_out_are_left_out(self) -> None:
        assert set(self.names(levels_frame())) == {("paper", "p"), ("project", "q")}

    def test_papers_that_nobody_wants_are_not_among_the_small_ones(self) -> None:
        shown = levels_frame(("p", SMALL_GROUPS), ("q", OTHERS))
        wanted = self.names(shown, papers_wanted=["p", "tiny"])
        assert wanted[("paper", SMALL_GROUPS)] == 1
        assert wanted[("project", OTHERS)] == 2

    def test_runs_without_a_project_are_shown_where_the_levels_show_them(self) -> None:
        assert self.names(levels_frame(project=("q", NO_PROJECT)))[("project", NO_PROJECT)] == 1
        assert self.names(levels_frame((), ())) == {}


KINDS_OR_NONE = st.sampled_from([None, *KINDS])
ENERGIES = st.sampled_from([None, 0.0, 0.1, 0.3, 7.0])


@settings(deadline=None)
@given(
    st.lists(st.tuples(KINDS_OR_NONE, ENERGIES), min_size=1, max_size=12),
    st.sets(st.integers(0, 11), max_size=3),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 4), st.sampled_from(KINDS)), max_size=12),
)
def test_phases_part_the_energy_and_bounds_enclose_the_ratio(
    drawn: list[tuple[str | None, float | None]], said: set[int], varied: list[tuple[int, int, str]]
) -> None:
    rows = [run(i, kind, kwh) for i, (kind, kwh) in enumerate(drawn)]
    labels = [{"run_id": i} | REPORTED for i in said if i < len(rows)]
    variants = variants_frame(*{(i, v): (i, v, kind) for i, v, kind in varied}.values())
    table = found(rows, labels, variants=variants)
    backwards = found(rows[::-1], labels, variants=variants)
    assert_frame_equal(table, backwards, check_exact=True)
    assert len(table) == (2 if any(kind for kind, _ in drawn) else 0)
    for row in tables.conform(tables.PhaseRatio, table).iter_rows(named=True):
        parts = [row[f"{phase}_kwh"] or 0.0 for phase in tables.PHASES]
        assert sum(parts) == pytest.approx(row["energy_kwh"] or 0.0, rel=1e-12)
        assert (row["ratio"] is None) == (row["ratio_reason"] is not None)
        if row["ratio"] is None:
            assert (row["ratio_low"], row["ratio_high"]) == (None, None)
            assert row["ratio_all_unknown"] is None
            continue
        for side in ratios.SIDES:
            assert (row[f"{side}_coverage_frac"] or 1.0) >= LEAST_MEASURED_FRAC
        if row["ratio_low"] is None:
            assert row["ratio_high"] is None
            continue
        assert row["ratio_low"] <= row["ratio"]
        assert row["ratio_high"] is None or row["ratio_high"] >= row["ratio"]
        assert row["ratio_all_unknown"] is None or row["ratio_all_unknown"] >= row["ratio"]


# Labelling, on the simulated site, where what each run truly was is known.

LARGE = 200
N_LABELLED = 20
WRONG = {"unknown": 0.10, "other": 0.30}
"""How often the kinds found are `unknown`, and how often they are any other but the true one."""


@pytest.fixture(scope="module")
def site() -> SimulatedSite:
    study = {"start": date(2025, 3, 3), "end": date(2025, 4, 28), "seed": 2025}
    return SimulatedSite.from_config(study)


@pytest.fixture(scope="module")
def energy(site: SimulatedSite) -> pl.DataFrame:
    """Exact energy of each job on each of its nodes."""
    return site.truth().rename({"true_kwh": "energy_kwh"}).collect()


@pytest.fixture(scope="module")
def truth(site: SimulatedSite, energy: pl.DataFrame) -> pl.DataFrame:
    """Runs of the papers of the simulated site: what they were, and their exact energy."""
    of_jobs = energy.lazy().group_by("job_id").agg(pl.col("energy_kwh").sum())
    jobs = site.truth_of_jobs().filter(pl.col("paper").is_not_null(), pl.col("kind").is_not_null())
    return (
        jobs.join(of_jobs, on="job_id", how="left")
        .group_by(run_id=pl.coalesce("chain_id", "job_id"))
        .agg(
            pl.col("paper", "kind", "role", "phase").first(),
            pl.col("energy_kwh").sum(),
            pl.lit("q").alias("project"),
            pl.lit(0.0).alias("gpu_hours"),
        )
        .sort("run_id")
        .collect()
    )


@pytest.fixture(scope="module")
def by_rules(site: SimulatedSite, energy: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """`truth` with the kinds that the rules find without any power: the least that they know."""
    records = site.jobs(start=site.start, end=site.end)
    jobs = records.jobs.lazy()
    shares = reserved_shares(jobs, records.allocations.lazy(), site.nodes())
    held_h = (pl.col("stopped_at") - pl.col("started_at")).dt.total_seconds() / 3600
    job_nodes = (
        gates.holds(jobs, shares, end=site.end)
        .group_by("job_id", "node")
        .agg(
            pl.col("share").first(),
            duration_s=held_h.sum() * 3600,
            covered_s=held_h.sum() * 3600,
            gpu_hours=(held_h * pl.col("gpus")).sum(),
        )
        .join(energy.lazy(), on=["job_id", "node"], how="left")
    )
    chained = pl.when(pl.col("chain_id").is_null()).then(pl.lit("single"))
    known = evidence.gather(
        jobs=jobs,
        run_of_job=site.truth_of_jobs().select(
            "job_id",
            run_id=pl.coalesce("chain_id", "job_id"),
            merged_by=chained.otherwise(pl.lit("chain")),
        ),
        job_energy=job_nodes.group_by("job_id").agg(
            pl.col("duration_s").max(), pl.col("gpu_hours", "energy_kwh").sum()
        ),
        job_nodes=job_nodes,
        power_levels=tables.PowerLevels.create_empty().lazy(),
    )
    found = kinds.classify(known, kinds.Thresholds()).select("run_id", "kind").collect()
    return truth.drop("kind").join(found, on="run_id").sort("run_id")


def confused(truth: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """`truth` with kinds as poor rules would find them."""
    rng = np.random.default_rng(seed)
    draw, other = rng.random(len(truth)), rng.choice(KINDS[:-1], len(truth))
    frame = truth.with_columns(pl.Series("draw", draw), pl.Series("other_kind", other))
    return frame.with_columns(
        pl.when(pl.col("draw") < WRONG["unknown"])
        .then(pl.lit("unknown"))
        .when(pl.col("draw") < WRONG["unknown"] + WRONG["other"])
        .then(pl.col("other_kind"))
        .otherwise(pl.col("kind"))
        .alias("kind")
    )


def error_of_phases(truth: pl.DataFrame, runs: pl.DataFrame, labelled: pl.DataFrame) -> float:
    """Part of the energy that is in another phase than its true one."""
    said = roles.assign(runs.lazy(), labelled.lazy()).select("run_id", found="phase").collect()
    wrong = truth.join(said, on="run_id").filter(pl.col("found").cast(pl.String) != pl.col("phase"))
    return float(wrong["energy_kwh"].sum() / truth["energy_kwh"].sum())


def assert_twenty_labels_are_enough(truth: pl.DataFrame, found: pl.DataFrame) -> None:
    large = [own for own in truth.partition_by("paper") if len(own) >= LARGE]
    assert len(large) >= 2
    for own in large:
        runs = found.join(own, on="run_id", how="semi")
        first = own.sort("energy_kwh", "run_id", descending=[True, False]).head(N_LABELLED)
        labels = first.select("run_id", "kind", "role", "phase")
        after = error_of_phases(own, runs, labels)
        assert after < 0.05 < error_of_phases(own, runs, labels.clear())


@pytest.mark.parametrize("seed", range(5))
def test_labelling_twenty_runs_of_a_large_paper_is_enough_for_poor_rules(
    truth: pl.DataFrame, seed: int
) -> None:
    assert_twenty_labels_are_enough(truth, confused(truth, seed=seed))


def test_labelling_twenty_runs_of_a_large_paper_is_enough(
    truth: pl.DataFrame, by_rules: pl.DataFrame
) -> None:
    assert len(by_rules) == len(truth)
    assert_twenty_labels_are_enough(truth, by_rules)
