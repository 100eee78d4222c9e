"""The exception for input that a user can fix."""


class InputError(Exception):
    """Input that cannot be used; the message is one line: where, what is wrong, how to fix it.

    Rules and commands print the message alone. Any other exception is a defect of the program and
    keeps its traceback.

    Attributes:
        what: What is wrong, without the place and the fix.
    """

    def __init__(self, what: str, *, where: str | None = None, do: str | None = None) -> None:
        self.what = _printable(what)
        parts = [f"{where}: {what}" if where else what, do]
        super().__init__(_printable("; ".join(part for part in parts if part)))


def _printable(text: str) -> str:
    """Return a text with line breaks, control characters and lone surrogates as escapes.

    Names and values in files appear in messages: they must not break the line or control a
    terminal.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
