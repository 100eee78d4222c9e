"""A small study over the end of a month, for the library for notebooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rule_chain import CLUSTERS, METRIC, MONTHS, RuleChain


@pytest.fixture(scope="package")
def chain(tmp_path_factory: pytest.TempPathFactory) -> RuleChain:
    made = RuleChain(tmp_path_factory.mktemp("study"))
    made.run_to_energies()
    return made


@pytest.fixture(scope="package")
def study(chain: RuleChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study with the tables of the chain."""
    folder = tmp_path_factory.mktemp("opened")
    energy = folder / "results/energy"
    energy.mkdir(parents=True)
    for name in ("jobs", "job_nodes", "nodes"):
        chain.read(f"energy-{name}").write_parquet(energy / f"{name}.parquet")
    chain.read("node_allocations").write_parquet(energy / "node_allocations.parquet")
    for cluster in CLUSTERS:
        monthly = folder / "resources/nancy/power" / METRIC / cluster
        monthly.mkdir(parents=True)
        for month, path in zip(MONTHS, chain.monthly_paths("power", cluster), strict=True):
            (monthly / f"{month}.parquet").symlink_to(path)
    return folder
