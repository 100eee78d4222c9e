"""The simulated site as plain tables gives the energies of the simulated source."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from footprint.sources import registry
from tests.support import generic_tables
from tests.support.project import Project, configure, small_study
from tests.support.small_study import END, METRIC, START

pytestmark = pytest.mark.workflow

SERIES = ["prom_DCGM_FI_DEV_POWER_USAGE", "prom_node_load1"]
ENERGIES = ("measured_kwh", "estimated_kwh", "total_kwh", "total_low_kwh", "total_high_kwh")


@pytest.fixture(scope="module")
def both_studies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a study of the simulated source, and of one of its tables."""
    folder = tmp_path_factory.mktemp("generic")
    project = Project(folder)
    config = small_study(project)
    source = config["source"] | {"start": f"{START:%Y-%m-%d}", "end": f"{END:%Y-%m-%d}"}
    site = registry.open_site(source, site="nancy")
    margin = timedelta(hours=1)
    tables = generic_tables.write_site(
        site,
        folder / "tables",
        metric=METRIC,
        clusters=registry.source_clusters(source, site="nancy"),
        start=START - margin,
        end=END + margin,
    )
    key = folder / "key"
    key.write_text("0123456789abcdef" * 4)
    key.chmod(0o600)
    of_tables = config | {
        "source": {"kind": "generic", "directory": str(tables)},
        "privacy": {"key": str(key)},
    }
    studies = (
        configure(folder / "simulated", **config, download={"devices": SERIES}),
        configure(folder / "generic", **of_tables),
    )
    for study in studies:
        project.run(study, "--cores", "1", "combine_energy")
    return studies


@pytest.mark.parametrize(
    ("table", "key"), [("job_nodes", ["job_id", "node"]), ("jobs", ["job_id"])]
)
def test_tables_of_the_simulated_site_give_its_energies(
    both_studies: tuple[Path, Path], table: str, key: list[str]
) -> None:
    of_site, of_tables = (
        pl.read_parquet(folder / f"results/energy/{table}.parquet") for folder in both_studies
    )
    assert len(of_site) == len(of_tables) > 50
    both = of_site.join(of_tables, on=key, suffix="_of_tables")
    assert len(both) == len(of_site)
    for name in ENERGIES:
        assert both[name].null_count() == both[f"{name}_of_tables"].null_count()
        difference = (both[name] - both[f"{name}_of_tables"]).abs().max()
        assert difference is not None
        assert difference <= 1e-9 * both[name].max()
    assert of_site["measured_kwh"].sum() > 10


def test_tables_of_the_simulated_site_count_the_same_readings(
    both_studies: tuple[Path, Path],
) -> None:
    of_site, of_tables = (
        pl.read_parquet(folder / "results/energy/quality.parquet") for folder in both_studies
    )
    assert of_site.equals(of_tables)
