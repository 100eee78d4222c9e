"""Text with LaTeX's special characters escaped."""

from __future__ import annotations

NARROW_SPACE = "\u202f"
"""No-break space between a number and its unit; LaTeX's `\\,`."""

LATEX_ESCAPES = {
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
    "[": "{[}",  # at the start of a row, it would be an option of the line break before
    "]": "{]}",
    "<": r"$<$",
    ">": r"$>$",
    NARROW_SPACE: r"\,",
    "\u2212": r"$-$",
    "–": "--",
    "’": "'",
    "×": r"$\times$",
    "·": r"$\cdot$",
}


def escape_latex(text: str) -> str:
    """Return the text with each character of `LATEX_ESCAPES` replaced by its LaTeX code."""
    return "".join(LATEX_ESCAPES.get(character, character) for character in text)
