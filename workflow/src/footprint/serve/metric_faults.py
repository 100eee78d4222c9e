"""Faults of Kwollect and the database behind it.

| kind | what the client gets |
| --- | --- |
| `too_much_data` | 500, code 38000: Kwollect's own refusal |
| `statement_timeout` | 500, code 57014, in two wordings |
| `out_of_memory` | 503, code 53200, or 500, code 54000 |
| `cut_rows` | the first 5000 readings, without a word: PostgREST's `db-max-rows` |
| `two_numbers` | some buckets of means over 5 minutes with two means |
"""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta

from starlette.responses import Response

from footprint.serve.metrics import RECORD_SEPARATOR, TOO_MUCH_CODE, TOO_MUCH_MESSAGE
from footprint.serve.refusals import postgrest_error

TIMEOUT_MESSAGE = "canceling statement due to statement timeout"
SIZE_REFUSALS = {
    "too_much_data": [(TOO_MUCH_MESSAGE, TOO_MUCH_CODE, 500)],
    "statement_timeout": [
        (TIMEOUT_MESSAGE, "57014", 500),
        (f"plpy.Error: {TIMEOUT_MESSAGE}", "57014", 500),
    ],
    "out_of_memory": [
        ("out of memory", "53200", 503),
        ("array size exceeds the maximum allowed (1073741823)", "54000", 500),
    ],
}
"""Messages, codes and statuses of the refusals of a request that is too large, by kind."""

SIZE_REFUSAL_KINDS = tuple(SIZE_REFUSALS)
SIZE_KINDS = (*SIZE_REFUSAL_KINDS, "cut_rows")
"""Kinds that only requests for more than ten minutes of readings have."""

MEANS_KINDS = ("two_numbers",)
"""Kinds that only requests for means have."""

MAX_CUT_ROWS = 5000
"""Readings of an answer with `cut_rows`."""

SHORTEST_REST = timedelta(minutes=2)
"""Shortest time that `cut_rows` leaves out: the end of a shorter one cannot be told from a pause of
the meters."""

DIFFERENT_MEANS_EVERY = 12
"""Rank of the means to which `two_numbers` adds another."""


def size_refusal(kind: str, request: str) -> Response:
    """Return the refusal of a request that is too large; the request selects the wording."""
    wordings = SIZE_REFUSALS[kind]
    message, code, status = wordings[zlib.crc32(request.encode()) % len(wordings)]
    return postgrest_error(message, code=code, status=status)


def cut_rows(body: bytes, end: datetime) -> bytes:
    """Return the first readings of an answer; the answer itself if it has few.

    Args:
        body: Answer of Kwollect.
        end: End of the requested window.
    """
    records = body.decode().split(RECORD_SEPARATOR)
    if len(records) <= MAX_CUT_ROWS:
        return body
    kept = RECORD_SEPARATOR.join(records[:MAX_CUT_ROWS]) + "]"
    last = datetime.fromisoformat(json.loads(records[MAX_CUT_ROWS - 1])["timestamp"])
    return kept.encode() if end - last >= SHORTEST_REST else body


def add_different_means(body: bytes) -> bytes:
    """Return means of which some buckets have a second one, as where labels changed in between."""
    records = body.decode().removeprefix("[").removesuffix("]").split(RECORD_SEPARATOR)
    written = []
    for rank, record in enumerate(records):
        written.append(record)
        mean = json.loads(record or "{}")
        if rank % DIFFERENT_MEANS_EVERY == 0 and isinstance(mean.get("value"), int | float):
            written.append(json.dumps(mean | {"value": mean["value"] + 10}))
    return f"[{RECORD_SEPARATOR.join(written)}]".encode()
