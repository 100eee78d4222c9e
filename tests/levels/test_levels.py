"""Levels: sums, intervals, redistribution, and groups shown by name."""

import logging
import math
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint.core import vocabulary
from footprint.core.errors import InputError
from footprint.energy.energy_tables import EnergyTables
from footprint.levels import levels
from footprint.levels.selection import LevelSelection
from footprint.schemas.estimates import Estimates
from footprint.schemas.levels import Levels
from footprint.schemas.writing import conform
from tests.support.study_frames import (
    ERROR_MODEL,
    job_energy_frame,
    job_node_row,
    job_nodes_frame,
    node_energy_frame,
)

DAY = date(2025, 3, 3)
NO_ESTIMATES = Estimates.create_empty().lazy()


def built(job_nodes: list[dict], owners: list[dict], **options) -> pl.DataFrame:
    nodes = job_nodes_frame(job_nodes)
    node_energy = options.pop("node_energy", node_energy_frame([]))
    papers = options.pop("papers", {})
    options["papers"] = options.pop("wanted_papers", "all")
    redistribution = options.pop("redistribution", "none")
    rows = levels.energy_by_level(
        EnergyTables(job_energy_frame(nodes, owners).lazy(), nodes.lazy(), node_energy.lazy()),
        pl.LazyFrame(
            list(papers.items()), schema={"job_id": pl.Int64, "paper": pl.String}, orient="row"
        ),
        NO_ESTIMATES,
        site="nancy",
        selection=LevelSelection(**({"minimum_group": 1} | options)),
        redistribution=redistribution,
        model=ERROR_MODEL,
    )
    return conform(Levels, rows)


def owner(job_id: int, user: str, project: str | None = "p", queue: str | None = "q") -> dict:
    return {"job_id": job_id, "user": user, "project": project, "queue": queue}


def row(rows: pl.DataFrame, level: str, name: str) -> dict:
    return rows.row(by_predicate=(pl.col("level") == level) & (pl.col("name") == name), named=True)


def names(rows: pl.DataFrame, level: str) -> list[str]:
    return rows.filter(pl.col("level") == level)["name"].to_list()


def test_levels_sum_the_rows_of_their_jobs() -> None:
    rows = built(
        [
            # Half of a GPU node for two hours, one of which was measured.
            job_node_row(
                1,
                "graffiti-1",
                3.0,
                share=0.5,
                duration_s=7200.0,
                covered_s=3600.0,
                estimated_kwh=2.0,
                gpu_hours=4.0,
            ),
            job_node_row(1, "gros-1", 1.0, share=1.0, duration_s=7200.0, core_hours=36.0),
            job_node_row(2, "gros-2", None, share=1.0, duration_s=1800.0, core_hours=9.0),
        ],
        [owner(1, "u-amy", "speech"), owner(2, "u-bob", None)],
        papers={1: "demo"},
    )
    site = row(rows, "site", "nancy")
    assert (site["n_jobs"], site["n_users"], site["method"]) == (2, 2, "bmc")
    assert (site["measured_kwh"], site["estimated_kwh"]) == (4.0, 2.0)
    # measured 0.5 x 1 h + 1 x 2 h, held 0.5 x 2 h + 1 x 2 h + 1 x 0.5 h
    assert site["coverage_frac"] == pytest.approx(2.5 / 3.5)
    assert site["unknown_node_h"] == 0.5
    assert (site["total_kwh"], site["covered_kwh"]) == (6.0, 4.0)
    assert site["measured_frac"] == pytest.approx(4 / 6)
    assert site["total_low_kwh"] < 6.0 < site["total_high_kwh"]
    assert site["gpu_node_frac"] == pytest.approx(5 / 6)
    assert (site["gpu_hours"], site["core_hours"]) == (4.0, 16.0 + 36.0 + 9.0)
    assert site["overhead_kwh"] is None
    unmeasured = row(rows, "project", "(no project)")
    assert unmeasured["measured_kwh"] is None
    assert unmeasured["total_kwh"] is None
    assert unmeasured["total_low_kwh"] is None
    assert unmeasured["gpu_node_frac"] is None
    assert (unmeasured["coverage_frac"], unmeasured["unknown_node_h"]) == (0.0, 0.5)
    paper = row(rows, "paper", "demo")
    assert paper["measured_kwh"] == 4.0
    assert paper["n_jobs"] == 1


