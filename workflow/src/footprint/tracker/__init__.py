"""The job-side tracker: a command (`footprint track`) and a context manager (`footprint.track`).

Takes a command or a block of Python; gives a ledger of tracked runs and a report of their energy
(`footprint report`). Needs the standard library alone; an error of the tracker never reaches the
tracked command. `docs/tracker.md` defines the format of a ledger.

Modules:
    command: `footprint track`.
    marks: `footprint.track`, for blocks and functions.
    signals: signals that are held for the command.
    witness: process that tells signals of a group from those of the tracker alone.
    process: child process with forwarded signals.
    execution: replacement of a process by a command.
    recorder: records of runs while they last.
    ledger: file of one process in a ledger.
    facts: job, host, commit and versions of a start record.
    mask: secrets of a command line or a note.
    secret_names: names of secrets.
    secret_tools: arguments of known tools that are secrets.
    meter: cumulative energy of devices.
    shared_accounts: division of this energy among the trackers of a machine.
    nvml: energy of NVIDIA GPUs.
    rapl: energy of processors and memory.
    closing_line: line on the terminal at the end of a command.
    companion: CodeCarbon beside a tracked command.
    reading: ledgers read back.
    report: energy of one person's tracked runs.
    report_forms: a report as text, Markdown, LaTeX and JSON.
"""
