"""Short options and arguments of known tools that are secrets, as `mysql -pX` and `curl -u a:X`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from footprint.tracker.secret_names import PLAIN_VALUES, holds_secret


class SecretOption(NamedTuple):
    """Options of a tool whose value is a secret.

    Attributes:
        letters: Letters of the options.
        subcommand: Argument that must be there too; None: none.
        form: Pattern of a value that holds a secret.
        is_attached: Whether the value can only follow in the same word.
    """

    letters: str
    subcommand: str | None = None
    form: str = r".+"
    is_attached: bool = False


_LOGIN_FORM = r"[^:]*:.+"
_OPTIONS = {
    "mysql mysqldump mysqladmin mysqlimport mysqlshow mariadb mariadb-dump mycli": SecretOption(
        "p"
    ),
    "mongo mongosh mongodump mongorestore mongoexport mongoimport": SecretOption("p"),
    "sshpass rabbitmqadmin twine ncftp ncftpget ncftpput": SecretOption("p"),
    "docker podman nerdctl buildah skopeo helm oc az apptainer singularity oras": SecretOption(
        "p", subcommand="login"
    ),
    "kaggle": SecretOption("v", subcommand="key"),
    "gh": SecretOption("b", subcommand="secret"),
    "redis-cli": SecretOption("a"),
    "curl": SecretOption("uUb", form=rf"{_LOGIN_FORM}|[^=]+=.+"),
    "http https xh": SecretOption("a", form=_LOGIN_FORM),
    "lftp open": SecretOption("u", form=r"[^,]*,.+"),
    "smbclient": SecretOption("U", form=r"[^%]*%.+"),
    "ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami": SecretOption("w"),
    "ipmitool zip unzip mosquitto_pub mosquitto_sub sqlcmd bcp": SecretOption("P"),
    "ssh-keygen": SecretOption("NP"),
    "7z 7za 7zr": SecretOption("p", is_attached=True),
    "snmpget snmpwalk snmpset snmpbulkwalk": SecretOption("AX"),
    "influx": SecretOption("t"),
}
OPTIONS_OF_TOOL = {tool: option for tools, option in _OPTIONS.items() for tool in tools.split()}
LONG_LOGIN_OPTIONS = {"curl": ("--user", "--proxy-user"), "http": ("--auth",), "xh": ("--auth",)}
LAST_ARGUMENTS = {
    ("aws", "configure", "set"): 1,
    ("npm", "config", "set"): 1,
    ("wandb", "login"): 1,
    ("vault", "login"): 1,
    ("comet", "login"): 1,
    ("mc", "alias", "set"): 2,
    ("rclone", "obscure"): 1,
    ("htpasswd", "-b"): 1,
    ("htpasswd", "-nb"): 1,
    ("htpasswd", "-bn"): 1,
    ("nmcli", "password"): 1,
    ("mysqladmin", "password"): 1,
    ("dvc", "modify", "password"): 1,
    ("rclone", "pass"): 1,
}
"""Words in this order, and how many of the last arguments after them are secrets."""
NOT_SECRET_SETTINGS = ("region", "output", "registry", "profile", "proxy", "cache")
ATTACHED_FORMS = {
    "sqlplus impdp expdp": r"[\w$#]+/(?=[^/@]+@)",
    "xfreerdp wlfreerdp": r"/p:(?=.)",
    "rar unrar": r"-h?p(?=.)",
}
"""Start of a word of a tool before a secret."""
KNOWN_TOOLS = frozenset(
    {*OPTIONS_OF_TOOL, *(names[0] for names in LAST_ARGUMENTS), *" ".join(ATTACHED_FORMS).split()}
)
_READERS_OF_STANDARD_INPUT = ("-S", "--password-stdin", "--with-token", "--stdin", "chpasswd")


def secret_arguments(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Word and first character of each argument that is secret by the tool that it is given to.

    Args:
        words: Words of one simple command.
    """
    for place, (word, value) in enumerate(pairwise([*words, ""])):
        # as in `git config user.token X`; a plain word such as `password` may be any argument
        if re.fullmatch(r"[\w/:.]*[._:][\w.]+|\w+:", word) and holds_secret(word, value):
            yield place + 1, 0
        if word == "<<<" and "sudo" in words and value:
            yield place + 1, 0
        tool = word.rpartition("/")[2]
        if tool not in KNOWN_TOOLS:
            continue
        arguments = words[place + 1 :]
        if tool in OPTIONS_OF_TOOL:
            for index, start in _of_options(tool, arguments):
                yield place + 1 + index, start
        for tools, start_of_word in ATTACHED_FORMS.items():
            if tool in tools.split():
                for index, argument in enumerate(arguments):
                    if match := re.match(start_of_word, argument):
                        yield place + 1 + index, match.end()
        for names, count in LAST_ARGUMENTS.items():
            if tool == names[0]:
                for index in _of_last_arguments(names[1:], count, arguments):
                    yield place + 1 + index, 0


def _of_options(tool: str, arguments: Sequence[str]) -> Iterator[tuple[int, int]]:
    option = OPTIONS_OF_TOOL[tool]
    if option.subcommand is not None and option.subcommand not in arguments:
        return
    grouped = "[A-Za-z]*?" if tool == "curl" else ""  # as in `curl -sSu a:X`
    flag = re.compile(rf"-{grouped}[{option.letters}]")
    form = re.compile(option.form, re.DOTALL)
    for index, word in enumerate(arguments):
        match = flag.match(word)
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if word in LONG_LOGIN_OPTIONS.get(tool, ()) and form.fullmatch(following):
            yield index + 1, 0
        long_option, _, value = word.partition("=")
        if long_option in LONG_LOGIN_OPTIONS.get(tool, ()) and form.fullmatch(value):
            yield index, len(long_option) + 1
        if match is None or word.startswith("--"):
            continue
        attached = word[match.end() :]
        if attached and form.fullmatch(attached) and attached.lower() not in PLAIN_VALUES:
            yield index, match.end() + attached.startswith("=")
        is_option = re.fullmatch(r"--?[A-Za-z][\w-]*", following)
        if not attached and not option.is_attached and form.fullmatch(following) and not is_option:
            yield index + 1, 0


def _of_last_arguments(names: Sequence[str], count: int, arguments: Sequence[str]) -> Iterator[int]:
    places: list[int] = []
    for name in names:
        start = places[-1] + 1 if places else 0
        if name not in arguments[start:]:
            return
        places.append(start + list(arguments[start:]).index(name))
    rest = [i for i in range(places[-1] + 1, len(arguments)) if not arguments[i].startswith("--")]
    if not any(setting in arguments[i] for i in rest for setting in NOT_SECRET_SETTINGS):
        yield from rest[-count:]


def is_secret_given_on(following: Sequence[str]) -> bool:
    """Whether the next command of a pipeline reads a secret from its standard input.

    Args:
        following: Words of that command.
    """
    is_sudo = "sudo" in following or "-S" not in following
    return is_sudo and any(word in _READERS_OF_STANDARD_INPUT for word in following)