def test_levels_interval_of_measured_cluster_is_that_of_its_meters() -> None:
    rows = built([job_node_row(1, "gros-1", 100.0)], [owner(1, "u-amy")])
    site = row(rows, "site", "nancy")
    # gain 1.05 + 0.0707 (U0 + U1), whose 2.5 % quantile is -(2 - sqrt(8 x 0.025)) x 0.0707
    half = 100 * 0.1 * math.sqrt(0.5) * (2 - math.sqrt(8 * 0.025))
    assert site["total_low_kwh"] == pytest.approx(105 - half, abs=0.7)
    assert site["total_high_kwh"] == pytest.approx(105 + half, abs=0.7)


def test_levels_interval_of_two_clusters_is_narrower() -> None:
    one = [job_node_row(job, "gros-1", 50.0) for job in (1, 2)]
    two = [job_node_row(1, "gros-1", 50.0), job_node_row(2, "graffiti-1", 50.0)]
    owners = [owner(1, "u-amy"), owner(2, "u-bob", "speech")]
    sites = [row(built(nodes, owners), "site", "nancy") for nodes in (one, two)]
    width_one, width_two = (site["total_high_kwh"] - site["total_low_kwh"] for site in sites)
    assert width_two < 0.95 * width_one
    # linear over jobs of one cluster: the interval of a half is as wide in proportion
    half = row(built(one, owners), "project", "speech")
    assert half["total_high_kwh"] - half["total_low_kwh"] == pytest.approx(width_one / 2, rel=0.05)


def test_levels_interval_of_similar_jobs_is_wider() -> None:
    jobs = [job_node_row(job, "grappe-1", None, estimated_kwh=1.0) for job in range(1, 41)]
    owners = [owner(job, "u-amy") for job in range(1, 41)]
    apart = row(built(jobs, owners), "site", "nancy")
    alike = row(built(jobs, [each | {"similar": 7} for each in owners]), "site", "nancy")
    widths = [site["total_high_kwh"] - site["total_low_kwh"] for site in (apart, alike)]
    assert widths[1] > widths[0]
    assert (apart["measured_kwh"], apart["measured_frac"], apart["total_kwh"]) == (None, 0, 40)


def test_levels_sum_known_energy_beside_unknown_time() -> None:
    rows = built(
        [job_node_row(1, "gros-1", 2.0), job_node_row(2, "grappe-1", None, duration_s=7200.0)],
        [owner(1, "u-amy"), owner(2, "u-amy")],
    )
    site = row(rows, "site", "nancy")
    assert (site["total_kwh"], site["estimated_kwh"], site["unknown_node_h"]) == (2.0, 0.0, 2.0)


def test_levels_do_not_count_jobs_that_held_nothing() -> None:
    rows = built(
        [job_node_row(1, "gros-1", 1.0)], [owner(1, "u-amy"), owner(2, "u-bob", "queued for ever")]
    )
    assert row(rows, "site", "nancy")["n_jobs"] == 1
    assert names(rows, "project") == ["p"]


def test_levels_overhead_has_a_row_for_each_class() -> None:
    node_energy = node_energy_frame(
        [
            ("graffiti-1", DAY, "job", 9.0, 12.0),
            ("graffiti-1", DAY, "idle", 3.0, 6.0),
            ("gros-1", DAY, "idle", 1.0, 20.0),
            ("gros-1", DAY, "unavailable", 0.5, 1.0),
            ("gros-1", DAY, "stranded", 0.0, 0.0),
            ("graffiti-1", DAY, "no_data", None, 6.0),
            ("gros-1", DAY, "no_data", None, 3.0),
        ]
    )
    rows = built([job_node_row(1, "gros-1", 1.0)], [owner(1, "u-amy")], node_energy=node_energy)
    assert names(rows, "overhead") == ["idle", "no_data", "unavailable"]
    idle, no_data = row(rows, "overhead", "idle"), row(rows, "overhead", "no_data")
    assert (idle["measured_kwh"], idle["gpu_node_frac"], idle["n_jobs"]) == (4.0, 0.75, 0)
    assert idle["unknown_node_h"] == 0
    assert (no_data["total_kwh"], no_data["unknown_node_h"]) == (None, 9.0)


