"""Signals that the tracker passes on to its command, held from the start of the tracker on.

This module imports nothing slow, so that signals are held before the other modules are loaded.
"""

from __future__ import annotations

import signal

FORWARDED_SIGNALS = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGWINCH,
        signal.SIGXCPU,
        *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
    }
)

_original_mask: set[int] | None = None


def hold_signals() -> set[int]:
    """Block the forwarded signals and SIGCHLD in this process, and return the mask before.

    A held signal stays pending until it is taken. Further calls return the same mask.
    """
    global _original_mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*FORWARDED_SIGNALS, signal.SIGCHLD})
    if _original_mask is None:
        _original_mask = mask
    return _original_mask


def take_signals(timeout_s: float = 0.0) -> list[signal.struct_siginfo]:
    """Take the held signals from those pending, in their order.

    Args:
        timeout_s: Longest wait for the first one.
    """
    taken: list[signal.struct_siginfo] = []
    while (info := signal.sigtimedwait(FORWARDED_SIGNALS, 0 if taken else timeout_s)) is not None:
        taken.append(info)
    return taken
