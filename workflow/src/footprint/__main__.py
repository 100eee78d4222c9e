"""The command `footprint`, and `python -m footprint`.

What runs beside a job must start at once and needs no package: it goes its own way before the
commands of the pipeline, and what they import, are loaded.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that is asked for."""
    if sys.argv[1:2] == ["track"]:
        from footprint.tracker import command

        command.main(sys.argv[2:])
    if sys.argv[1:2] == ["report"]:
        import signal

        from footprint.tracker import report

        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `footprint report | head` is no error
        raise SystemExit(report.main(sys.argv[2:]))
    from footprint import cli

    cli.main()


if __name__ == "__main__":
    main()