def test_levels_overhead_includes_estimates_with_their_interval() -> None:
    node_energy = node_energy_frame(
        [
            ("gros-1", DAY, "idle", 4.0, 20.0),
            ("gros-1", DAY, "no_data", None, 4.0),
            ("grappe-1", DAY, "idle", None, 0.0),
            ("grappe-1", DAY, "no_data", None, 24.0),
        ],
        estimated={("gros-1", "idle"): 1.0, ("grappe-1", "idle"): 5.0},
        unknown_h=0.0,
    )
    rows = built([job_node_row(1, "gros-1", 1.0)], [owner(1, "u-amy")], node_energy=node_energy)
    assert names(rows, "overhead") == ["idle"]
    idle = row(rows, "overhead", "idle")
    assert (idle["measured_kwh"], idle["estimated_kwh"], idle["total_kwh"]) == (4.0, 6.0, 10.0)
    assert (idle["measured_frac"], idle["covered_kwh"]) == (0.4, 4.0)
    # 5 kWh by hardware alone err by a factor of exp(0.5 t(3)), t(3) = 3.18: 1 to 24 kWh
    assert idle["total_low_kwh"] < 7.0
    assert idle["total_high_kwh"] > 20.0


OVERHEAD = node_energy_frame(
    [
        ("graffiti-1", DAY, "stranded", 6.0, 12.0),
        ("gros-1", DAY, "idle", 3.0, 12.0),
        ("gros-1", DAY, "standby", 1.0, 12.0),
        ("gros-1", DAY, "job", 100.0, 12.0),
        ("gros-1", DAY, "unattributed", 50.0, 12.0),
    ]
)
JOBS = [
    job_node_row(1, "graffiti-1", 3.0, gpu_hours=3.0, core_hours=1.0),
    job_node_row(2, "graffiti-1", 0.0, gpu_hours=1.0, core_hours=7.0),
    job_node_row(3, "gros-1", 1.0, core_hours=1.0),
    job_node_row(4, "gros-1", 0.0, core_hours=3.0),
]
OWNERS = [
    owner(1, "u-amy", "a"),
    owner(2, "u-bob", "b"),
    owner(3, "u-bob", "c"),
    owner(4, "u-cyd", "d"),
]


@pytest.mark.parametrize(
    ("redistribution", "expected"),
    [
        ("none", [None] * 4),
        ("energy", [7.5, 0.0, 2.5, 0.0]),  # 10 kWh by energies 3, 0, 1, 0
        ("resource_hours", [4.5, 1.5, 1.0, 3.0]),  # 6 kWh by GPU hours 3, 1; 4 by core hours 1, 3
        ("users", [10 / 3, 10 / 6, 10 / 6, 10 / 3]),  # bob's third over two jobs of an hour
    ],
)
def test_redistribution_gives_overhead_by_each_rule(
    redistribution: str, expected: list[float | None]
) -> None:
    rows = built(JOBS, OWNERS, node_energy=OVERHEAD, redistribution=redistribution)
    given = rows.filter(pl.col("level") == "project").sort("name")["overhead_kwh"].to_list()
    assert given == pytest.approx(expected)
    whole = None if redistribution == "none" else pytest.approx(10.0)
    assert row(rows, "site", "nancy")["overhead_kwh"] == whole


def test_redistribution_without_gpu_hours_follows_core_hours() -> None:
    rows = built(JOBS[2:], OWNERS[2:], node_energy=OVERHEAD, redistribution="resource_hours")
    assert [row(rows, "project", name)["overhead_kwh"] for name in "cd"] == [2.5, 7.5]


def test_redistribution_without_energy_gives_equal_parts_to_users() -> None:
    unmeasured = [job_node_row(1, "gros-1", None), job_node_row(2, "gros-1", None)]
    rows = built(unmeasured, OWNERS[:2], node_energy=OVERHEAD, redistribution="energy")
    assert [row(rows, "project", name)["overhead_kwh"] for name in "ab"] == [5.0, 5.0]


