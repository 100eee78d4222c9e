"""The job's side: one word in front of a command, or a `with` around a block, and a ledger of both.

Nothing here needs a package beside Python's own, and nothing that goes wrong here may reach what is
tracked. The format of a ledger is in `docs/tracker.md`.
"""
