"""The command `footprint`: commands beside the workflow.

Takes the arguments of the command line and calls the stage that answers. The parsers need the
standard library alone, so that help and version work without the packages of the pipeline; a
command imports what it needs when it runs.

Modules:
    main: parser of all commands; errors as one line.
    studies: init, run and explain, on the folder of a study.
    tables: plan, check, labels, publish and calibrate.
    server: serve.
    completion: completion of commands and options in a shell.
"""

from footprint.cli.main import main

__all__ = ["main"]
