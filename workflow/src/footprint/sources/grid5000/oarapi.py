"""Addresses and limits of OAR's own API, below that of Grid'5000."""

from __future__ import annotations

OARAPI_PAGE = 100
"""Jobs of a page: OAR's API makes several queries for each."""

DETAILS_LIST_NAME = "oarapi jobs/details"
"""Name of the list in counts of rejected rows."""

NOT_OPEN_STATUSES = frozenset([401, 403, 404])
"""HTTP statuses with which the API is not open to a user, or does not exist."""


def details_path(site: str) -> str:
    """Return the path of the list of jobs with their resources."""
    return f"/sites/{site}/internal/oarapi/jobs/details.json"


def count_path(site: str) -> str:
    """Return the path of the short list of jobs, whose total is OAR's own count."""
    return f"/sites/{site}/internal/oarapi/jobs.json"
