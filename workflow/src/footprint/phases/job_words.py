"""Find the work that the words of a command or job name stand for: training, decoding, waiting, ...

Only whole words count ("constraint" contains no "train", "latest" no "test"). Texts are split at
non-letters and where a small letter precedes a capital. Folders of paths are left out, because they
locate a script and contain logins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import polars as pl


@dataclass(frozen=True)
class Tokens:
    """Words, in small letters, that stand for the work of a job.

    They are usual names of scripts for training, decoding and data preparation, and commands with
    which people of Grid'5000 open a prompt or keep a node. They were chosen by hand;
    `phases.tokens` replaces any list. The weights (`footprint.phases.kind_weights`) count the words
    of all lists, and the rules use the first six.
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
    generating: tuple[str, ...] = (
        *("serve", "server", "serving", "vllm", "tgi", "sglang", "ollama", "api", "endpoint"),
        *("gradio", "generate", "generation", "generations", "gen", "sample", "sampling", "synth"),
        *("synthetic", "rollout", "bench", "benchmark", "benchmarks", "harness", "mteb", "mmlu"),
        *("judge", "rerank", "embed", "embeddings", "wer", "bleu", "validate", "valid"),
    )
    data: tuple[str, ...] = (
        *("clean", "cleaning", "dedup", "deduplicate", "filter", "filtering", "convert", "dump"),
        *("tokenizer", "tokenizers", "tokenization", "bpe", "sentencepiece", "spm", "parse"),
        *("crawl", "shard", "index", "data", "dataset", "datasets", "rsync", "wget", "unzip"),
    )
    tuning: tuple[str, ...] = (
        *("optuna", "multirun", "hydra", "sweep", "hparam", "hparams", "hpo", "tune", "search"),
        *("grid", "agent", "ablation", "ablate", "torchrun", "deepspeed", "accelerate", "lora"),
        *("epochs", "baseline"),
    )
    trying: tuple[str, ...] = (
        *("debug", "dbg", "tmp", "toy", "smoke", "sanity", "try", "quick", "dummy", "overfit"),
        *("hello", "pdb", "mini", "nvidia", "smi"),
    )

    @classmethod
    def from_config(cls, tokens: Mapping[str, Sequence[str]]) -> Self:
        """Words of the configuration's `phases.tokens`; lists not in it keep their defaults."""
        configured: dict[str, Any] = {
            field.name: tuple(word.lower() for word in tokens[field.name])
            for field in fields(cls)
            if field.name in tokens
        }
        return cls(**configured)


def split_words(text: pl.Expr) -> pl.Expr:
    """Words of a text, in small letters; null where the text is null.

    >>> pl.select(split_words(pl.lit("python /home/x/trainNet.py --lr 1e-3"))).item().to_list()
    ['python', 'train', 'net', 'py', 'lr', 'e']
    """
    return (
        text.str.replace_all(r"[^\s'\"=]*/", "")
        .str.replace_all(r"([a-z])([A-Z])", "$1 $2")
        .str.to_lowercase()
        .str.extract_all(r"[a-z]+")
    )


def has_any_word(words: pl.Expr, tokens: Sequence[str]) -> pl.Expr:
    """Whether one of the words is among the tokens; null where the words are null."""
    return (
        words.list.set_intersection(pl.lit(list(tokens), dtype=pl.List(pl.String))).list.len() > 0
    )


def work_of_words(words: pl.Expr, tokens: Tokens) -> pl.Expr:
    """The one kind of work that the words stand for; null where they stand for none or several.

    `train_test` stands for two, and the result is null.
    """
    has_work = {
        work: has_any_word(words, getattr(tokens, work)).fill_null(False)
        for work in ("training", "inference", "preprocessing")
    }
    is_single = pl.sum_horizontal(has.cast(pl.Int8) for has in has_work.values()) == 1
    first_work = pl.coalesce(pl.when(has).then(pl.lit(work)) for work, has in has_work.items())
    return pl.when(is_single).then(first_work)


COUNTED_WORDS = ("training", "inference", "preprocessing", "generating", "data", "tuning", "trying")
"""Lists of `Tokens` whose words are counted in commands and in names."""

_TOKENIZERS = ("tokenizer", "tokenizers", "bpe", "sentencepiece", "spm")


def count_words(words: pl.Expr, tokens: Tokens) -> dict[str, pl.Expr]:
    """Number of different words of each list of `COUNTED_WORDS`; null where the words are null.

    Words for training count for nothing beside a word for a tokenizer: `train_tokenizer` prepares
    data.
    """
    numbers = {
        name: words.list.set_intersection(
            pl.lit(list(getattr(tokens, name)), dtype=pl.List(pl.String))
        ).list.len()
        for name in COUNTED_WORDS
    }
    is_tokenizer = has_any_word(words, _TOKENIZERS)
    numbers["training"] = (
        pl.when(~is_tokenizer).then(numbers["training"]).otherwise(is_tokenizer.cast(pl.UInt32) * 0)
    )
    return {name: number.cast(pl.Int8) for name, number in numbers.items()}


_SETTINGS_FILE = r"\s*\S+\.(?:ya?ml|json|toml|cfg|conf|ini|gin|txt|csv|tsv|scp)\b"
_STEP = r"\s*--?(?:start[_-]?)?stage[\s=]+(\d{1,3})\b"


def script_of(command: pl.Expr) -> pl.Expr:
    """A command without its settings files and recipe step, which is equal for repeated runs."""
    script = command.str.replace_all(_SETTINGS_FILE, "").str.replace_all(_STEP, "")
    return script.str.strip_chars()


def step_of(command: pl.Expr) -> pl.Expr:
    """The step at which a command starts its recipe, as in `--stage 4`; null: no step is named.

    Recipes of Kaldi and ESPnet number their steps in the order of the work: data first, then
    training, decoding last.
    """
    return command.str.extract(_STEP, 1).cast(pl.Int32, strict=False)
