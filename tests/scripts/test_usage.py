"""Scripts of active users and of the map, run as their rules run them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from footprint.schemas.usage import ActiveUsers
from tests.support.rule_scripts import figure_paths, table_paths
from tests.support.study_frames import PROVENANCE

pytestmark = pytest.mark.filterwarnings("error")

Run = Callable[..., str]


@pytest.mark.parametrize("statistics", [False, True])
def test_scripts_of_active_users_write_counts_without_logins(
    run: Run, tmp_path: Path, statistics: bool
) -> None:
    start = datetime(2025, 3, 4, tzinfo=UTC)
    users = [f"login{i}" for i in range(5)]
    jobs = pl.DataFrame(
        {"user": users, "started_at": start, "stopped_at": start, "walltime_s": 3600}
    )
    jobs.write_parquet(tmp_path / "jobs.parquet")
    platform = tmp_path / "platform.csv"
    platform.write_text("year,active_users\n2023,600\n2024,620\n")
    given = str(platform) if statistics else None
    log = run(
        "count_users",
        input={"jobs": str(tmp_path / "jobs.parquet")},
        output={
            "users": tmp_path / "users.parquet",
            "rejected": tmp_path / "rejected.parquet",
        },
        params={
            "start": "2025-03-03",
            "end": "2025-04-28",
            "usage": {"history": None, "statistics": given, "every": "year"},
            "privacy": {"key": None, "minimum_group": 3},
        },
    )
    found = pl.read_parquet(tmp_path / "users.parquet")
    assert ActiveUsers.is_valid(found)
    assert found["n_users"].to_list() == ([600, 620] if statistics else [5])
    log += run(
        "plot_active_users",
        input={"users": str(tmp_path / "users.parquet")},
        output=figure_paths(tmp_path),
        params={"site": "nancy", "provenance": PROVENANCE},
    )
    tables_of = table_paths(tmp_path)
    log += run(
        "tabulate_active_users",
        input={"users": str(tmp_path / "users.parquet")},
        output=tables_of,
        params={"site": "nancy", "provenance": PROVENANCE},
    )
    assert log == ""
    csv = tables_of["csv"].read_text()
    assert ("2024-01-01,2024-12-31,620,as given" in csv) is statistics
    assert ("2024-04-28,2025-04-27,5,a lower bound" in csv) is not statistics
    assert not any("login" in path.read_text() for path in tables_of.values())
    svg = (tmp_path / "figure.svg").read_text()
    assert ("620" in svg) is statistics
    assert ("at least 5" in svg) is not statistics
    assert "login" not in svg


def test_plot_site_map_writes_figure_with_the_site(run: Run, tmp_path: Path) -> None:
    paths = figure_paths(tmp_path)
    params = {"site": "nancy", "provenance": PROVENANCE}
    assert run("plot_site_map", output=paths, params=params) == ""
    assert all(path.stat().st_size > 100 for path in paths.values())
    assert "Nancy" in paths["svg"].read_text()
