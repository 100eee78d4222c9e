"""`footprint.track`: record a block or a function of Python, as in notebooks and epochs."""

from __future__ import annotations

import os
import sys
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import Any

from footprint.core.vocabulary import LABEL_VALUES
from footprint.tracker import facts, ledger, mask, recorder, shared_accounts
from footprint.tracker.command import DEVICES_VARIABLE, WITHIN_VARIABLE

KIND_OF_MARK = {"training-run": "training_run", "inference-run": "inference_run", "epoch": None}
"""Marks of a block, and the kind of run that each implies."""
FIRST_READING_TIMEOUT_S = 2.0
"""Longest wait for the first reading, so that the energy of a block is measured from its start."""

_enclosing_run: ContextVar[str | None] = ContextVar("footprint_enclosing_run", default=None)
_recorders: dict[tuple[int, Path], recorder.Recorder] = {}
_group = shared_accounts.new_group()
"""Group of this process and of those forked from it, whose blocks are inside its own."""


def track(
    *,
    paper: str | None = None,
    phase: str | None = None,
    role: str | None = None,
    kind: str | None = None,
    stage: str | None = None,
    note: str | None = None,
    mark: str | None = None,
    ledger: str | Path | None = None,
    devices: bool = True,
) -> TrackedBlock:
    """Track a block (`with footprint.track(phase="training"):`) or a function (`@...`).

    A block inside another block, or inside `footprint track`, belongs to the enclosing run. An
    exception in the block is recorded by its type's name, and propagates.

    Args:
        paper: Paper that the block is for.
        phase: `training`, `inference` or `development`.
        role: `reported` or `other`.
        kind: Kind of run; default: the kind that `mark` implies.
        stage: Stage of the work on the paper, as `ablate`.
        note: Free text, such as the number of an epoch.
        mark: `training-run`, `inference-run` or `epoch`.
        ledger: Folder of the ledger; None: the default folder of `footprint track`.
        devices: Whether to read the energy of GPUs and processors.

    Raises:
        ValueError: `mark`, `phase`, `role`, `kind` or `stage` has another value.
    """
    if mark is not None and mark not in KIND_OF_MARK:
        raise ValueError(f"mark {mark!r} is not one of {', '.join(KIND_OF_MARK)}")
    statements = {
        "paper": paper,
        "kind": kind or KIND_OF_MARK.get(mark or ""),
        "role": role,
        "phase": phase,
        "stage": stage,
    }
    for name, value in statements.items():
        if value is not None and value not in LABEL_VALUES.get(name, (value,)):
            raise ValueError(f"{name} {value!r} is not one of {', '.join(LABEL_VALUES[name])}")
    labels = {name: value for name, value in statements.items() if value is not None}
    return TrackedBlock(labels, mark=mark, note=note, folder=ledger, devices=devices)


class TrackedBlock(ContextDecorator):
    """Context manager and decorator that records one run; created by `track`."""

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
        self._run: recorder.OngoingRun | None = None
        self._recorder: recorder.Recorder | None = None
        self._token: Token[str | None] | None = None

    def _recreate_cm(self) -> TrackedBlock:
        """A new block for each call of a decorated function."""
        return TrackedBlock(
            dict(self._labels),
            mark=self._mark,
            note=self._note,
            folder=self._folder,
            devices=self._devices,
        )

    def __enter__(self) -> TrackedBlock:
        try:
            self._begin_run()
        except Exception as error:
            _print_warning(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._token is not None:
                _enclosing_run.reset(self._token)
                self._token = None
            # a process that was forked inside the block leaves it as well
            if self._recorder is not None and self._run is not None and self._pid == os.getpid():
                self._recorder.end_run(
                    self._run,
                    exit_status=0 if kind is None else 1,
                    error=None if kind is None else kind.__name__,
                )
                self._run = None
        except Exception as failure:
            _print_warning(failure)

    def _begin_run(self) -> None:
        within = _enclosing_run.get() or os.environ.get(WITHIN_VARIABLE)
        is_outermost = _enclosing_run.get() is None
        self._pid = os.getpid()
        start_facts = facts.start_facts(os.environ) if is_outermost else {}
        self._recorder = _process_recorder(self._folder, self._devices)
        self._run = self._recorder.begin_run(
            within=within,
            mark=self._mark,
            labels=self._labels or None,
            note=None if self._note is None else mask.mask_text(self._note),
            command=mask.mask_secrets(sys.argv) if is_outermost else None,
            **start_facts,
        )
        self._recorder.start_thread()
        self._recorder.ready.wait(FIRST_READING_TIMEOUT_S)
        self._token = _enclosing_run.set(self._run.identity)


def _process_recorder(folder: str | Path | None, devices: bool) -> recorder.Recorder:
    """Recorder of this process for a ledger; a forked process has its own."""
    chosen = Path(folder) if folder is not None else ledger.default_folder()
    key = (os.getpid(), chosen.expanduser().absolute())
    if key not in _recorders:
        oar, host = facts.oar_job(os.environ), os.uname().nodename
        file = ledger.Ledger(key[1], job=oar["job_id"] if oar else None, host=host)
        with_devices = devices and os.environ.get(DEVICES_VARIABLE) != "0"
        sources = recorder.device_sources() if with_devices else {}
        accounts = shared_accounts.SharedAccounts(_group) if sources else None
        _recorders[key] = recorder.Recorder(file, sources=sources, accounts=accounts)
    return _recorders[key]


def _print_warning(error: Any) -> None:
    print(f"footprint: not tracked ({error})", file=sys.stderr)
