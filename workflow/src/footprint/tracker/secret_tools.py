"""Short options and arguments of known tools that are secrets, as `mysql -pX` and `curl -u a:X`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from footprint.tracker.secret_names import (
    FILE_ENDINGS,
    PLAIN_VALUES,
    holds_secret,
    is_secret_file,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class SecretOption(NamedTuple):
    """Options of a tool whose value is a secret.

    Attributes:
        letters: Letters of the options.
        subcommand: Argument that must be there too; None: none.
        form: Pattern of a value that holds a secret.
        is_attached: Whether the value follows in the same word: True: always, False: never, None:
            either.
        is_grouped: Whether other letters may precede, as in `unzip -oP X`.
        names: Long options with the same values.
    """

    letters: str
    subcommand: str | None = None
    form: str = r".+"
    is_attached: bool | None = None
    is_grouped: bool = False
    names: tuple[str, ...] = ()


_LOGIN_FORM = r"[^:]*:.+"
_OPTIONS = {
    "mysql mysqldump mysqladmin mysqlimport mysqlshow mariadb mariadb-dump mycli": SecretOption(
        "p"
    ),
    "openssl": SecretOption("kK", subcommand="enc", is_attached=False),
    "zip unzip": SecretOption("P", is_grouped=True),
    "mongo mongosh mongodump mongorestore mongoexport mongoimport": SecretOption("p"),
    "sshpass rabbitmqadmin twine ncftp ncftpget ncftpput": SecretOption("p"),
    "docker podman nerdctl buildah skopeo helm oc az apptainer singularity oras": SecretOption(
        "p", subcommand="login"
    ),
    "synapse": SecretOption("p", subcommand="login"),
    "kaggle": SecretOption("v", subcommand="key"),
    "gh": SecretOption("b", subcommand="secret"),
    "redis-cli": SecretOption("a"),
    "curl": SecretOption(
        "uUb",
        form=rf"{_LOGIN_FORM}|[^=]+=.+",
        is_grouped=True,
        names=("--user", "--proxy-user"),
    ),
    "http https xh": SecretOption("a", form=_LOGIN_FORM, names=("--auth",)),
    "lftp open": SecretOption("u", form=r"[^,]*,.+"),
    "smbclient": SecretOption("U", form=r"[^%]*%.+"),
    "ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami": SecretOption("w"),
    "ipmitool mosquitto_pub mosquitto_sub sqlcmd bcp": SecretOption("P"),
    "ssh-keygen": SecretOption("NP"),
    "7z 7za 7zr": SecretOption("p", is_attached=True),
    "snmpget snmpwalk snmpset snmpbulkwalk": SecretOption("AX"),
    "influx": SecretOption("t"),
}
OPTIONS_OF_TOOL = {tool: option for tools, option in _OPTIONS.items() for tool in tools.split()}
_LOGIN_AT_HOST = re.compile(r"[^\s:@/]*:[^\s/]+@")
_PROXY_OPTION = re.compile(r"-[A-Za-z]*?x|--(?:proxy|preproxy|socks\w*)(?:=|$)")
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
_READERS_OF_STANDARD_INPUT = _words(
    "-S --password-stdin --with-token --stdin --passphrase-fd chpasswd kinit cryptsetup"
)
_TOOLS_WITH_LOGIN = _words("comet hf huggingface-cli vault wandb")
_USER_OPTION = re.compile(r"-[uU]|--(?:user|username|login)(?:=(?P<user>.+))?")
_PORT = re.compile(r"(?:[\w.]*:){0,2}\d{1,5}(?:-\d{1,5})?(?:/\w+)?|\d{1,5}\.\d+")
_TOOLS_WITH_OTHER_P = _words(
    "cp journalctl lsof ps rsync sacct salloc sbatch scancel scontrol sinfo sprio squeue sreport "
    "srun sshare top"
)
"""Tools with `-u` and a `-p` that is a partition, a priority or a process."""


def secret_arguments(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Word and first character of each argument that is secret by the tool that it is given to.

    Args:
        words: Words of one simple command.
    """
    yield from _of_login(words)
    for place, (word, value) in enumerate(pairwise([*words, ""])):
        # as in `git config user.token X`; a plain word such as `password` may be any argument
        if re.fullmatch(r"[\w/:.]*[._:][\w.]+|\w+:|(?:add-)?authtoken", word) and holds_secret(
            word, value
        ):
            yield place + 1, 0
        if word.startswith("<<<") and ("sudo" in words or is_secret_given_on(words)):
            yield (place, 3) if word != "<<<" else (place + (place + 1 < len(words)), 0)
        if proxy := _PROXY_OPTION.match(word):
            if proxy.end() == len(word) and _LOGIN_AT_HOST.match(value):
                yield place + 1, 0
            if _LOGIN_AT_HOST.match(word, proxy.end()):
                yield place, proxy.end()
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


def _of_login(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The password of `-u anne -p X` of any tool; a port, a number or a path is none."""
    if any(word.rpartition("/")[2] in _TOOLS_WITH_OTHER_P for word in words[:2]):
        return
    is_user_given = False
    is_value = False
    for place, (word, value) in enumerate(pairwise([*words, ""])):
        if is_value:
            is_value = False
        elif match := _USER_OPTION.fullmatch(word):
            user = match["user"] or value
            is_user_given = bool(re.fullmatch(r"(?!\d+$)[\w@.+][\w@.+-]*", user))
            # `python -u x.py` has no user
            is_user_given &= user.rpartition(".")[2] not in FILE_ENDINGS
            is_value = is_user_given and match["user"] is None
        elif word == "-p" and is_user_given:
            if holds_secret("--pass", value) and not _PORT.fullmatch(value) and value[0] != "-":
                yield place + 1, 0
            is_value = True
        elif word.startswith("-"):
            is_value = "=" not in word and not value.startswith("-")
        else:
            is_user_given = False  # another command, as of `sudo -u anne mkdir -p x`


def _of_options(tool: str, arguments: Sequence[str]) -> Iterator[tuple[int, int]]:
    option = OPTIONS_OF_TOOL[tool]
    if option.subcommand is not None and option.subcommand not in arguments:
        return
    grouped = "[A-Za-z]*?" if option.is_grouped else ""  # as in `curl -sSu a:X`
    flag = re.compile(rf"-{grouped}[{option.letters}]")
    form = re.compile(option.form, re.DOTALL)
    for index, word in enumerate(arguments):
        match = flag.match(word)
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if word in option.names and form.fullmatch(following):
            yield index + 1, 0
        long_option, _, value = word.partition("=")
        if long_option in option.names and form.fullmatch(value):
            yield index, len(long_option) + 1
        if match is None or word.startswith("--"):
            continue
        attached = word[match.end() :]
        if option.is_attached is False and attached:
            continue
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
    if is_sudo and any(word in _READERS_OF_STANDARD_INPUT for word in following):
        return True
    if "tee" in following and any(is_secret_file(word) for word in following):
        return True
    return "login" in following and any(word in _TOOLS_WITH_LOGIN for word in following)
