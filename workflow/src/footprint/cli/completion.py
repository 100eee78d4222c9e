"""Completion of commands and options in bash and zsh."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

_BASH = """_footprint() {{
    local words
    case "${{COMP_WORDS[1]}}" in
{cases}
        *) words="{commands}" ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then words="{commands}"; fi
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _footprint footprint
"""

_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def add_commands(commands: Any) -> None:
    """Add the command `completion`."""
    parser = commands.add_parser(
        "completion",
        help="print what lets a shell complete commands and options",
        description="Print what lets a shell complete the commands and options of footprint.",
        examples=[
            "footprint completion bash >> ~/.bashrc",
            "footprint completion zsh >> ~/.zshrc",
        ],
    )
    parser.add_argument("shell", choices=["bash", "zsh"])


def script(
    shell: str, parser: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser]
) -> str:
    """Return the lines for the configuration of a shell.

    Args:
        shell: bash or zsh.
        parser: Parser of `footprint`.
        commands: Parser of each command.
    """
    cases = "\n".join(
        f'        {name}) words="{" ".join(_option_names(each))}" ;;'
        for name, each in commands.items()
    )
    words = " ".join([*commands, *_option_names(parser)])
    return (_ZSH if shell == "zsh" else "") + _BASH.format(cases=cases, commands=words)


def _option_names(parser: argparse.ArgumentParser) -> list[str]:
    return [name for name in parser._option_string_actions if name.startswith("-")]
