"""The one exception for input that a user can mend."""


class InputError(Exception):
    """Input that cannot be used: one line that says where, what, and what to do.

    Rules and commands print the message alone; any other exception is a defect and keeps its
    traceback.

    Attributes:
        what: What is wrong, without where it stands and what to do.
    """

    def __init__(self, what: str, *, where: str | None = None, do: str | None = None) -> None:
        self.what = what
        parts = [f"{where}: {what}" if where else what, do]
        super().__init__("; ".join(part for part in parts if part))
