"""Requests in the style of a person: requested walltime, rest after a walltime, own system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from footprint.sources.simulated.habits.people import PersonalStyle
from footprint.sources.simulated.job_requests import JobKind, JobRequest
from footprint.sources.simulated.load_models import draw_lognormal, draw_uniform
from footprint.sources.simulated.submission_times import DAY_S, HOUR_S, MINUTE_S

PRODUCTION_LIMIT_S = 168 * HOUR_S
"""Longest walltime of the queue `production` at Nancy (Grid'5000, usage policy)."""

DEFAULT_LIMIT_S = 62 * HOUR_S
"""Longest walltime of the queue `default`: from Friday 19:00 to Monday 9:00 (usage policy)."""

_RESERVE_FACTORS = (1.05, 1.6)
_SHORTEST_WALLTIME_S = 10 * MINUTE_S
_OWN_SYSTEM_PROBABILITY = 0.8


def queue_limit_s(request: JobRequest) -> int:
    """Longest walltime of the queue of a request."""
    return DEFAULT_LIMIT_S if request.cluster == "grouille" else PRODUCTION_LIMIT_S


def style_campaign(
    campaign: Sequence[JobRequest], styles: Mapping[str, PersonalStyle], rng: np.random.Generator
) -> list[JobRequest]:
    """Requests of a campaign, with their followers and inner jobs, in the style of their owner.

    All jobs of one kind in a campaign request the same walltime, as an array or a loop does.

    Work that is longer than the walltime is resumed by further jobs where the request has a chain;
    otherwise the walltime ends it. The runtime of a request of a habit is that of all its work. A
    job of the usual work that its walltime should end is deleted after the same time if the style
    requests a longer walltime.
    """
    factor = draw_uniform(rng, _RESERVE_FACTORS)
    longest_s: dict[JobKind, int] = {}
    for request in campaign:
        _collect_longest(request, longest_s)
    reserved_s = {kind: round(factor * runtime_s) for kind, runtime_s in longest_s.items()}
    return [_apply_style(request, styles, reserved_s, rng) for request in campaign]


def _collect_longest(request: JobRequest, longest_s: dict[JobKind, int]) -> None:
    """Raise the longest runtime of each kind to those of a request and of the requests on it."""
    own_s = request.runtime_s
    if request.habit is None:
        own_s = min(own_s, request.walltime_s)
    longest_s[request.kind] = max(longest_s.get(request.kind, 0), own_s)
    for _, each in (*request.then, *request.inside):
        _collect_longest(each, longest_s)


def _apply_style(
    request: JobRequest,
    styles: Mapping[str, PersonalStyle],
    reserved_s: Mapping[JobKind, int],
    rng: np.random.Generator,
) -> JobRequest:
    style = styles[request.login]
    then, inside = (
        tuple((delay_s, _apply_style(each, styles, reserved_s, rng)) for delay_s, each in pairs)
        for pairs in (request.then, request.inside)
    )
    request = replace(request, then=then, inside=inside)
    if style.own_system and _can_deploy(request) and rng.random() < _OWN_SYSTEM_PROBABILITY:
        types = (*request.types, "deploy")
        request = replace(request, types=types, n_gpus=0, n_cores=0)
    if style.walltimes == "usual_walltime" and request.habit is None:
        return request
    is_resumed = request.chain is not None
    if request.habit is None and request.runtime_s > request.walltime_s:
        request = replace(request, runtime_s=request.walltime_s, ending="deleted")
    walltime_s = requested_walltime_s(request, style, reserved_s[request.kind])
    if request.runtime_s <= walltime_s or not is_resumed:
        return replace(request, walltime_s=walltime_s)
    return _split_by_walltime(request, walltime_s, rng)


def requested_walltime_s(request: JobRequest, style: PersonalStyle, reserved_s: int) -> int:
    """Walltime that a person requests for the work of a request.

    Args:
        request: Request, with the usual walltime.
        style: Style of the person.
        reserved_s: Expected runtime with a reserve.
    """
    limit_s = queue_limit_s(request)
    if style.walltimes == "day_walltime":
        return min(DAY_S, limit_s)
    if style.walltimes == "limit_walltime":
        return limit_s
    if style.walltimes == "fitted_walltime":
        # people round to ten minutes below four hours, and to hours above
        step_s = _SHORTEST_WALLTIME_S if reserved_s < 4 * HOUR_S else HOUR_S
        return min(limit_s, max(_SHORTEST_WALLTIME_S, ceil(reserved_s / step_s) * step_s))
    return min(limit_s, request.walltime_s)


def _split_by_walltime(
    request: JobRequest, walltime_s: int, rng: np.random.Generator
) -> JobRequest:
    """First of the jobs that do the work of a request, each ended by its walltime but the last."""
    n_whole, rest_s = divmod(request.runtime_s, walltime_s)
    last = replace(request, walltime_s=walltime_s, runtime_s=max(rest_s, MINUTE_S))
    head = last
    for _ in range(n_whole):
        delay_s = round(
            draw_lognormal(rng, median=40 * MINUTE_S, spread=1.4, low=MINUTE_S, high=46 * HOUR_S)
        )
        head = replace(
            last,
            runtime_s=2 * walltime_s,
            ending="done",
            exit_code=0,
            then=((delay_s, head),),
            inside=(),
            suspended=None,
        )
    return head


def _can_deploy(request: JobRequest) -> bool:
    """Whether a request can deploy a system: it needs whole nodes, and no array does so."""
    is_batch = not request.interactive and not request.types and not request.inside
    return is_batch and request.array is None and bool(request.n_gpus or not request.n_cores)