def test_redistribution_by_energy_counts_estimates_of_jobs_and_overhead() -> None:
    jobs = [
        job_node_row(1, "gros-1", 1.0, covered_s=1800.0, estimated_kwh=2.0),
        job_node_row(2, "grappe-1", None, estimated_kwh=1.0),
    ]
    idle = node_energy_frame(
        [("gros-1", DAY, "idle", 6.0, 12.0)], estimated={("gros-1", "idle"): 2.0}
    )
    rows = built(jobs, OWNERS[:2], node_energy=idle, redistribution="energy")
    assert [row(rows, "project", name)["overhead_kwh"] for name in "ab"] == [6.0, 2.0]


def test_redistribution_unknown_rule_is_an_error() -> None:
    with pytest.raises(InputError, match=r"levels\.redistribution: unknown .*'fair'; use none"):
        built(JOBS, OWNERS, redistribution="fair")


def crowd(sizes: dict[str, int]) -> tuple[list[dict], list[dict]]:
    """A job of 1 kWh for each of so many people in each project."""
    people = [(name, i) for name, size in sizes.items() for i in range(size)]
    owners = [owner(job, f"u-{name}{i}", name) for job, (name, i) in enumerate(people, start=1)]
    return [job_node_row(who["job_id"], "gros-1", 1.0) for who in owners], owners


def test_levels_merge_small_groups() -> None:
    rows = built(*crowd({"big": 6, "one": 1, "two": 2}), minimum_group=3)
    assert names(rows, "project") == ["big", vocabulary.SMALL_GROUPS]
    others = row(rows, "project", vocabulary.SMALL_GROUPS)
    assert (others["n_users"], others["measured_kwh"]) == (3, 3.0)


def test_levels_single_small_group_is_merged_with_the_next_smallest() -> None:
    rows = built(*crowd({"big": 6, "mid": 4, "two": 2}), minimum_group=3)
    assert names(rows, "project") == ["big", vocabulary.SMALL_GROUPS]
    assert row(rows, "project", vocabulary.SMALL_GROUPS)["n_users"] == 6


def test_levels_show_groups_whose_people_all_asked() -> None:
    jobs, owners = crowd({"big": 6, "mid": 4, "one": 1, "two": 2})
    rows = built(jobs, owners, minimum_group=3, users={"u-two0", "u-two1"})
    # "one" cannot stand alone among the others: "mid" goes along, "two" does not have to.
    assert names(rows, "project") == ["big", vocabulary.SMALL_GROUPS, "two"]
    rows = built(jobs, owners, minimum_group=3, users={"u-two0"})
    assert names(rows, "project") == ["big", "mid", vocabulary.SMALL_GROUPS]


def test_levels_show_only_people_who_asked() -> None:
    rows = built(*crowd({"big": 6}), minimum_group=3, users={"u-big1"})
    assert names(rows, "user") == [vocabulary.OTHERS, "u-big1"]
    assert row(rows, "user", vocabulary.OTHERS)["measured_kwh"] == 5.0


def test_levels_all_users_have_a_row_and_small_projects_stay_hidden() -> None:
    rows = built(*crowd({"big": 6, "two": 2, "tri": 3}), minimum_group=3, users="all")
    assert len(names(rows, "user")) == 11
    assert "two" not in names(rows, "project")


def test_levels_merge_projects_that_are_not_wanted() -> None:
    rows = built(*crowd({"big": 6, "mid": 4, "two": 2}), projects=["mid"])
    assert names(rows, "project") == [vocabulary.OTHERS, "mid"]
    assert row(rows, "project", vocabulary.OTHERS)["measured_kwh"] == 8.0


