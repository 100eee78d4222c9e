"""Tests of groups of commands: numbers, settings files and spaces do not count; steps do."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.labels.commands import group_of_command

pytestmark = pytest.mark.filterwarnings("error")


def group(command: str | None) -> str | None:
    found: str | None = pl.select(group_of_command(pl.lit(command, pl.String))).item()
    return found


@pytest.mark.parametrize(
    "command",
    [
        "python train.py --lr 1e-3 --seed 7",
        "python train.py --lr 0.1 --seed 12",
        "python  train.py\t--lr 1E+2 --seed 7 ",
        "python train.py --lr # --seed #",
        "python train.py --lr 1 --seed 2 conf/big_7.yaml",
    ],
)
def test_group_of_command_omits_numbers_spaces_and_settings(command: str) -> None:
    assert group(command) == "python train.py --lr # --seed #"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("./run.sh --stage 4 egs/v001/final.yaml", "./run.sh --stage 4"),
        ("./run.sh --stage 6 egs/v002", "./run.sh egs/# --stage 6"),
        ("python main.py folds=1,2,3 day=2025-03-10_12:00", "python main.py folds=# day=#"),
        ("python eval.py", "python eval.py"),
        ("python run.py exp/c12_s3", "python run.py exp/#"),
        ("./run.sh exp_3a", "./run.sh exp_#"),
        ("./train.sh resnet50 w2v", "./train.sh resnet# #"),
        ("   ", None),
        ("conf.yaml", None),
        (None, None),
    ],
)
def test_group_of_command_keeps_words_and_step(command: str | None, expected: str | None) -> None:
    assert group(command) == expected


@given(st.text(alphabet="ab1.-_ =/e", max_size=20), st.sampled_from(["", " --stage 3"]))
def test_group_of_group_is_itself(text: str, step: str) -> None:
    once = group(text + step)
    assert once is None or group(once) == once
