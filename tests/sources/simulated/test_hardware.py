"""Nodes of the simulated site against published hardware, and its submission times."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from footprint.core.errors import InputError
from footprint.schemas.raw import Nodes
from footprint.schemas.writing import conform
from footprint.sources.simulated.catalogue import CLUSTER_HARDWARE
from footprint.sources.simulated.hardware import (
    build_nodes,
    cluster_names,
    describe_nodes,
    node_count,
)
from footprint.sources.simulated.people import TEAMS, select_by_weight
from footprint.sources.simulated.submission_times import (
    SubmissionTimes,
    easter_sunday,
    public_holidays,
)


def test_default_site_has_one_cluster_without_sensors() -> None:
    with_bmc = [name for name in cluster_names({}) if CLUSTER_HARDWARE[name].has_meter]
    assert sum(node_count({}, name) for name in with_bmc) >= 44
    assert [name for name in cluster_names({}) if name not in with_bmc] == ["gres"]
    assert 2 <= node_count({}, "gres") <= 3
    assert cluster_names({}) == sorted(cluster_names({}))


def test_described_nodes_conform_to_schema() -> None:
    nodes = conform(Nodes, describe_nodes(build_nodes({}), site="nancy"))
    assert nodes.height == 47
    rows = {row["node"]: row for row in nodes.to_dicts()}
    assert rows["graffiti-1"]["gpu_models"] == ["GeForce RTX 2080 Ti"] * 4
    assert rows["graffiti-13"]["gpu_models"] == ["Quadro RTX 6000"] * 4
    assert "graffiti-12" not in rows
    assert rows["gres-1"]["power_metrics"] == []
    assert rows["grat-1"]["power_metrics"] == ["bmc_node_power_watt"]
    assert rows["grappe-1"]["gpus"] == []
    assert rows["grappe-1"]["core_gpus"] == [None] * 40


@pytest.mark.parametrize("cluster", sorted(CLUSTER_HARDWARE))
def test_described_nodes_match_the_reference_api(cluster: str, shared_data: Path) -> None:
    folder = shared_data / "reference-api" / "nancy"
    published = json.loads((folder / f"{cluster}_nodes.json").read_text())["items"]
    first = next(node for node in published if node["uid"] == f"{cluster}-1")
    ours = describe_nodes(
        build_nodes({"nodes": {cluster: 1, "graffiti": 1}}), site="nancy"
    ).collect()
    row = next(row for row in ours.to_dicts() if row["node"] == f"{cluster}-1")
    assert row["n_cores"] == first["architecture"]["nb_cores"]
    assert row["n_threads"] == first["architecture"]["nb_threads"]
    assert row["n_cpus"] == first["architecture"]["nb_procs"]
    assert row["memory_bytes"] == first["main_memory"]["ram_size"]
    gpus = list(first.get("gpu_devices", {}).values())
    assert row["gpu_models"] == [gpu["model"] for gpu in gpus]
    assert row["gpu_memory_bytes"] == [gpu["memory"] for gpu in gpus]
    limits_w = [float(gpu["power_default_limit"].removesuffix(" W")) for gpu in gpus]
    assert row["gpu_power_limits_w"] == limits_w


@pytest.mark.parametrize("cluster", ["graffiti", "grue"])
def test_gpu_cores_match_the_platform(cluster: str, shared_data: Path) -> None:
    text = (shared_data / "reference-api" / f"{cluster}_core_gpu_table.txt").read_text()
    lines = [re.split(r"\s*\|\s*", line) for line in text.splitlines() if "clustera-1 " in line]
    published = {int(line[5]): int(line[8]) for line in lines}
    row = describe_nodes(build_nodes({"nodes": {cluster: 1}}), site="nancy").collect().to_dicts()[0]
    assert dict(zip(row["cores"], row["core_gpus"], strict=True)) == published
    assert len(published) == row["n_cores"]


def test_node_share_by_gpu_or_by_core() -> None:
    graffiti, grappe = build_nodes({"nodes": {"graffiti": 1, "grappe": 1}})
    assert graffiti.share(graffiti.gpu_masks[2]) == 0.25
    assert graffiti.share(0b1) == 1 / 16
    assert graffiti.share(graffiti.full_mask) == 1.0
    assert grappe.share(0b1111) == 0.1
    assert graffiti.cores_of(graffiti.gpu_masks[0]) == [0, 2, 4, 6]
    assert graffiti.gpus_of(0b11) == [0, 2]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"grafiti": 2}, "source.nodes: there is no simulated cluster 'grafiti'; choose among"),
        ({"graffiti": 0}, "source.nodes.graffiti: 0 is not a number of nodes"),
        ({"graffiti": True}, "source.nodes.graffiti: True is not a number of nodes"),
        ({"grappe": 3}, "source.nodes: no cluster with GPUs"),
    ],
)
def test_cluster_names_with_bad_counts_raise(nodes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match="^" + re.escape(message)):
        cluster_names({"nodes": nodes})


def test_node_count_of_unknown_cluster_raises() -> None:
    with pytest.raises(
        InputError, match=r"study\.clusters: the simulated site has no cluster 'gros'"
    ):
        node_count({}, "gros")


@pytest.mark.parametrize(
    "sunday", [date(2000, 4, 23), date(2024, 3, 31), date(2025, 4, 20), date(2038, 4, 25)]
)
def test_easter_sunday_matches_the_calendar(sunday: date) -> None:
    assert easter_sunday(sunday.year) == sunday


def test_public_holidays_of_2025_match_the_calendar() -> None:
    moving = {date(2025, 4, 21), date(2025, 5, 29), date(2025, 6, 9)}
    assert moving | {date(2025, 5, 1), date(2025, 7, 14)} <= public_holidays(2025)
    assert len(public_holidays(2025)) == 11


def test_submission_times_favour_office_hours_and_deadlines() -> None:
    start, end = datetime(2025, 3, 3, tzinfo=UTC), datetime(2025, 4, 28, tzinfo=UTC)
    deadline = datetime(2025, 4, 7, tzinfo=UTC)
    timetable = SubmissionTimes(start=start, end=end, deadline=deadline)
    rng = np.random.default_rng(1)
    drawn_s = np.array([timetable.draw_s(rng) for _ in range(4000)])
    assert drawn_s.min() >= 0
    assert drawn_s.max() < 56 * 86400
    day, hour = drawn_s // 86400, drawn_s // 3600 % 24
    # UTC hours 8 to 16 are 9 to 18 in Paris, one hour earlier from 30 March on
    assert np.isin(hour, range(8, 17)).mean() > 0.5
    assert (day % 7 >= 5).mean() < 0.15
    before, after = (day >= 14) & (day < 35), day >= 35
    assert before.sum() / 21 > 1.5 * after.sum() / 21
    assert (day == 49).sum() < (day == 50).sum()  # Easter Monday, and the Tuesday after


def test_teams_have_unique_logins_and_enough_people() -> None:
    logins = [person.login for team in TEAMS for person in team.people]
    assert len(logins) == len(set(logins))
    assert all(len(team.people) >= 5 for team in TEAMS if team.weight >= 0.2)
    assert sum(team.weight for team in TEAMS) == pytest.approx(1)
    for team in TEAMS:
        assert set(team.clusters) <= set(CLUSTER_HARDWARE)
        assert sum(person.weight for person in team.people) == pytest.approx(1)


def test_weighted_choice_selects_by_cumulative_weight() -> None:
    weights = {"a": 1.0, "b": 3.0}
    assert [select_by_weight(weights, draw) for draw in (0.0, 0.24, 0.25, 0.99)] == [
        "a",
        "a",
        "b",
        "b",
    ]
