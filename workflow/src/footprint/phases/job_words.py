"""Find the work that the words of a command or job name stand for: training, decoding, waiting, ...

Only whole words count ("constraint" contains no "train", "latest" no "test"). Texts are split at
non-letters and where a small letter precedes a capital. Codes of experiments (`r3`, `lr1e4`,
`042b`) are no words. Which parts of a command count is in `command_lines`, what the words of one
identifier stand for together in `COMPOUNDS`: `train_tokenizer` is no training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Self

import polars as pl

from footprint.phases.command_lines import COMMAND_PARTS, command_parts


@dataclass(frozen=True)
class Tokens:
    """Words, in small letters, that stand for the work of a job.

    They are usual names of scripts, tools and options for training, decoding and data preparation,
    and commands with which people of Grid'5000 open a prompt or keep a node. They were chosen by
    hand; `phases.tokens` replaces any list. The weights (`footprint.phases.kind_weights`) read the
    work of commands and names, and count the words for tuning and trying.
    """

    training: tuple[str, ...] = (
        *("train", "trainer", "training", "finetune", "finetuning", "pretrain", "pretraining"),
        *("posttrain", "retrain", "fit", "distill", "distillation", "tuning", "sweep", "optuna"),
        *("multirun", "hpo", "hyperopt", "gridsearch"),
    )
    methods: tuple[str, ...] = ("sft", "dpo", "ppo", "grpo", "rlhf", "lora", "qlora")
    inference: tuple[str, ...] = (
        *("test", "eval", "evals", "evaluate", "evaluation", "evaluator", "infer", "inference"),
        *("decode", "decoding", "enhance", "enhancement", "separate", "separation", "metric"),
        *("metrics", "score", "scoring", "predict", "prediction", "predictions", "generate"),
        *("generation", "sample", "sampling", "transcribe", "translate", "synthesize", "export"),
        *("serve", "server", "serving", "vllm", "sglang", "ollama", "api", "bench", "benchmark"),
        *("benchmarks", "harness", "mteb", "mmlu", "tgi", "gradio", "endpoint", "rollout", "judge"),
        *("rerank", "embed", "embeddings", "wer", "bleu"),
    )
    preprocessing: tuple[str, ...] = (
        *("prepare", "prep", "preprocess", "preprocessing", "preproc", "features", "feature"),
        *("corpus", "extract", "extraction", "tokenize", "download", "resample", "augment"),
        *("simulate", "synth", "clean", "cleaning", "dedup", "deduplicate", "filter", "filtering"),
        *(
            "convert",
            "conversion",
            "dump",
            "crawl",
            "scrape",
            "binarize",
            "split",
            "parse",
            "shard",
        ),
        *("rsync", "wget", "unzip"),
    )
    objects: tuple[str, ...] = (
        *("tokenizer", "tokenizers", "bpe", "sentencepiece", "spm", "vocab", "vocabulary"),
        *("data", "dataset", "datasets", "set", "sets", "manifest", "manifests"),
    )
    prompt: tuple[str, ...] = ("jupyter", "jupyterlab", "ipython", "notebook", "tmux", "screen")
    waiting: tuple[str, ...] = ("sleep",)
    endless: tuple[str, ...] = ("infinity", "inf", "while", "forever")
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


TOKENIZER_WORDS = ("tokenizer", "tokenizers", "bpe", "sentencepiece", "spm", "vocab", "vocabulary")
"""Objects whose training takes minutes of processors and is preparation of data."""

_GENERATING = ("generate", "generation", "sample", "sampling")
_ATTEMPT_WORDS = ("test",)
_JOINING = ("and", "then", "n", "plus")

COMPOUNDS: tuple[tuple[str, str | None, str], ...] = (
    (r"\w*(?:[TM]x?K|K+x?T)\w*", "preprocessing", "train_tokenizer, bpe_training"),
    (r"\w*T\w*A\w*[TEXBP]\w*", "training", "train_and_eval"),
    (r"\w*[EXBP]\w*A\w*T\w*", "training", "prepare_and_train"),
    (r"[xADKM]*P\w*", "preprocessing", "prepare_train, clean_eval_data"),
    (r"\w*(?:TX|XT|B\w*T|T\w*B)\w*", None, "train_test, benchmark_training"),
    (r"[xM]*[TG]D\w*", "preprocessing", "train_data, generate_dataset"),
    (r"[xM]*G\w*P\w*", "preprocessing", "generate_corpus"),
    (r"[xM]*XD\w*", None, "test_data"),
    (r"[xADKM]*T\w*P\w*|\w*[EX]\w*P\w*", None, "train_features, test_features"),
    (r"[xADKM]*[EGB]\w*T\w*", "inference", "eval_trainer"),
    (r"\w*T\w*", "training", "train, train_eval"),
    (r"\w*[EGXB]\w*", "inference", "evaluate, sft_eval"),
    (r"\w*M\w*", "training", "sft, lora_large"),
)
"""Work of an identifier by the classes of its words in their order: the first pattern that fits.

