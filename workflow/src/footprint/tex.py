"""Text as LaTeX wants it."""

from __future__ import annotations

THIN_SPACE = "\u2009"

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    THIN_SPACE: r"\,",
    "\u2212": r"$-$",
    "–": "--",
    "’": "'",
    "×": r"$\times$",
    "·": r"$\cdot$",
}


def escaped(text: str) -> str:
    """A text in which no character is a command of LaTeX."""
    return "".join(LATEX.get(character, character) for character in text)
