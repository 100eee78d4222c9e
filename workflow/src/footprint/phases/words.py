"""What the words of a command or a job's name say: training, decoding, preparing data, waiting.

Only whole words count ("constraint" is no "train", "latest" no "test"): texts are split where
letters end and where a small letter meets a capital. Folders of paths are left out, since they say
where a script lies and hold logins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import polars as pl


@dataclass(frozen=True)
class Tokens:
    """Words that tell what a job does, in small letters.

    What scripts of training, decoding and data preparation are usually called, and what people of
    Grid'5000 run at a prompt or to keep a node. Chosen by hand; `phases.tokens` replaces any list.
    """

    training: tuple[str, ...] = (
        *("train", "trainer", "training", "finetune", "finetuning", "pretrain", "pretraining"),
        *("fit", "distill", "sft", "dpo"),
    )
    inference: tuple[str, ...] = (
        *("test", "eval", "evaluate", "evaluation", "infer", "inference", "decode", "decoding"),
        *("enhance", "enhancement", "separate", "separation", "metric", "metrics", "score"),
        *("scoring", "predict", "prediction", "generate", "transcribe", "synthesize", "export"),
    )
    preprocessing: tuple[str, ...] = (
        *("prepare", "prep", "preprocess", "preprocessing", "features", "feature", "corpus"),
        *("extract", "tokenize", "download", "resample", "augment", "simulate"),
    )
    prompt: tuple[str, ...] = ("jupyter", "jupyterlab", "ipython", "notebook", "tmux", "screen")
    waiting: tuple[str, ...] = ("sleep",)
    endless: tuple[str, ...] = ("infinity", "inf", "while", "forever")

    @classmethod
    def from_config(cls, tokens: Mapping[str, Sequence[str]]) -> Self:
        """Those of the configuration's `phases.tokens`; lists that it lacks keep their defaults."""
        known: dict[str, Any] = {
            field.name: tuple(word.lower() for word in tokens[field.name])
            for field in fields(cls)
            if field.name in tokens
        }
        return cls(**known)


def words(text: pl.Expr) -> pl.Expr:
    """Words of a text, in small letters; null for none.

    >>> pl.select(words(pl.lit("python /home/x/trainNet.py --lr 1e-3"))).item().to_list()
    ['python', 'train', 'net', 'py', 'lr', 'e']
    """
    return (
        text.str.replace_all(r"[^\s'\"=]*/", "")
        .str.replace_all(r"([a-z])([A-Z])", "$1 $2")
        .str.to_lowercase()
        .str.extract_all(r"[a-z]+")
    )


def has_any(listed: pl.Expr, tokens: Sequence[str]) -> pl.Expr:
    """Whether one of the words is among the tokens; null where there is no text."""
    return (
        listed.list.set_intersection(pl.lit(list(tokens), dtype=pl.List(pl.String))).list.len() > 0
    )


def work_of(listed: pl.Expr, tokens: Tokens) -> pl.Expr:
    """The one kind of work that words speak of, or null where they speak of none or of several.

    `train_test` speaks of two, and so of nothing.
    """
    named = {
        work: has_any(listed, getattr(tokens, work)).fill_null(False)
        for work in ("training", "inference", "preprocessing")
    }
    one = pl.sum_horizontal(found.cast(pl.Int8) for found in named.values()) == 1
    found = pl.coalesce(pl.when(has).then(pl.lit(work)) for work, has in named.items())
    return pl.when(one).then(found)


_SETTINGS_FILE = r"\s*\S+\.(?:ya?ml|json|toml|cfg|conf|ini|gin|txt|csv|tsv|scp)\b"
_STEP = r"\s*--?(?:start[_-]?)?stage[\s=]+(\d{1,3})\b"


def script_of(command: pl.Expr) -> pl.Expr:
    """A command without its settings files and its step: what stays when one script runs often."""
    bare = command.str.replace_all(_SETTINGS_FILE, "").str.replace_all(_STEP, "")
    return bare.str.strip_chars()


def step_of(command: pl.Expr) -> pl.Expr:
    """The step of a recipe that a command begins at, as in `--stage 4`; null: it names none.

    Recipes of Kaldi and ESPnet number their steps in the order of the work: data first, then
    training, decoding last.
    """
    return command.str.extract(_STEP, 1).cast(pl.Int32, strict=False)
