"""Credentials: where they come from, and that no message shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from footprint.errors import InputError
from footprint.site.grid5000 import credentials
from footprint.site.grid5000.credentials import PASSWORD, USERNAME, Credentials, find

SECRET = "correct horse"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of its own, and no variables of whoever runs the tests."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for variable in (USERNAME, PASSWORD):
        monkeypatch.delenv(variable, raising=False)
    return folder


def written(path: Path, text: str, *, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def usual(home: Path, text: str, *, mode: int = 0o600) -> Path:
    return written(home / ".python-grid5000.yaml", text, mode=mode)


def refusal(path: str | None = None) -> str:
    with pytest.raises(InputError) as raised:
        find(path)
    message = str(raised.value)
    assert SECRET not in message
    assert "\n" not in message
    # nor does what it came from hold it, which a traceback would print
    error: BaseException | None = raised.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return message


# The environment


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    usual(home, "username: file\npassword: file\n")
    monkeypatch.setenv(USERNAME, "somebody")
    monkeypatch.setenv(PASSWORD, SECRET)
    assert find(None) == Credentials("somebody", SECRET)
    assert find("/no/such/file") == Credentials("somebody", SECRET)


@pytest.mark.parametrize(("given", "missing"), [(USERNAME, PASSWORD), (PASSWORD, USERNAME)])
def test_half_of_them_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, given: str, missing: str
) -> None:
    monkeypatch.setenv(given, SECRET)
    assert refusal() == f"{missing}: is not set, its counterpart is; set both"


def test_empty_variables_are_none(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    usual(home, "username: file\npassword: other\n")
    monkeypatch.setenv(USERNAME, "")
    monkeypatch.setenv(PASSWORD, "")
    assert find(None) == Credentials("file", "other")


# Files


def test_no_credentials_are_no_mistake() -> None:
    assert find(None) is None


def test_the_usual_file_is_read(home: Path) -> None:
    usual(home, f"username: somebody\npassword: {SECRET}\nverify_ssl: true\n")
    assert find(None) == Credentials("somebody", SECRET)


def test_a_named_file_wins_over_the_usual_one(home: Path, tmp_path: Path) -> None:
    usual(home, "username: usual\npassword: usual\n")
    named = written(tmp_path / "named.yaml", "username: named\npassword: other\n")
    assert find(str(named)) == Credentials("named", "other")
    written(home / "named.yaml", "username: tilde\npassword: other\n")
    assert find("~/named.yaml") == Credentials("tilde", "other")


def test_the_usual_file_may_hold_other_settings_alone(home: Path) -> None:
    usual(home, "verify_ssl: /etc/ssl/certs/ca-certificates.crt\n")
    assert find(None) is None


@pytest.mark.parametrize("text", ["", "verify_ssl: true\n"])
def test_a_named_file_must_hold_them(tmp_path: Path, text: str) -> None:
    named = written(tmp_path / "named.yaml", text)
    assert refusal(str(named)) == f"{named}: has no `username`; add it"


@pytest.mark.parametrize(
    "password",
    ["0123", "1_000", "12e3", "yes", "null", "2025-03-31", "~", "0x1f", "1:30", "=", "pässwort"],
)
def test_a_password_is_taken_as_it_is_written(tmp_path: Path, password: str) -> None:
    """YAML would read these as numbers, dates and truth."""
    named = written(tmp_path / "named.yaml", f"username: 007\npassword: {password}\n")
    assert find(str(named)) == Credentials("007", password)


def test_quotes_of_yaml_are_no_part_of_a_password(tmp_path: Path) -> None:
    named = written(tmp_path / "named.yaml", "username: a\npassword: '#it''s: odd'\n")
    assert find(str(named)) == Credentials("a", "#it's: odd")


# Files that cannot be used


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644, 0o666])
def test_a_file_open_to_others_is_refused(home: Path, mode: int) -> None:
    file = usual(home, f"username: somebody\npassword: {SECRET}\n", mode=mode)
    what = "holds a password and is open to other users"
    assert refusal() == f"{file}: {what}; run: chmod 600 {file}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_is_read(home: Path, mode: int) -> None:
    usual(home, f"username: somebody\npassword: {SECRET}\n", mode=mode)
    assert find(None) == Credentials("somebody", SECRET)


def test_a_link_is_as_open_as_what_it_leads_to(home: Path, tmp_path: Path) -> None:
    target = written(tmp_path / "open.yaml", "username: a\npassword: b\n", mode=0o644)
    (home / ".python-grid5000.yaml").symlink_to(target)
    assert "is open to other users" in refusal()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "none.yaml")
    assert refusal(path) == f"source.credentials: there is no file {path}; mend the path"
    assert refusal(str(tmp_path)).startswith("source.credentials: there is no file ")


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
def test_what_is_no_file_of_credentials_is_not_quoted(tmp_path: Path, text: str) -> None:
    named = written(tmp_path / "named.yaml", text)
    assert refusal(str(named)).startswith(f"{named}: is not a YAML file of credentials; write ")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    named = tmp_path / "named.yaml"
    named.write_bytes(b"username: a\npassword: \xff\xfe\n")
    named.chmod(0o600)
    assert "is not a YAML file of credentials" in refusal(str(named))


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
def test_half_of_a_file_is_a_mistake(home: Path, text: str, missing: str) -> None:
    file = usual(home, text)
    assert refusal() == f"{file}: has no `{missing}`; add it"


# Nobody sees them


def test_credentials_do_not_show_the_password() -> None:
    assert SECRET not in repr(Credentials("somebody", SECRET))
    assert SECRET not in f"{Credentials('somebody', SECRET)!s}"
    assert USERNAME in credentials.HOW
    assert PASSWORD in credentials.HOW
