"""Studies that several modules share: each is computed once a session and continued in copies."""

from __future__ import annotations

import pytest

from tests.support.rule_chain import RuleChain

IDLE_POWER = {"grele": 90.0}
"""Idle power in W: in two days no node is idle for long enough to measure it."""


@pytest.fixture(scope="session")
def energy_chain(tmp_path_factory: pytest.TempPathFactory) -> RuleChain:
    """Chain to the energies of jobs, hardware and GPUs; tests use it through `continue_in`."""
    made = RuleChain(tmp_path_factory.mktemp("energy_chain"))
    made.run_to_energies()
    made.prepare_gpus()
    return made


@pytest.fixture(scope="session")
def features_chain(energy_chain: RuleChain, tmp_path_factory: pytest.TempPathFactory) -> RuleChain:
    """Chain to the features of runs; tests use it through `continue_in`."""
    folder = tmp_path_factory.mktemp("features_chain")
    made = energy_chain.continue_in(folder, idle_power=IDLE_POWER)
    made.run_to_features()
    return made
