"""Checks of the addresses of services and databases, which must not contain a password.

Snakemake stores the parameters of rules, and messages are written to logs. Error messages therefore
never repeat an address.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from footprint.core.errors import InputError

SERVICE_KEY, DATABASE_KEY = "source.url", "source.oar_database"

SERVICE_PATTERN = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")
DATABASE_PATTERN = re.compile(
    r"postgres(ql)?://([^:/?#@\s]+@)?(\[[^]/?#@\s]+\]|[^]:[/?#@\s]+)(:\d+)?/[^/?#@\s]+(\?[^#@\s]*)?"
)
PASSWORD_PATTERN = re.compile(r"//[^@]*:[^@]*@|password\s*=", re.IGNORECASE)


def check_service_address(address: str) -> None:
    """Refuse an address that contains a login or is not the address of a web service.

    Raises:
        InputError: The address contains a login or is malformed.
    """
    if "@" in address:
        what, do = "the address contains a login", "move it to the file set in source.credentials"
        raise InputError(what, where=SERVICE_KEY, do=do)
    if not SERVICE_PATTERN.fullmatch(address):
        do = "set it in the form https://api.grid5000.fr/stable"
        raise InputError("this is not the address of a service", where=SERVICE_KEY, do=do)


def check_database_address(address: str) -> None:
    """Refuse an address that contains a password or is not the address of a PostgreSQL database.

    Raises:
        InputError: The address contains a password, lacks the host or the name, or is malformed.
    """
    if PASSWORD_PATTERN.search(unquote(address)):
        what, do = "the address contains a password", "move it to ~/.pgpass or PGPASSWORD"
        raise InputError(what, where=DATABASE_KEY, do=do)
    if not DATABASE_PATTERN.fullmatch(address):
        what = "this is not the address of a PostgreSQL database with its host and name"
        do = "set it in the form postgresql://oarreader@oardb:5432/oar2"
        raise InputError(what, where=DATABASE_KEY, do=do)
