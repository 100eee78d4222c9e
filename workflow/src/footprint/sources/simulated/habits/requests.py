"""Submission of the work of habits, beside the usual work of the site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

import numpy as np

from footprint.sources.simulated.habits import other_work, trainings
from footprint.sources.simulated.habits.choice import ChosenHabits
from footprint.sources.simulated.habits.people import PersonalStyle, draw_people, draw_styles
from footprint.sources.simulated.habits.requested import style_campaign
from footprint.sources.simulated.habits.sampling import HabitSampler
from footprint.sources.simulated.random_numbers import random_generator
from footprint.sources.simulated.request_sampler import Campaign

CAMPAIGNS: dict[str, Callable[[HabitSampler], Campaign]] = {
    "late_resume": trainings.draw_late_resume,
    "reserved_node_training": trainings.draw_reserved_node_training,
    "one_job_sweep": trainings.draw_one_job_sweep,
    "array_sweep": trainings.draw_array_sweep,
    "loader_bound_training": trainings.draw_loader_bound_training,
    "multi_node_training": trainings.draw_multi_node_training,
    "fine_tuning": trainings.draw_fine_tuning,
    "inference_server": other_work.draw_inference_server,
    "evaluation_array": other_work.draw_evaluation_array,
    "corpus_generation": other_work.draw_corpus_generation,
    "processors_on_gpu_nodes": other_work.draw_processors_on_gpu_nodes,
    "open_notebook": other_work.draw_open_notebook,
    "crash_loop": other_work.draw_crash_loop,
}
"""Function that draws the work of each habit."""

_LARGEST_ARRAY_SHARE = 0.12


class HabitualWork:
    """Draws campaigns of habits, and all campaigns in the styles of the people."""

    def __init__(
        self,
        seed: int,
        chosen: ChosenHabits,
        counts: Mapping[str, int],
        keys: count[int],
        *,
        n_jobs: float,
    ) -> None:
        """Draw the styles.

        Args:
            seed: Seed.
            chosen: Habits of the site.
            counts: Number of nodes of each cluster.
            keys: Counter of keys of arrays and chains.
            n_jobs: Number of jobs that the site aims at; no array has more than an eighth of them.
        """
        self._seed, self._counts, self._keys = seed, counts, keys
        self.styles: dict[str, PersonalStyle] = draw_styles(seed, chosen)
        self._max_array = max(4, round(_LARGEST_ARRAY_SHARE * n_jobs))

    def sampler(
        self, rng: np.random.Generator, name: str, *, habit: str | None = None
    ) -> HabitSampler:
        """Sampler of an activity, or of a habit of work, with words of its own."""
        return HabitSampler(
            rng,
            self._counts,
            self._keys,
            words=random_generator(self._seed, "words", name),
            styles=self.styles,
            habit=habit,
            people=None if habit is None else draw_people(self._seed, habit),
            max_array=self._max_array,
        )

    def in_style(self, campaign: Campaign, rng: np.random.Generator) -> Campaign:
        """Campaign in the styles of the owners of its requests."""
        return style_campaign(campaign, self.styles, rng)
