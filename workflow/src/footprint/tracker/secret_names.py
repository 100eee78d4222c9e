"""Names of options, variables and headers that hold a secret, and values that are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STRONG_WORDS = _words(
    "password passwd passwort passphrase pwd pswd secret secrets apikey authtoken accesstoken "
    "accesskey secretkey authkey privatekey credential credentials authorization bearer kennwort "
    "motdepasse"
)
"""Words that mark a secret wherever they are in a name, but before a word of `ENDINGS`."""
RUN_TOGETHER = re.compile(
    r"\w*(?:password|passwd|passphrase|apikey|secret)"
    r"|(?:admin|bind|db|ftp|key|ldap|login|mail|my|root|smtp|sql|ssh|store|sudo|user)(?:pass|pw|pwd)"
    r"|(?:access|api|auth|bot|gh|github|gitlab|hf|id|oauth|refresh|user)(?:token|pat)"
)
"""Words without a separator, as PGPASSWORD and SSHPASS."""
WEAK_WORDS = frozenset({"auth", "pass", "pw", "pat", "jwt", "cookie", "cookies"})
"""Words that mark a secret at the end of a name, if the value can be one."""
SERVICES = _words(
    "anthropic assemblyai cerebras clearml cohere comet deepgram deepl deepseek elevenlabs "
    "fireworks gemini groq hf huggingface kaggle mistral neptune openai openrouter perplexity "
    "pinecone replicate roboflow serper tavily together wandb"
)
"""Services whose name alone marks a long random value, as in `--wandb X`."""
KEY_QUALIFIERS = SERVICES | _words(
    "access account api app auth aws azure client consumer datadog deploy encryption github gitlab "
    "google license master private secret sendgrid service session shared signing ssh storage "
    "stripe subscription user"
)
"""Words before `key` that mark a secret: `--api-key` holds a secret, `--sort-key` does not."""
HARMLESS_KEY_QUALIFIERS = _words(
    "audio cache column config data dataset dict feature foreign group hash host image input join "
    "label loss metric model output partition primary public query row sort split state target text"
)
"""Words before `key` with which even a long random value is no secret."""
TOKEN_QUALIFIERS_OF_MODELS = _words(
    "additional audio begin blank bos class classification cls content control decoder delimiter "
    "encoder end eos extra first forced fim image initializer instance lang language last mask max "
    "min modifier n new next num number pad padding per placeholder prefix prompt register role "
    "sample sep separator special speaker speech split start stop suffix target task text "
    "timestamp tool trigger unk unknown video vision visual vocab word"
)
"""Words before `token` that mark a token of a language model."""
KINDS_OF_TOKENS = _words(
    "bpe byte bytes char character characters chars grapheme graphemes morpheme phone phoneme "
    "phonemes phones sentencepiece spm subword subwords syllable unigram word wordpiece words"
)
"""Values of `token` that name what a model reads."""
FUNCTION_WORDS = _words("a an any each every in is of one some that the this to")
"""First words of a sentence, as in `token: the smallest unit`; no key or token is one."""
PASS_QUALIFIERS = _words(
    "all backward band double final first forward full high last low multi one second single two"
)
"""Words before `pass` that mark a pass over data or a filter."""
ENDINGS = _words(
    "age algorithm arn attempts backend budget callback check class classification col column "
    "command count dim dims dir directory dropout embedding embeddings enabled endpoint env "
    "environment expiry expiration field file filename files folder format frames freq frequency "
    "group header hash helper host id ids idx index len length level limit list loss manager map "
    "mask max method min mode name names num path paths pattern per policy pooling port position "
    "prob prompt protocol provider rate ratio realm ref required retries role rotation rounds "
    "scheme scope server size socket stdin store strategy timeout ttl type types uri url usage "
    "user username var variable version"
)
"""Last words of names that do not hold the secret itself, as in `--password-file`."""
SWITCHES = _words(
    "allow ask disable enable force generate has hide is mask need no prompt require reset show "
    "skip use with without"
)
"""First words of names that turn something on or off."""
PLAIN_VALUES = _words(
    "true false none null nil yes no on off auto always never required optional default basic "
    "bearer digest ntlm kerberos oauth oauth2 ldap sso saml token any all file env stdin - 0 1 ***"
)
PLACEHOLDERS = _words(
    "empty dummy placeholder unused not-needed no-key-required sk-no-key-required"
)
"""Values of `api-key` for servers that need none; a password may be such a word."""
SECRET_FILES = _words("git-credentials htpasswd kaggle my.cnf netrc pgpass s3cfg vault-token")
"""Names, without dots before and an ending after, of files that tools read secrets from."""
FILE_ENDINGS = _words(
    "cer cfg conf crt csv db env gpg ini json jsonl kdbx key p12 pem pub py sh toml txt yaml yml"
)

_WORD_IN_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PATH = re.compile(r"(?:~|\.{1,2})?/[\w@%.,+ -]+(?:/[\w@%.,+ -]*)*|[\w./-]+\.(\w+)")
_PLACEHOLDER = re.compile(r"<[^<>]*>|\[[A-Z0-9_]+\]|\{\{?[\w. ]*\}?\}")
_NUMBER = re.compile(r"[+-]?\d{1,5}(?:\.\d*)?(?:[eE][+-]?\d+)?%?")
_LONG_RANDOM = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[\w+/=.:~-]{16,}")
_KEY_OF_SERVICE = re.compile(
    r"(?=\S*\d)(?:local-)?[A-Za-z0-9]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?::fx)?"
)
_PLAIN_NAME = re.compile(r"[a-z]{1,10}(?:[_.-][a-z]{1,10})*")
_LONGEST_PLAIN_NAME = 24
_PATTERN_SIGNS = frozenset("*?[]{}^$|\\")


def holds_secret(name: str, value: str) -> bool:
    """Whether the value of an option, variable or header is a secret, by its name and form.

    Args:
        name: Name, with the dashes of an option.
        value: Value without quotes.
    """
    name = name[2:] if name.startswith("-D") and len(name) > 2 else name  # a property of Java's
    words = [word.lower() for word in _WORD_IN_NAME.findall(name)]
    if not words or name in ("PWD", "OLDPWD") or value.lower() in PLAIN_VALUES or not value:
        return False
    if _PLACEHOLDER.fullmatch(value):
        return False
    if words[0] in SWITCHES and len(words) > 1:
        return _is_secret(words, name) and bool(_LONG_RANDOM.fullmatch(value))
    if words[-3:] == ["access", "key", "id"]:
        return True
    if words[-1] in ENDINGS:
        return False
    if {"password", "passwd", "passphrase"} & set(words) or {"mot", "passe"} <= set(words):
        return True
    if words[-1] == "mdp":
        return True
    if _is_path(value) or _is_plain(words, value):
        return False
    if words[-1] in WEAK_WORDS or "mdp" in words:
        return not _NUMBER.fullmatch(value)
    if words[-1] in SERVICES:
        return bool(_KEY_OF_SERVICE.fullmatch(value))
    is_random = bool(_LONG_RANDOM.fullmatch(value))
    if is_random and words[-1] == "key" and not HARMLESS_KEY_QUALIFIERS & set(words):
        return True
    return _is_secret(words, name)


def _is_secret(words: list[str], name: str) -> bool:
    if STRONG_WORDS & set(words) or words[-1] in WEAK_WORDS:
        return True
    if any(RUN_TOGETHER.fullmatch(word) for word in words):
        return True
    if words[-1] == "token":
        return not (len(words) > 1 and words[-2] in TOKEN_QUALIFIERS_OF_MODELS)
    if words == ["key"]:
        return name.startswith("-")
    return any(first in KEY_QUALIFIERS and second == "key" for first, second in pairwise(words))


def _is_plain(words: Sequence[str], value: str) -> bool:
    """Whether a value is of the other sense of a name: of a model's token, a column, a filter."""
    if words[-1] in ("key", "token"):
        if _NUMBER.fullmatch(value) or value.lower() in PLACEHOLDERS:
            return True
        if len(words) == 1 and value.lower().partition(" ")[0] in FUNCTION_WORDS:
            return True
        is_name = _PLAIN_NAME.fullmatch(value) and len(value) <= _LONGEST_PLAIN_NAME
        return bool(is_name) if list(words) == ["key"] else value.lower() in KINDS_OF_TOKENS
    if words[-1] == "pat":
        return bool(_PATTERN_SIGNS & set(value))
    return words[-1] == "pass" and len(words) > 1 and words[-2] in PASS_QUALIFIERS


def _is_path(value: str) -> bool:
    """Whether a value is the path of a file, which is not secret itself."""
    match = _PATH.fullmatch(value)
    if not match or any(_LONG_RANDOM.fullmatch(part) for part in value.split("/")):
        return False
    return match[1] is None or match[1].lower() in FILE_ENDINGS


def is_secret_file(path: str) -> bool:
    """Whether a file holds a secret by its name, as `~/.netrc` and `~/.wandb_key`.

    Args:
        path: Path of the file, perhaps quoted.
    """
    name = path.strip("\"'").rpartition("/")[2].lstrip("._").lower()
    stem, _, ending = name.rpartition(".")
    stem = stem if ending in FILE_ENDINGS and stem else name
    words = _WORD_IN_NAME.findall(stem)
    return stem in SECRET_FILES or (bool(words) and _is_secret(words, f"-{stem}"))
