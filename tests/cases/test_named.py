"""Each folder of FOOTPRINT_SHARED_CASES is read by a test."""

from __future__ import annotations

from pathlib import Path

TRACKER_PREFIXES = ("tools-20-", "tools-21-")
"""Cases of `footprint track`, whose tests bring their own commands."""


def test_each_case_is_named_by_a_test(shared_cases: Path) -> None:
    texts = [path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    cases = {path.name for path in shared_cases.iterdir() if (path / "expected.md").exists()}
    assert len(cases) > 20
    unread = {
        name
        for name in cases
        if not name.startswith(TRACKER_PREFIXES) and not any(name in text for text in texts)
    }
    assert unread == set()
