"""Addresses in a configuration: none with a password."""

from typing import Any

import pytest

from footprint import settings
from footprint.errors import InputError

STUDY = {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28"}


@pytest.mark.parametrize("kind", ["simulated", "grid5000"])
@pytest.mark.parametrize(
    ("key", "address", "line"),
    [
        ("url", "https://me:secret@api.grid5000.fr/stable", "holds a login; put it into the file"),
        ("url", "me:secret", "this is no address of a service; write it as https://api"),
        ("url", ["https://me:secret@x"], "what is given cannot be used; give a text"),
        ("oar_database", "postgresql://me:secret@oardb/oar2", "the address holds a password; put"),
        ("oar_database", {"me": "secret"}, "what is given cannot be used; give a text"),
    ],
)
def test_addresses_with_a_password_are_refused_and_not_repeated(
    kind: str, key: str, address: Any, line: str
) -> None:
    with pytest.raises(InputError) as refused:
        settings.load({"study": STUDY, "source": {"kind": kind, key: address}})
    message = str(refused.value)
    assert message.startswith(f"source.{key}: ")
    assert line in message
    assert "secret" not in message
