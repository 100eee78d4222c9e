"""Masking of secrets in a command line or a note before it is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from footprint.tracker.secret_names import SERVICES, holds_secret, is_secret_file
from footprint.tracker.secret_tools import is_secret_given_on, secret_arguments

MASK = "***"
LONGEST_TEXT = 4000
"""Characters of a word or a note that are recorded; of a longer one, the rest is masked."""

_NAME = re.compile(r"(?<![\w.-])[+-]{0,2}[A-Za-z_][\w.-]*")
_QUOTED = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
_ESCAPED_QUOTED = r"""\\"(?:(?!\\").)*\\\""""
_SCHEME = r"(?:(?:Bearer|Basic|Token|ApiKey)\s+)?"
_ASSIGNED_VALUE = re.compile(
    rf"""\\?["']?\]?\s*(?:=>|:=|[=:])\s*{_SCHEME}(?:[\[(]\s*(?=["']))?(?![\[(]\*\*\*)"""
    rf"""(?P<value>{_ESCAPED_QUOTED}|{_QUOTED}|[^\s"',;&}})]+)""",
    re.IGNORECASE,
)
_NEXT_IN_LIST = re.compile(r"""["']\s*,\s*["'](?P<value>[^"']+)""")
_PASSWORD_IN_PROSE = re.compile(
    r"\b(?:password|passwd|passphrase|pw|mdp)\s+(?:is|was|est)\s+(?P<value>\S+)"
    r"|\bmot\s+de\s+passe\s*(?:\b(?:est|is)\s|[:=])\s*(?P<french>\S+)",
    re.IGNORECASE,
)
_SERVICE = "|".join(sorted(SERVICES))
_KEY_IN_PROSE = re.compile(
    rf"(?<![A-Za-z])(?:(?:access|api|secret|{_SERVICE})[ _-](?:key|token)"
    rf"|cl[ée]\s+(?:api|{_SERVICE}))"
    r"\s*(?:(?:\b(?:is|was|est)\s|[:=])\s*(?P<value>\S+)"
    r"|\s(?!required|available|provided)(?P<next>[^\s,;]{8,}))"
    r"|\b(?:key|token)\s+(?:is|was|est)\s+(?P<random>(?=\S*\d)(?=\S*[A-Za-z])\S{12,})",
    re.IGNORECASE,
)
_LOGIN_IN_FILE = re.compile(r"\blogin\s+\S+\s+password\s+(?P<value>[^\s\"']+)")
_LOGIN_PAIR = re.compile(
    rf"""(?P<call>(?:\bauth\s*=\s*|Auth)[\[(]\s*)[^\s()\[\],]+\s*,\s*(?:{_ESCAPED_QUOTED}|{_QUOTED})"""
)
_SETTING_CALL = re.compile(
    r"""\b(?:get|getenv|pop|putenv|set|setdefault|setenv|setItem|set_\w+|add_header)\(\s*"""
    r"""\\?["'](?P<name>[\w.-]+)\\?["']\s*,\s*"""
    rf"""(?P<value>{_ESCAPED_QUOTED}|{_QUOTED})"""
)
_LOGIN_BEFORE_PORT = re.compile(r"""(?<![\w:/@.+-])[\w.+-]*:[^\s"'/@]+(?=@[\w.-]+:\d{2,5}(?!\w))""")
_HOOK = re.compile(
    r"""https?://(?:[^\s"'/]*mattermost[^\s"']{,80}?|[^\s"'/]+/mattermost|"""
    r"""[^\s"'/]+(?:/[\w-]+)?(?=/hooks/[a-z0-9]{20}))/hooks/(?P<value>[\w/-]+)"""
)
_REDIRECTION = re.compile(r"""(?<!\d)>{1,2}\|?\s*(?P<path>[^\s>]+)""")
_ASSIGNMENT = re.compile(r"[+-]{0,2}[A-Za-z_][\w.-]*=")
_HEADER = re.compile(rf"(?P<name>[A-Za-z][\w-]*):\s+{_SCHEME}(?P<value>\S.*)", re.DOTALL | re.I)
_OPTION = re.compile(r"--?[A-Za-z_][\w.-]*")
_LOGIN_IN_ADDRESS = re.compile(
    r"(?<=://)[^/\s\"'?#]*:[^/\s\"'?#]*(?=@)"
    r"|(?:(?<=http://)|(?<=https://))[^/\s\"'?#]+(?=@)"
)
_PARAMETER = re.compile(
    r"(?<=[?&])(?P<name>key|sig|signature|code(?==[^&\s]{12})|x-amz-[\w-]*(?:signature|credential)|"
    r"x-goog-signature)=(?P<value>[^&\s\"'#]+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"""(?<![A-Za-z0-9_])(?:
      gh[oprsu]_[A-Za-z0-9]{16,} | github_pat_\w{16,} | gl(?:pat|dt|rt|ptt|soat|cbt)-[\w.-]{12,}
    | (?:hf|api_org)_[A-Za-z0-9]{30,}
    | sk-(?:proj|svcacct|admin|None|ant|or|lf)-(?=[\w-]*\d)[\w-]{16,}
    | sk-(?:[a-z0-9]+-){,2}(?=[A-Za-z]*\d)[A-Za-z0-9]{20,} | [sr]k_(?:live|test)_\w{10,}
    | xox[abceoprs]-[\w-]{10,} | xapp-[\w-]{10,}
    | (?:AKIA|ASIA)[A-Z0-9]{12,} | AIza[\w-]{30,} | ya29\.[\w-]{12,} | GOCSPX-[\w-]{16,}
    | eyJ[\w-]+\.[\w-]+\.[\w-]* | npm_[A-Za-z0-9]{30,} | pypi-AgE[\w-]{16,}
    | dckr_(?:pat|oat)_[\w-]{16,} | (?:hvs|hvb|hvr)\.[\w-]{16,} | dop_v1_[0-9a-f]{32,}
    | nvapi-(?=[\w-]*\d)[\w-]{40,} | (?:pplx|xai|tvly(?:-dev|-prod)?)-[A-Za-z0-9]{20,}
    | (?:gsk|r8|ntn)_[A-Za-z0-9]{30,} | shpat_[0-9a-fA-F]{32} | (?:lsv2_[ps][tk]|wandb_v1)_\w{20,}
    | SG\.[\w-]{10,}\.[\w-]{10,} | AGE-SECRET-KEY-1[A-Z0-9]{20,}
    | \d{8,10}:AA[\w-]{30,}
    | (?<=hooks\.slack\.com/services/)[\w/]+ | (?<=/api/webhooks/)\d+/[\w-]+
    | (?<=/webhookb2/)[\w@/-]+
    )""",
    re.VERBOSE,
)
"""Tokens with a characteristic prefix, recognised after any name."""
_PEM = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----).*?(-----END [A-Z ]*-----|\Z)", re.DOTALL
)
_SCHEME_VALUE = re.compile(
    r"\b(?P<scheme>Bearer|Basic)\s+(?P<value>(?=\S*[\d=+/.])[\w+/=.~-]{8,})", re.IGNORECASE
)
_LOGIN_CALL = re.compile(rf"\blogin\(\s*(?:\w+\s*=\s*)?(?P<value>{_QUOTED})")
_OPENSSL_PASSWORD = re.compile(r"(?<![\w/])pass:(?P<value>\S+)")
_VALUES = (
    _PARAMETER,
    _SCHEME_VALUE,
    _LOGIN_CALL,
    _OPENSSL_PASSWORD,
    _PASSWORD_IN_PROSE,
    _KEY_IN_PROSE,
    _LOGIN_IN_FILE,
    _HOOK,
)
"""Patterns whose last group is a secret."""
_EMBEDDED_WORD = re.compile(rf"""(?:{_QUOTED}|\\.|[^\s"';|&]|["'])+""")
_VARIABLE = re.compile(r"""["']?\$(?:\w+|\{[^}]*\}|\(.*\))["']?""")


def mask_secrets(command: Iterable[str]) -> list[str]:
    """Words of a command line with `***` in place of passwords, tokens and keys.

    Secrets are recognised by the name of their option, variable or header (`--api-key X`,
    `PGPASSWORD=X`, also inside `bash -c "..."`), by the tool that they are given to (`mysql -pX`),
    by their form (`hf_...`), and in addresses (`https://user:X@host`). Where the end of a secret is
    ambiguous, the longer text is masked.

    Args:
        command: Words of the command line.
    """
    return _mask_arguments([_mask_word(_shortened(word)) for word in command])


def mask_text(text: str) -> str:
    """A free text, such as a note, with its secrets masked.

    Args:
        text: The text.
    """
    return _mask_embedded(_mask_forms(_shortened(text)))


def _shortened(text: str) -> str:
    """The start of a long text, up to a blank, so that no secret is cut in two."""
    if len(text) <= LONGEST_TEXT:
        return text
    start = re.match(r"(?:.*\s)?", text[:LONGEST_TEXT], re.DOTALL)
    return f"{start[0] if start else ''}{MASK}"


def _mask_arguments(words: list[str], *, is_shell_line: bool = False) -> list[str]:
    """Words of one simple command with the values of secret options masked."""
    masked = list(words)
    for index, (word, value) in enumerate(pairwise(words)):
        is_option = re.fullmatch(r"-[A-Za-z]", value) or value.startswith("--")
        if _OPTION.fullmatch(word) and not is_option and holds_secret(word, value):
            masked[index + 1] = MASK
    for index, start in secret_arguments(words):
        masked[index] = words[index][:start] + MASK
    if is_shell_line:  # a variable is not its value
        for index, word in enumerate(words):
            if masked[index] != word and _VARIABLE.fullmatch(
                word[len(masked[index]) - len(MASK) :]
            ):
                masked[index] = word
    return masked


def _mask_word(word: str) -> str:
    """One word with its secrets masked; the word may be a shell line or an HTTP header."""
    assignment = _ASSIGNMENT.match(word)
    if assignment and holds_secret(assignment[0][:-1], word[assignment.end() :]):
        return assignment[0] + MASK  # blanks may be part of the secret
    header = _HEADER.fullmatch(word)
    if header and holds_secret(header["name"], header["value"]):
        return word[: header.start("value")] + MASK
    masked = _mask_forms(word)
    return _mask_embedded(masked) if any(each.isspace() for each in masked) else masked


def _mask_forms(text: str) -> str:
    """A text with the secrets masked that are recognised by a name beside them, or by form."""
    text = _PEM.sub(rf"\1{MASK}\2", text)
    text = _LOGIN_IN_ADDRESS.sub(MASK, text)
    text = _LOGIN_BEFORE_PORT.sub(MASK, text)
    text = _LOGIN_PAIR.sub(rf"\g<call>{MASK}, {MASK}", text)
    text = _SETTING_CALL.sub(_mask_setting, text)
    text = "".join(_mask_assigned(text))
    for pattern in _VALUES:
        text = pattern.sub(_mask_value, text)
    return _TOKEN.sub(MASK, text)


def _mask_value(match: re.Match[str]) -> str:
    start, end = match.span(match.lastgroup or 0)
    return match[0][: start - match.start()] + MASK + match[0][end - match.start() :]


def _mask_setting(match: re.Match[str]) -> str:
    is_held = holds_secret(match["name"], match["value"].strip("\\\"'"))
    return _mask_value(match) if is_held else match[0]


def _mask_assigned(text: str) -> Iterator[str]:
    """Consecutive parts of a text, with the value after each secret name masked."""
    position = 0
    for name in _NAME.finditer(text):
        if name.start() < position:
            continue
        match = _ASSIGNED_VALUE.match(text, name.end())
        if match is None and name[0].startswith("--"):
            match = _NEXT_IN_LIST.match(text, name.end())
        if match is None:
            continue
        value = match["value"].strip("\\\"'")
        if holds_secret(name[0], value) and not _VARIABLE.fullmatch(match["value"]):
            yield text[position : match.start("value")] + MASK
            position = match.end("value")
    yield text[position:]


def _mask_embedded(text: str) -> str:
    """A shell line with the secrets of each of its commands masked."""
    commands: list[list[re.Match[str]]] = [[]]
    end = 0
    for match in _EMBEDDED_WORD.finditer(text):
        if any(each in text[end : match.start()] for each in ";|&\n"):
            commands.append([])
        commands[-1].append(match)
        end = match.end()
    parts: list[str] = []
    position = 0
    for command, following in zip(commands, [*commands[1:], []], strict=True):
        for match, new in zip(command, _mask_line_words(command, following), strict=True):
            parts += [text[position : match.start()], new]
            position = match.end()
    return "".join([*parts, text[position:]])


def _mask_line_words(
    command: Sequence[re.Match[str]], following: Sequence[re.Match[str]]
) -> list[str]:
    """New texts of the words of a command in a shell line."""
    words = [each[0] for each in command]
    quotes = [word[0] if word[:1] in "\"'" and word[-1] == word[0] else "" for word in words]
    bare = [word.strip(quote) if quote else word for word, quote in zip(words, quotes, strict=True)]
    masked = _mask_arguments(bare, is_shell_line=True)
    is_given_on = is_secret_given_on([each[0] for each in following])
    files = _REDIRECTION.finditer(" ".join(words))
    if bare[:1] in (["echo"], ["printf"]) and (
        is_given_on or any(is_secret_file(each["path"]) for each in files)
    ):
        kept = re.compile(r"-.*|>{1,2}.*|" + _VARIABLE.pattern)
        is_target = [False, *[bool(re.fullmatch(r">{1,2}", word)) for word in bare]]
        masked = [
            word if not i or is_target[i] or kept.fullmatch(word) else MASK
            for i, word in enumerate(bare)
        ]
    return [
        word if new == old else MASK if new == MASK else quote + new + quote
        for word, old, new, quote in zip(words, bare, masked, quotes, strict=True)
    ]
