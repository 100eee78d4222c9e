"""The tracker inside Python: a block or a function, for notebooks, epochs and single runs."""

from __future__ import annotations

import os
import sys
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import Any

from footprint.tracker import facts, ledger, mask, recorder
from footprint.tracker.command import DEVICES_VARIABLE, WITHIN_VARIABLE
from footprint.vocabulary import ALLOWED

MARKS = {"training-run": "training_run", "inference-run": "inference_run", "epoch": None}
"""What a block may be, and the kind of run that it is."""
READY_S = 2.0
"""Longest wait for the driver before a block begins, so that its energy is known from there on."""

_around: ContextVar[str | None] = ContextVar("footprint_around", default=None)
_recorders: dict[tuple[int, Path], recorder.Recorder] = {}


def track(
    *,
    paper: str | None = None,
    phase: str | None = None,
    role: str | None = None,
    kind: str | None = None,
    note: str | None = None,
    mark: str | None = None,
    ledger: str | Path | None = None,
    devices: bool = True,
) -> Tracked:
    """Track a block (`with footprint.track(phase="training"):`) or a function (`@...`).

    Blocks inside others, or inside `footprint track`, belong to those around them. An exception in
    the block is recorded by its name, and passes.

    Args:
        paper: Paper that it is for.
        phase: `training`, `inference` or `development`.
        role: `reported` or `other`.
        kind: Kind of run; `mark` gives that of runs.
        note: Anything to remember, as the number of an epoch.
        mark: What the block is: `training-run`, `inference-run` or `epoch`.
        ledger: Folder of the records; None: where `footprint track` keeps them.
        devices: Whether to read the energy of GPUs and processors.

    Raises:
        ValueError: A value that is not among those above.
    """
    if mark is not None and mark not in MARKS:
        raise ValueError(f"mark {mark!r} is not one of {', '.join(MARKS)}")
    labels = {"paper": paper, "kind": kind or MARKS.get(mark or ""), "role": role, "phase": phase}
    for name, value in labels.items():
        if value is not None and value not in ALLOWED.get(name, (value,)):
            raise ValueError(f"{name} {value!r} is not one of {', '.join(ALLOWED[name])}")
    said = {name: value for name, value in labels.items() if value is not None}
    return Tracked(said, mark=mark, note=note, folder=ledger, devices=devices)


class Tracked(ContextDecorator):
    """A block that is tracked; `track` makes them."""

    def __init__(
        self,
        labels: dict[str, str],
        *,
        mark: str | None,
        note: str | None,
        folder: str | Path | None,
        devices: bool,
    ) -> None:
        self._labels, self._mark, self._note = labels, mark, note
        self._folder, self._devices = folder, devices
        self._pid: int | None = None
        self._span: recorder.Span | None = None
        self._recorder: recorder.Recorder | None = None
        self._token: Token[str | None] | None = None

    def _recreate_cm(self) -> Tracked:
        """A block of its own for each call of a function."""
        return Tracked(
            dict(self._labels),
            mark=self._mark,
            note=self._note,
            folder=self._folder,
            devices=self._devices,
        )

    def __enter__(self) -> Tracked:
        try:
            self._begin()
        except Exception as error:
            _tell(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._token is not None:
                _around.reset(self._token)
                self._token = None
            # a process that was forked inside the block leaves it as well
            if self._recorder is not None and self._span is not None and self._pid == os.getpid():
                self._recorder.end(
                    self._span,
                    exit_status=0 if kind is None else 1,
                    error=None if kind is None else kind.__name__,
                )
                self._span = None
        except Exception as failure:
            _tell(failure)

    def _begin(self) -> None:
        around = _around.get() or os.environ.get(WITHIN_VARIABLE)
        is_outermost = _around.get() is None
        self._pid = os.getpid()
        known = facts.gather(os.environ) if is_outermost else {}
        self._recorder = _recorder(self._folder, self._devices)
        self._span = self._recorder.begin(
            within=around,
            mark=self._mark,
            labels=self._labels or None,
            note=self._note,
            command=mask.masked(sys.argv) if is_outermost else None,
            **known,
        )
        self._recorder.watch()
        self._recorder.ready.wait(READY_S)
        self._token = _around.set(self._span.identity)


def _recorder(folder: str | Path | None, devices: bool) -> recorder.Recorder:
    """The recorder of this process for a ledger; a forked process has its own."""
    chosen = Path(folder) if folder is not None else ledger.default_folder()
    key = (os.getpid(), chosen.expanduser().absolute())
    if key not in _recorders:
        oar, host = facts.oar(os.environ), os.uname().nodename
        file = ledger.Ledger(key[1], job=oar["job_id"] if oar else None, host=host)
        wanted = devices and os.environ.get(DEVICES_VARIABLE) != "0"
        _recorders[key] = recorder.Recorder(file, find=recorder.sources() if wanted else {})
    return _recorders[key]


def _tell(error: Any) -> None:
    print(f"footprint: not tracked ({error})", file=sys.stderr)
