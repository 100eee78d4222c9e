"""Keys and pseudonyms."""

import hashlib
import hmac
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.core import pseudonyms
from footprint.core.errors import InputError

KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_key_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pseudonyms.KEY_VARIABLE, raising=False)


def test_pseudonyms_are_keyed_hashes_of_logins() -> None:
    digest = hmac.new(KEY, b"adurand", hashlib.sha256).hexdigest()
    assert pseudonyms.pseudonyms_of(["adurand"], key=KEY) == {"adurand": "u-" + digest[:8]}


def test_pseudonyms_of_the_simulated_site_are_fixed() -> None:
    # Computed once with `openssl dgst -sha256 -hmac`: a change would rename all people in results.
    names = pseudonyms.pseudonyms_of(["alice"], key=pseudonyms.load_key(None, simulated=True))
    assert names == {"alice": "u-1fab3327"}


def test_pseudonyms_with_another_key_differ() -> None:
    logins = [f"user{i}" for i in range(50)]
    ours, theirs = (pseudonyms.pseudonyms_of(logins, key=key) for key in (KEY, KEY[::-1]))
    assert not set(ours.values()) & set(theirs.values())


@given(st.lists(st.text(min_size=1, max_size=8), max_size=30))
def test_pseudonyms_are_distinct_and_have_a_fixed_length(logins: list[str]) -> None:
    names = pseudonyms.pseudonyms_of(logins, key=KEY)
    assert set(names) == set(logins)
    assert len(set(names.values())) == len(set(logins))
    assert all(len(name) == 10 for name in names.values())


def test_pseudonyms_shared_by_two_people_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudonyms, "PSEUDONYM_DIGITS", 1)
    logins = [f"login{i}" for i in range(17)]  # 17 people, 16 digits
    with pytest.raises(InputError, match=r"same pseudonym.*another key") as raised:
        pseudonyms.pseudonyms_of(logins, key=KEY)
    assert "login" not in str(raised.value)


def test_shown_pseudonyms_accept_logins_and_pseudonyms() -> None:
    amy = pseudonyms.pseudonyms_of(["amy"], key=KEY)["amy"]
    assert pseudonyms.shown_pseudonyms(["amy", "u-3f9a2c71", amy], key=KEY) == sorted(
        [amy, "u-3f9a2c71"]
    )
    assert pseudonyms.shown_pseudonyms("all", key=KEY) == "all"
    assert pseudonyms.shown_pseudonyms([], key=KEY) == []


def test_conceal_logins_keeps_order_and_nulls() -> None:
    frame = pl.LazyFrame({"job_id": [3, 1, 2, 4], "user": ["bob", "amy", "bob", None]})
    names = pseudonyms.pseudonyms_of(["amy", "bob"], key=KEY)
    expected = pl.LazyFrame(
        {"job_id": [3, 1, 2, 4], "user": [names["bob"], names["amy"], names["bob"], None]}
    )
    assert_frame_equal(pseudonyms.conceal_logins(frame, key=KEY), expected)


def test_conceal_logins_of_an_empty_table_is_empty() -> None:
    frame = pl.LazyFrame(schema={"user": pl.String})
    assert_frame_equal(pseudonyms.conceal_logins(frame, key=KEY), frame)


def test_load_key_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "privacy.key"
    path.write_text(KEY.decode() + "\n")
    path.chmod(0o600)
    assert pseudonyms.load_key(str(path), simulated=False) == KEY


def test_load_key_reads_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pseudonyms.KEY_VARIABLE, KEY.decode())
    assert pseudonyms.load_key(None, simulated=False) == KEY


def test_load_key_of_the_simulated_site_ignores_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(pseudonyms.KEY_VARIABLE, KEY.decode())
    assert pseudonyms.load_key("absent.key", simulated=True) == pseudonyms.PUBLIC_KEY


def test_load_key_public_for_real_people_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert pseudonyms.load_key("public", simulated=False) == pseudonyms.PUBLIC_KEY
    assert "anybody with a login can compute" in caplog.text


def test_load_key_missing_for_real_people_is_an_error() -> None:
    with pytest.raises(InputError, match=r"no key.*secrets\.token_hex"):
        pseudonyms.load_key(None, simulated=False)


@pytest.mark.parametrize("content", ["", "   \n", "too short"])
def test_load_key_refuses_a_short_key(tmp_path: Path, content: str) -> None:
    path = tmp_path / "privacy.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(InputError, match="the minimum is 32") as raised:
        pseudonyms.load_key(str(path), simulated=False)
    assert "too short" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "This is the file that explains where the key is kept.",
        "0123456789abcdef\n0123456789abcdef",
        "version https://git-lfs.github.com/spec/v1",
        "0" * 64,
        "clé-0123456789abcdef0123456789abcdef",
    ],
)
def test_load_key_refuses_text_that_is_no_key(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(pseudonyms.KEY_VARIABLE, text)
    with pytest.raises(InputError, match="this is no random key") as raised:
        pseudonyms.load_key(None, simulated=False)
    assert text not in str(raised.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_load_key_refuses_a_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "privacy.key"
    path.write_text(KEY.decode())
    path.chmod(mode)
    with pytest.raises(InputError, match="other users can read the key; run: chmod 600"):
        pseudonyms.load_key(str(path), simulated=False)


def test_load_key_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.key: the key cannot be read"):
        pseudonyms.load_key(str(tmp_path / "nowhere.key"), simulated=False)


def test_load_key_refuses_a_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "privacy.key"
    path.write_bytes(b"\xff\xfe" * 40)
    with pytest.raises(InputError, match=r"cannot be read \(a text in UTF-16"):
        pseudonyms.load_key(str(path), simulated=False)


def test_load_key_refuses_a_file_inside_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hidden = tmp_path / "results" / "private" / "privacy.key"
    hidden.parent.mkdir(parents=True)
    hidden.write_text(KEY.decode())
    with pytest.raises(InputError, match="inside results/"):
        pseudonyms.load_key("results/private/../private/privacy.key", simulated=False)


def test_gitignore_excludes_keys_and_real_names() -> None:
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
    assert {"*.key", "/private/", "/resources/"} <= set(ignored)
    assert (
        "> privacy.key" in pseudonyms.HOW_TO_MAKE_A_KEY
    )  # the advised file name is ignored by git
