"""Words that labels, tables and the tracker share; nothing is imported here, so that all may."""

from __future__ import annotations

KINDS = (
    "interactive",
    "debug",
    "idle_hold",
    "preprocessing",
    "training_run",
    "inference_run",
    "unknown",
)
ROLES = ("reported", "other")
PHASES = ("training", "inference", "development", "unknown")

LEAST_MEASURED_FRAC = 0.9
"""Part of the time of development, and of the reported training, that a ratio needs measured.

A side of which a half was measured counts with half its energy, and R is wrong by a factor of two.
"""

STATEMENTS = ("paper", "kind", "role", "phase")
"""What a label may say of a job."""

ALLOWED = {
    "kind": KINDS,
    "role": ROLES,
    "phase": tuple(phase for phase in PHASES if phase != "unknown"),
}
"""The values of those statements that are not free."""
