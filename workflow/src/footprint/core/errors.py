"""The exception for input that a user can fix."""


class InputError(Exception):
    """Input that cannot be used; the message is one line: where, what is wrong, how to fix it.

    Rules and commands print the message alone. Any other exception is a defect of the program and
    keeps its traceback.

    Attributes:
        what: What is wrong, without the place and the fix.
    """

    def __init__(self, what: str, *, where: str | None = None, do: str | None = None) -> None:
        self.what = what
        parts = [f"{where}: {what}" if where else what, do]
        super().__init__("; ".join(part for part in parts if part))
