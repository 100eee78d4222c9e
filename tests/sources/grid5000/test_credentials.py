"""Credentials: precedence of their sources, and secrecy of the password."""

from __future__ import annotations

from pathlib import Path

import pytest

from footprint.core.errors import InputError
from footprint.sources.grid5000 import credentials
from footprint.sources.grid5000.credentials import (
    PASSWORD_VARIABLE,
    USERNAME_VARIABLE,
    Credentials,
    find_credentials,
)

SECRET = "correct horse"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home, without the variables of the user of the tests."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for variable in (USERNAME_VARIABLE, PASSWORD_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    return folder


def write_private(path: Path, text: str, *, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def write_default_file(home: Path, text: str, *, mode: int = 0o600) -> Path:
    return write_private(home / ".python-grid5000.yaml", text, mode=mode)


def refusal_text(path: str | None = None) -> str:
    with pytest.raises(InputError) as raised:
        find_credentials(path)
    message = str(raised.value)
    assert SECRET not in message
    assert "\n" not in message
    # a traceback would print the causes too
    error: BaseException | None = raised.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return message


# The environment


def test_environment_precedes_any_file(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    write_default_file(home, "username: file\npassword: file\n")
    monkeypatch.setenv(USERNAME_VARIABLE, "somebody")
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    assert find_credentials(None) == Credentials("somebody", SECRET)
    assert find_credentials("/no/such/file") == Credentials("somebody", SECRET)


@pytest.mark.parametrize(
    ("given", "missing"),
    [(USERNAME_VARIABLE, PASSWORD_VARIABLE), (PASSWORD_VARIABLE, USERNAME_VARIABLE)],
)
def test_one_variable_alone_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str, missing: str
) -> None:
    monkeypatch.setenv(given, SECRET)
    assert refusal_text() == f"{missing}: is not set, its counterpart is; set both"


def test_empty_variables_count_as_missing(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    write_default_file(home, "username: file\npassword: other\n")
    monkeypatch.setenv(USERNAME_VARIABLE, "")
    monkeypatch.setenv(PASSWORD_VARIABLE, "")
    assert find_credentials(None) == Credentials("file", "other")


# Files


def test_find_credentials_without_any_returns_none() -> None:
    assert find_credentials(None) is None


def test_default_file_is_read(home: Path) -> None:
    write_default_file(home, f"username: somebody\npassword: {SECRET}\nverify_ssl: true\n")
    assert find_credentials(None) == Credentials("somebody", SECRET)


def test_named_file_precedes_the_default_file(home: Path, tmp_path: Path) -> None:
    write_default_file(home, "username: usual\npassword: usual\n")
    named = write_private(tmp_path / "named.yaml", "username: named\npassword: other\n")
    assert find_credentials(str(named)) == Credentials("named", "other")
    write_private(home / "named.yaml", "username: tilde\npassword: other\n")
    assert find_credentials("~/named.yaml") == Credentials("tilde", "other")


def test_default_file_without_credentials_returns_none(home: Path) -> None:
    write_default_file(home, "verify_ssl: /etc/ssl/certs/ca-certificates.crt\n")
    assert find_credentials(None) is None


@pytest.mark.parametrize("text", ["", "verify_ssl: true\n"])
def test_named_file_without_credentials_is_refused(tmp_path: Path, text: str) -> None:
    named = write_private(tmp_path / "named.yaml", text)
    assert refusal_text(str(named)) == f"{named}: has no `username`; add it"


@pytest.mark.parametrize(
    "password",
    ["0123", "1_000", "12e3", "yes", "null", "2025-03-31", "~", "0x1f", "1:30", "=", "pässwort"],
)
def test_password_that_looks_like_another_type_stays_text(tmp_path: Path, password: str) -> None:
    """YAML reads these as numbers, dates and booleans."""
    named = write_private(tmp_path / "named.yaml", f"username: 007\npassword: {password}\n")
    assert find_credentials(str(named)) == Credentials("007", password)


def test_yaml_quotes_are_not_part_of_the_password(tmp_path: Path) -> None:
    named = write_private(tmp_path / "named.yaml", "username: a\npassword: '#it''s: odd'\n")
    assert find_credentials(str(named)) == Credentials("a", "#it's: odd")


# Files that cannot be used


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644, 0o666])
def test_file_open_to_other_users_is_refused(home: Path, mode: int) -> None:
    file = write_default_file(home, f"username: somebody\npassword: {SECRET}\n", mode=mode)
    what = "contains a password and is open to other users"
    assert refusal_text() == f"{file}: {what}; run: chmod 600 {file}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_file_readable_by_its_owner_alone_is_read(home: Path, mode: int) -> None:
    write_default_file(home, f"username: somebody\npassword: {SECRET}\n", mode=mode)
    assert find_credentials(None) == Credentials("somebody", SECRET)


def test_link_to_a_file_open_to_other_users_is_refused(home: Path, tmp_path: Path) -> None:
    target = write_private(tmp_path / "open.yaml", "username: a\npassword: b\n", mode=0o644)
    (home / ".python-grid5000.yaml").symlink_to(target)
    assert "is open to other users" in refusal_text()


def test_missing_named_file_is_refused_with_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "none.yaml")
    assert refusal_text(path) == f"source.credentials: file {path} does not exist; fix the path"
    assert refusal_text(str(tmp_path)).startswith("source.credentials: file ")


@pytest.mark.parametrize(
    "text",
    [
        f"username: somebody\npassword: [{SECRET}\n",
        f"password: {SECRET}: {SECRET}\n",
        f"- {SECRET}\n",
        SECRET,
        f"password: !!python/object/apply:os.system ['{SECRET}'\n",
    ],
)
def test_invalid_yaml_is_refused_without_a_quote(tmp_path: Path, text: str) -> None:
    named = write_private(tmp_path / "named.yaml", text)
    assert refusal_text(str(named)).startswith(
        f"{named}: is not a YAML file of credentials; write "
    )


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    named = tmp_path / "named.yaml"
    named.write_bytes(b"username: a\npassword: \xff\xfe\n")
    named.chmod(0o600)
    assert "is not a YAML file of credentials" in refusal_text(str(named))


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("username: somebody\n", "password"),
        ("username: somebody\npassword:\n", "password"),
        (f"username: somebody\npassword: [{SECRET}]\n", "password"),
        (f"password: {SECRET}\n", "username"),
        (f"username: ''\npassword: {SECRET}\n", "username"),
    ],
)
def test_file_with_one_of_two_fields_is_refused(home: Path, text: str, missing: str) -> None:
    file = write_default_file(home, text)
    assert refusal_text() == f"{file}: has no `{missing}`; add it"


# Secrecy


def test_repr_of_credentials_hides_the_password() -> None:
    assert SECRET not in repr(Credentials("somebody", SECRET))
    assert SECRET not in f"{Credentials('somebody', SECRET)!s}"
    assert USERNAME_VARIABLE in credentials.CREDENTIALS_ADVICE
    assert PASSWORD_VARIABLE in credentials.CREDENTIALS_ADVICE