The classes are T training, M method of training, P preprocessing, G generating or sampling, X the
word test, B benchmark, E all other inference, K tokenizer and vocabulary, D data, A and, x any
other word. A pattern is of the whole identifier. The last column has examples. None: the words
contradict each other, or name data.
"""

_MARKS = {"training": "t", "inference": "i", "preprocessing": "p", None: "-"}


def split_words(text: pl.Expr) -> pl.Expr:
    """Words of a text, in small letters; null where the text is null.

    >>> pl.select(split_words(pl.lit("python /home/x/trainNet.py --lr 1e-3"))).item().to_list()
    ['python', 'train', 'net', 'py', 'lr']
    """
    return (
        _without_codes(text.str.replace_all(r"[^\s'\"=]*/", ""))
        .str.to_lowercase()
        .str.extract_all(r"[a-z]+")
    )


# A code has digits after at most two letters, or after a word for experiments.
_CODE = r"(?i)([^a-z0-9]|^)(?:(?:exp|xp|run|job|trial|seed|fold|ver)?[a-z]{0,2}\d[a-z0-9]*)"


def _without_codes(text: pl.Expr) -> pl.Expr:
    """A text without codes of experiments, with words apart that capitals separate."""
    return (
        text.str.replace_all(_CODE, "$1")
        .str.replace_all(r"([a-z0-9])([A-Z])", "$1-$2")
        .str.replace_all(r"([A-Z])([A-Z][a-z])", "$1-$2")
    )


def has_any_word(words: pl.Expr, tokens: Sequence[str]) -> pl.Expr:
    """Whether one of the words is among the tokens; null where the words are null."""
    return (
        words.list.set_intersection(pl.lit(list(tokens), dtype=pl.List(pl.String))).list.len() > 0
    )


def work_of_command(command: pl.Expr, tokens: Tokens) -> pl.Expr:
    """The work that a command names; null: none, or several.

    The first of `COMMAND_PARTS` whose words name one work decides. A command that trains and does
    other work one after the other is a training, which takes most of its time.

    Args:
        command: Command as it was submitted.
        tokens: Words of each work.

    Returns:
        `training`, `inference`, `preprocessing` or null.
    """
    return command.map_batches(partial(_works_of_commands, tokens), return_dtype=pl.String)


def _works_of_commands(tokens: Tokens, commands: pl.Series) -> pl.Series:
    """Works of commands; each text that differs in more than its numbers is read once."""
    words = (*tokens.training, *tokens.methods, *tokens.inference, *tokens.preprocessing)
    # 0 and 1 stay: they switch options
    texts = commands.str.replace_all(r"[2-9]\d*|\d{2,}", "2").alias("text").to_frame()
    known = texts.unique().drop_nulls()
    parts = command_parts(known["text"], words)
    lines = parts.select(pl.concat_str(COMMAND_PARTS, separator="\n"))
    works = lines.select(work=_work_of_lines(pl.col(COMMAND_PARTS[0]), tokens))
    return texts.join(known.hstack(works), on="text", how="left", maintain_order="left")["work"]


def work_of_name(name: pl.Expr, tokens: Tokens) -> pl.Expr:
    """The work that a job name names; null: none, or several.

    `test` counts for nothing in a name: people call an attempt so.

    Args:
        name: Name given with `oarsub -n`.
        tokens: Words of each work.

    Returns:
        `training`, `inference`, `preprocessing` or null.
    """
    kept = tuple(word for word in tokens.inference if word not in _ATTEMPT_WORDS)
    without = Tokens(**(vars(tokens) | {"inference": kept}))
    return _work_of_lines(name.str.replace_all(r"\s+", "_"), without)


def _work_of_lines(text: pl.Expr, tokens: Tokens) -> pl.Expr:
    """The work that the first line with a work names, by its identifiers, which spaces separate.

    In a line, training wins over other works, and any other two contradict each other.
    """
    marks = text_classes(text, tokens)
    for pattern, work, _ in COMPOUNDS:
        marks = marks.str.replace_all(rf"\b(?:{pattern})\b", _MARKS[work])
    for pattern, mark in (
        ("^.*t.*$", "T"),
        ("^[^ip\n]*i[^p\n]*$", "I"),
        ("^[^ip\n]*p[^i\n]*$", "P"),
    ):
        marks = marks.str.replace_all(f"(?m){pattern}", mark)
    works = {"T": "training", "I": "inference", "P": "preprocessing"}
    first = marks.str.extract("(?m)^([TIP])$", 1)
    return first.replace_strict(works, default=None, return_dtype=pl.String)


def text_classes(text: pl.Expr, tokens: Tokens) -> pl.Expr:
    """Identifiers as the classes of `COMPOUNDS` of their words; lines and spaces stay.

    >>> text = pl.lit("train_bpe_tokenizer fineTune eval-3")
    >>> pl.select(text_classes(text, Tokens())).item()
    'TKK T E'
    """
    prefixes = r"\b(pre|post|fine|re|de)-?(train(?:ing)?|process(?:ing)?|tun(?:e|ing)|dup)\b"
    cleaned = (
        _without_codes(text)
        .str.to_lowercase()
        .str.replace_all(r"[^a-z\s]+", "-")
        .str.replace_all(r"[^\S\n]+", " ")
        .str.replace_all(prefixes, "$1$2")
        .str.replace_all(r"\b(?:train|test|dev)-clean\b", "-")  # parts of LibriSpeech
        .str.replace_all(r"\bgrid-search\b", "sweep")
    )
    inference = [word for word in tokens.inference if word not in (*_GENERATING, *_ATTEMPT_WORDS)]
    is_kept = set(tokens.inference)
    benchmarks = [word for word in inference if word.startswith("bench")]
    classes = {
        "T": tokens.training,
        "M": tokens.methods,
        "P": tokens.preprocessing,
        "G": [word for word in _GENERATING if word in is_kept],
        "X": [word for word in _ATTEMPT_WORDS if word in is_kept],
        "B": benchmarks,
        "E": [word for word in inference if word not in benchmarks],
        "K": [word for word in tokens.objects if word in TOKENIZER_WORDS],
        "D": [word for word in tokens.objects if word not in TOKENIZER_WORDS],
        "A": _JOINING,
    }
    for letter, words in classes.items():
        if words:
            cleaned = cleaned.str.replace_all(rf"\b(?:{'|'.join(map(re.escape, words))})\b", letter)
    return cleaned.str.replace_all(r"[a-z]+", "x").str.replace_all("-", "").str.strip_chars(" ")


COUNTED_WORDS = ("tuning", "trying")
"""Lists of `Tokens` whose words are counted in commands and in names."""


def count_words(words: pl.Expr, tokens: Tokens) -> dict[str, pl.Expr]:
    """Number of different words of each list of `COUNTED_WORDS`; null where the words are null."""
    return {
        name: words.list.set_intersection(
            pl.lit(list(getattr(tokens, name)), dtype=pl.List(pl.String))
        )
        .list.len()
        .cast(pl.Int8)
        for name in COUNTED_WORDS
    }
