"""Checks of addresses in a configuration: secrets are refused and not repeated."""

from typing import Any

import pytest

from footprint.config import settings
from footprint.core.errors import InputError

STUDY = {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28"}


@pytest.mark.parametrize("kind", ["simulated", "grid5000"])
@pytest.mark.parametrize(
    ("key", "address", "expected"),
    [
        (
            "url",
            "https://me:secret@api.grid5000.fr/stable",
            "contains a login; move it to the file",
        ),
        (
            "url",
            "me:secret",
            "this is not the address of a service; set it in the form https://api",
        ),
        ("url", ["https://me:secret@x"], "the value cannot be used; set it to a text"),
        (
            "oar_database",
            "postgresql://me:secret@oardb/oar2",
            "the address contains a password; move",
        ),
        ("oar_database", {"me": "secret"}, "the value cannot be used; set it to a text"),
    ],
)
def test_address_with_a_secret_is_refused_without_repeating_it(
    kind: str, key: str, address: Any, expected: str
) -> None:
    with pytest.raises(InputError) as refused:
        settings.prepare_configuration({"study": STUDY, "source": {"kind": kind, key: address}})
    message = str(refused.value)
    assert message.startswith(f"source.{key}: ")
    assert expected in message
    assert "secret" not in message
