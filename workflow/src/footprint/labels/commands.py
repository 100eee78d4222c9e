"""Parts of commands by which runs of a user are alike: the script, its step, and its group.

One definition serves the labels of groups and the features of runs.
"""

from __future__ import annotations

import polars as pl

SETTINGS_ENDINGS = "ya?ml|json|toml|cfg|conf|ini|gin|txt|csv|tsv|scp"
_SETTINGS_FILE = rf"\s*[^\s<>|;&]+\.(?:{SETTINGS_ENDINGS})\b"
_STEP = r"\s*--?(?:start[_-]?)?stage[\s=]+(\d{1,3})\b"
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_LETTER_BEFORE = r"(^|[^A-Za-z])[A-Za-z]#"
_LETTER_AFTER = r"#[A-Za-z]([^A-Za-z]|$)"
_NUMBERS = r"#(?:[-_.,:#]*#)?"


def script_of(command: pl.Expr) -> pl.Expr:
    """A command without its settings files and recipe step, which is equal for repeated runs."""
    script = command.str.replace_all(_SETTINGS_FILE, "").str.replace_all(_STEP, "")
    return script.str.strip_chars()


def step_free(command: pl.Expr) -> pl.Expr:
    """A command without its recipe step and the names of its settings files, with their folders."""
    settings = rf"((?:^|[\s=])(?:[^\s=]*/)?)[^\s=/]+\.(?:{SETTINGS_ENDINGS})\b"
    return command.str.replace_all(settings, "$1").str.replace_all(_STEP, "").str.strip_chars()


def step_of(command: pl.Expr) -> pl.Expr:
    """The step at which a command starts its recipe, as in `--stage 4`; null: no step is named.

    Recipes of Kaldi and ESPnet number their steps in the order of the work: data first, then
    training, decoding last.
    """
    return command.str.extract(_STEP, 1).cast(pl.Int32, strict=False)


def group_of_command(command: pl.Expr) -> pl.Expr:
    """The group of a command: its script and words, with `#` for numbers; null: no command.

    Commands of one group differ in numbers (seeds, rates, versions, dates), in codes of one letter
    and a number (`v001`, `exp_3a`, `c12_s3`), in settings files and in spaces. The step of a recipe
    is kept, since it decides what the recipe does. A group is its own group, so that both a command
    and a group can be given in a label file.

    >>> command = pl.lit("python train.py --lr 1e-3 --seed 7 conf/big.yaml")
    >>> pl.select(group_of_command(command)).item()
    'python train.py --lr # --seed #'
    """
    text = (
        script_of(command)
        .str.replace_all(_NUMBER, "#")
        .str.replace_all(_LETTER_BEFORE, "${1}#")
        .str.replace_all(_LETTER_AFTER, "#${1}")
        .str.replace_all(_NUMBERS, "#")
        .str.replace_all(r"\s+", " ")
    )
    step = step_of(command)
    with_step = pl.format("{} --stage {}", text, step)
    return pl.when(text != "").then(pl.when(step.is_null()).then(text).otherwise(with_step))
