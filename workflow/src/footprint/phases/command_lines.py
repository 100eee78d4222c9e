"""Parts of a command line that may name its work: scripts, subcommands, options, settings.

The parts are found by patterns and not by a shell: quotes, parentheses and pipes only separate
words. Folders are left out, because they locate a file and contain logins, and so are files of data
and models, outputs, environment variables and the values of all options that name no action.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

COMMAND_PARTS = ("forced", "scripts", "subcommands", "flags", "settings")
"""Parts of a command, by precedence: the first that names a work decides.

- `forced`: options that replace the work of a script: `--mode=test`, `task=train`, `--eval-only`.
- `scripts`: scripts, modules (`-m vllm.entrypoints.api_server`) and the command itself.
- `subcommands`: other words that are no option, value or file: `python main.py train`.
- `flags`: options named after a work: `--do_train`, `--eval`, `--multirun`.
- `settings`: settings files and the values of options for settings and experiments, such as
  `--config`, `--exp_name`.
"""

_SCRIPT = r"py|sh|bash|zsh|pl|R|jl|oar|slurm|sbatch|lua|m|ipynb|exe|bin|out|sif"
_SETTINGS = r"ya?ml|json|toml|gin|ini|cfg|conf|jsonnet"
_DATA = (
    r"txt|csv|tsv|scp|jsonl|npy|npz|parquet|arrow|h5|hdf5|lmdb|wav|flac|mp3|mp4|tar|gz|zip|zst|pkl"
    r"|pt|pth|ckpt|safetensors|gguf|onnx|log|err|png|jpg|pdf|lst|stm|trn|db|sqlite"
)
_ACTION_KEYS = (
    r"mode|task|phase|action|job_type|cmd|command|subcommand|stage|pipeline|run_mode|run_type"
)
_SETTINGS_KEYS = (
    r"(?:config|conf|cfg|recipe|experiment|exp|run|job)(?:[_-]?(?:name|file|path|id))?|name|c"
)

# What is removed or rewritten first, in this order. Two spaces separate all words from then on, so
# that neighbouring matches need not share one.
_REWRITES: tuple[tuple[str, str], ...] = (
    (r"""['"`(){}\[\]\\]""", " "),
    (r"(?:&?\d?>>?|\btee\b(?:\s+-a)?)\s*[^\s;|&]+", " "),  # outputs
    (r"&&|\|\|?|;|\n|&(?:\s|$)", " § "),  # the next word is a command
    (r"(\.py\s+(?:\S+\s+)*?)-m\s", "$1 --multirun "),  # of Hydra
    (r"--multirun\b", "--multirun=true"),
    (r"\bwandb\s+agent\b", "sweep"),
    (r"\s+", "  "),
    (r"^ *", "  §  "),
    (r" §  +(?:\w+=\S*  +)+", "  §  "),  # environment variables
    (r"§  +(?:cd|source|\.|export|echo|module|conda|mkdir|pip|git|set|ulimit)  [^§]*", " "),
    (r" -m  +(?:[^\s.]+\.)*([^\s.]+)", "  §$1"),
    (r" §  +([^\s§-])", "  §$1"),
    (r" (\./\S+)", "  §$1"),
    (rf" ([^\s§=-][^\s=]*\.(?:{_SCRIPT}))(?: |$)", "  §$1 "),
    (rf"\S+\.(?:{_DATA})(?: |$)", "@ "),  # a value that names nothing
    (rf" ([^\s§=-]\S*\.(?:{_SETTINGS}))(?: |$)", "  config=$1 "),
    (r" (--?[A-Za-z][\w.-]*)  +([^\s§-]\S*)", "  $1=$2"),
    (r" --?[\w-]+=(?:[Ff]alse|no|0)(?: |$)", "  "),
    (r" (--?[\w-]+)=(?:[Tt]rue|yes|1)(?: |$)", "  $1 "),
    (r" [^\s§=-][^\s=]*/[^\s=]*", " "),  # paths that are neither scripts nor settings
    (r"[^\s=§]*/", ""),
    (r"\.(?:" + _SCRIPT + "|" + _SETTINGS + r")(?: |$)", "  "),
)


def command_parts(commands: pl.Series, works: Sequence[str]) -> pl.DataFrame:
    """Texts of each of `COMMAND_PARTS`: identifiers, by spaces; null where the command is null.

    Args:
        commands: Commands as they were submitted.
        works: Words that name a work, in small letters.
    """
    work = "|".join(re.escape(word) for word in sorted(works, key=lambda w: (-len(w), w)))
    patterns = {
        "forced": rf"(?i) -*(?:[\w]+\.)?(?:{_ACTION_KEYS})=[A-Za-z_-]+"
        rf"| --?(?:(?:{work})[_-]only|only[_-](?:{work}))(?: |$)",
        "scripts": r"§\S+",
        "subcommands": r" [A-Za-z][^\s=§]*(?: |$)",
        "flags": rf"(?i) --?(?:do[_-]|run[_-]|is[_-])?(?:{work})(?: |$)",
        "settings": rf"(?i) -*\+?(?:{_SETTINGS_KEYS})=\S+",
    }
    text = commands
    for pattern, replacement in _REWRITES:
        text = text.str.replace_all(pattern, replacement)
    rewritten = pl.DataFrame({"text": text})
    return rewritten.select(
        pl.col("text")
        .str.extract_all(pattern)
        .list.join(" ")
        .str.replace_all(r"(?:^|\s)(?:-*\+?[\w.-]+=)+", " ")
        .str.replace_all("§", " ")
        .alias(name)
        for name, pattern in patterns.items()
    )
