"""Addresses of services and databases in a configuration, which must not hold a password.

Snakemake keeps what rules are given, and messages end up in logs: no message repeats an address.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from footprint.errors import InputError

SERVICE, DATABASE = "source.url", "source.oar_database"

URL = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")
ADDRESS = re.compile(
    r"postgres(ql)?://([^:/?#@\s]+@)?(\[[^]/?#@\s]+\]|[^]:[/?#@\s]+)(:\d+)?/[^/?#@\s]+(\?[^#@\s]*)?"
)
PASSWORD = re.compile(r"//[^@]*:[^@]*@|password\s*=", re.IGNORECASE)


def check_service(address: str) -> None:
    """Refuse an address that holds a login, or is none of a service.

    Raises:
        InputError: What is wrong.
    """
    if "@" in address:
        what, do = "the address holds a login", "put it into the file that source.credentials names"
        raise InputError(what, where=SERVICE, do=do)
    if not URL.fullmatch(address):
        do = "write it as https://api.grid5000.fr/stable"
        raise InputError("this is no address of a service", where=SERVICE, do=do)


def check_database(address: str) -> None:
    """Refuse an address that holds a password, names no host or no database, or is none at all.

    Raises:
        InputError: What is wrong.
    """
    if PASSWORD.search(unquote(address)):
        what, do = "the address holds a password", "put the password into ~/.pgpass or PGPASSWORD"
        raise InputError(what, where=DATABASE, do=do)
    if not ADDRESS.fullmatch(address):
        what = "this is no address of a PostgreSQL database, with its host and name"
        do = "write it as postgresql://oarreader@oardb:5432/oar2"
        raise InputError(what, where=DATABASE, do=do)