def test_levels_wanted_name_without_jobs_has_an_empty_row(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        rows = built(*crowd({"big": 3}), projects=["big", "gone"], wanted_papers=["unwritten"])
    gone = row(rows, "project", "gone")
    assert (gone["n_jobs"], gone["measured_kwh"]) == (0, None)
    assert names(rows, "paper") == ["unwritten"]
    assert "no job of the study belongs to project gone" in caplog.text


def test_levels_paper_of_few_people_is_shown_if_they_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs, owners = crowd({"big": 6})
    papers = {1: "ours", 2: "ours"}
    with caplog.at_level(logging.WARNING):
        rows = built(jobs, owners, papers=papers, minimum_group=3, wanted_papers=["ours"], users=[])
    assert names(rows, "paper") == [vocabulary.SMALL_GROUPS]
    assert "paper ours has fewer than privacy.minimum_group = 3 people" in caplog.text
    rows = built(
        jobs,
        owners,
        papers=papers,
        minimum_group=3,
        wanted_papers=["ours"],
        users=["u-big0", "u-big1"],
    )
    assert names(rows, "paper") == ["ours"]


def test_levels_study_without_jobs_has_site_and_overhead() -> None:
    nodes = job_nodes_frame([job_node_row(1, "gros-1", 1.0)]).clear()
    rows = levels.energy_by_level(
        EnergyTables(
            job_energy_frame(nodes, [owner(1, "u-amy")]).lazy(), nodes.lazy(), OVERHEAD.lazy()
        ),
        pl.LazyFrame(schema={"job_id": pl.Int64, "paper": pl.String}),
        NO_ESTIMATES,
        site="nancy",
        selection=LevelSelection(minimum_group=5),
        redistribution="energy",
        model=ERROR_MODEL,
    )
    rows = conform(Levels, rows)
    assert names(rows, "overhead") == ["idle", "standby", "stranded", "unattributed"]
    site = row(rows, "site", "nancy")
    assert (site["n_jobs"], site["measured_kwh"]) == (0, None)


amounts = st.floats(min_value=0, max_value=100, allow_subnormal=False)
studies = st.lists(
    st.tuples(
        st.sampled_from(["graffiti-1", "gros-1", "gros-2"]),
        st.none() | amounts,
        st.sampled_from(["u-a", "u-b", "u-c", "u-d"]),
        st.sampled_from(["p", "q", "r", None]),
        st.sampled_from([0.0, 60.0, 86400.0]),
    ),
    min_size=1,
    max_size=15,
)


@settings(max_examples=40)
@given(
    studies,
    st.sampled_from(["energy", "resource_hours", "users"]),
    st.integers(1, 4),
    st.sampled_from(["all", ("p",), ()]),
    st.sets(st.sampled_from(["u-a", "u-b", "u-z"])),
)
def test_levels_conserve_energy_and_hide_small_groups(
    jobs: list, redistribution: str, minimum_group: int, projects: object, asked: set[str]
) -> None:
    job_nodes = [
        job_node_row(
            i,
            node,
            energy,
            duration_s=duration,
            gpu_hours=duration / 900 if node == "graffiti-1" else 0.0,
            core_hours=duration / 225,
        )
        for i, (node, energy, _, _, duration) in enumerate(jobs)
    ]
    owners = [owner(i, user, project) for i, (_, _, user, project, _) in enumerate(jobs)]
    rows = built(
        job_nodes,
        owners,
        node_energy=OVERHEAD,
        redistribution=redistribution,
        minimum_group=minimum_group,
        projects=projects,
        users=asked,
    )
    site = row(rows, "site", "nancy")
    assert site["overhead_kwh"] == pytest.approx(10.0, rel=1e-9)
    for level in ("project", "queue", "user"):
        of_level = rows.filter(pl.col("level") == level)
        for column in ("n_jobs", "total_kwh", "unknown_node_h", "overhead_kwh", "gpu_hours"):
            assert of_level[column].sum() == pytest.approx(site[column] or 0.0, rel=1e-9, abs=1e-9)
    members = {
        name or vocabulary.NO_PROJECT: {o["user"] for o in owners if o["project"] == name}
        for name in ("p", "q", "r", None)
    }
    for name in names(rows, "project"):
        people = members.get(name, set())
        assert not people or len(people) >= minimum_group or people <= asked


def test_levels_are_the_same_for_any_number_of_threads() -> None:
    root = Path(__file__).parents[2]
    printed = {
        subprocess.run(
            [sys.executable, "-m", "tests.levels.print_hashes"],
            cwd=root,
            env=os.environ | {"POLARS_MAX_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "7")
    }
    assert len(printed) == 1
