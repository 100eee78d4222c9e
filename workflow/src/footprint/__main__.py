"""The command `footprint`, and `python -m footprint`.

`track` and `report` run beside a job, must start at once and need no third-party package. They are
run before the commands of the pipeline, and the packages that these import, are loaded.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command in `sys.argv`."""
    if sys.argv[1:2] == ["track"]:
        try:
            from footprint.tracker import signals

            signals.hold_signals()  # a signal from here on is the command's
        except KeyboardInterrupt:
            raise SystemExit(130) from None  # as a command that Ctrl-C ends before it runs
        from footprint.tracker import command

        command.main(sys.argv[2:])
    if sys.argv[1:2] == ["report"]:
        import signal

        from footprint.tracker import report

        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `footprint report | head` must not fail
        raise SystemExit(report.main(sys.argv[2:]))
    from footprint import cli

    cli.main()


if __name__ == "__main__":
    main()
