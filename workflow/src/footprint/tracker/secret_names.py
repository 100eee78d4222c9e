"""Names of options, variables and headers that hold a secret, and values that are none."""

from __future__ import annotations

import re
from itertools import pairwise


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STRONG_WORDS = _words(
    "password passwd passwort passphrase pwd pswd secret secrets apikey authtoken accesstoken "
    "accesskey secretkey authkey privatekey credential credentials authorization bearer"
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
KEY_QUALIFIERS = _words(
    "access account anthropic api app auth aws azure clearml client cohere comet consumer datadog "
    "deploy encryption gemini github gitlab google groq hf huggingface kaggle license master "
    "mistral neptune openai openrouter private replicate secret sendgrid service session shared "
    "signing ssh storage stripe subscription together user wandb"
)
"""Words before `key` that mark a secret: `--api-key` holds a secret, `--sort-key` does not."""
HARMLESS_KEY_QUALIFIERS = _words(
    "cache dict feature foreign group hash host join label metric partition primary public query "
    "row sort target"
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
FILE_ENDINGS = _words(
    "cer cfg conf crt csv db env gpg ini json jsonl kdbx key p12 pem pub py sh toml txt yaml yml"
)

_WORD_IN_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PATH = re.compile(r"(?:~|\.{1,2})?/[\w@%.,+ -]+(?:/[\w@%.,+ -]*)*|[\w./-]+\.(\w+)")
_PLACEHOLDER = re.compile(r"<[^<>]*>|\[[A-Z0-9_]+\]|\{\{?[\w. ]*\}?\}")
_NUMBER = re.compile(r"[+-]?\d{1,5}(?:\.\d*)?(?:[eE][+-]?\d+)?%?")
_LONG_RANDOM = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[\w+/=.~-]{16,}")


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
    if "password" in words or "passwd" in words or "passphrase" in words:
        return True
    if _is_path(value):
        return False
    if words[-1] in WEAK_WORDS:
        return not _NUMBER.fullmatch(value)
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


def _is_path(value: str) -> bool:
    """Whether a value is the path of a file, which is not secret itself."""
    match = _PATH.fullmatch(value)
    if not match or any(_LONG_RANDOM.fullmatch(part) for part in value.split("/")):
        return False
    return match[1] is None or match[1].lower() in FILE_ENDINGS
