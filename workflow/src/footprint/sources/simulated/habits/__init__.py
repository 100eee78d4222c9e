"""Habits of people: work and styles that differ from the usual work of the simulated site.

A seed, or a list of names, chooses them (`source.habits`). Habits of work are campaigns with a true
kind; styles change the walltimes, commands and systems of all jobs of a person. No figure of this
package is shared with the classifier of phases.

Modules:
    choice: Names of the habits, and those that a configuration chooses.
    people: Styles of people, and the people who have a habit.
    command_lines: Command lines and names of jobs.
    loads: Random loads of the programs.
    sampling: Sampler of requests in the styles of the people.
    requested: Walltimes, jobs that resume after them, and systems without exporters.
    trainings: Campaigns of trainings.
    other_work: Campaigns of inference, data preparation, notebooks and crashes.
    requests: The campaigns by habit.
"""

from footprint.sources.simulated.habits.choice import HABITS, STYLES, WORK_SHARES, choose_habits

__all__ = ["HABITS", "STYLES", "WORK_SHARES", "choose_habits"]
