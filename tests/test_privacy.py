"""Keys and pseudonyms."""

import hashlib
import hmac
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint import privacy
from footprint.errors import InputError

KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(privacy.KEY_VARIABLE, raising=False)


def test_a_pseudonym_is_the_keyed_hash_of_the_login() -> None:
    digest = hmac.new(KEY, b"adurand", hashlib.sha256).hexdigest()
    assert privacy.pseudonyms(["adurand"], key=KEY) == {"adurand": "u-" + digest[:8]}


def test_the_simulated_pseudonyms_never_change() -> None:
    # Computed once with `openssl dgst -sha256 -hmac`: a change would rename everybody's results.
    names = privacy.pseudonyms(["alice"], key=privacy.load_key(None, simulated=True))
    assert names == {"alice": "u-1fab3327"}


def test_another_key_gives_other_pseudonyms() -> None:
    logins = [f"user{i}" for i in range(50)]
    ours, theirs = (privacy.pseudonyms(logins, key=key) for key in (KEY, KEY[::-1]))
    assert not set(ours.values()) & set(theirs.values())


@given(st.lists(st.text(min_size=1, max_size=8), max_size=30))
def test_people_stay_apart_and_their_logins_do_not_show(logins: list[str]) -> None:
    names = privacy.pseudonyms(logins, key=KEY)
    assert set(names) == set(logins)
    assert len(set(names.values())) == len(set(logins))
    assert all(len(name) == 10 for name in names.values())


def test_two_people_with_one_pseudonym_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "PSEUDONYM_DIGITS", 1)
    logins = [f"login{i}" for i in range(17)]  # 17 people, 16 digits
    with pytest.raises(InputError, match=r"same pseudonym.*another key") as raised:
        privacy.pseudonyms(logins, key=KEY)
    assert "login" not in str(raised.value)


def test_people_are_named_by_login_or_pseudonym() -> None:
    amy = privacy.pseudonyms(["amy"], key=KEY)["amy"]
    assert privacy.shown(["amy", "u-3f9a2c71", amy], key=KEY) == sorted([amy, "u-3f9a2c71"])
    assert privacy.shown("all", key=KEY) == "all"
    assert privacy.shown([], key=KEY) == []


def test_conceal_keeps_order_and_nulls() -> None:
    frame = pl.LazyFrame({"job_id": [3, 1, 2, 4], "user": ["bob", "amy", "bob", None]})
    names = privacy.pseudonyms(["amy", "bob"], key=KEY)
    expected = pl.LazyFrame(
        {"job_id": [3, 1, 2, 4], "user": [names["bob"], names["amy"], names["bob"], None]}
    )
    assert_frame_equal(privacy.conceal(frame, key=KEY), expected)


def test_conceal_of_no_jobs_has_no_people() -> None:
    frame = pl.LazyFrame(schema={"user": pl.String})
    assert_frame_equal(privacy.conceal(frame, key=KEY), frame)


def test_a_file_holds_the_key(tmp_path: Path) -> None:
    path = tmp_path / "privacy.key"
    path.write_text(KEY.decode() + "\n")
    assert privacy.load_key(str(path), simulated=False) == KEY


def test_the_environment_holds_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(privacy.KEY_VARIABLE, KEY.decode())
    assert privacy.load_key(None, simulated=False) == KEY


def test_a_simulated_site_has_the_public_key_whatever_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(privacy.KEY_VARIABLE, KEY.decode())
    assert privacy.load_key("absent.key", simulated=True) == privacy.PUBLIC_KEY


def test_the_public_key_for_real_people_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert privacy.load_key("public", simulated=False) == privacy.PUBLIC_KEY
    assert "anybody who knows a login" in caplog.text


def test_real_people_without_a_key_are_an_error() -> None:
    with pytest.raises(InputError, match=r"no key.*secrets\.token_hex"):
        privacy.load_key(None, simulated=False)


@pytest.mark.parametrize("content", ["", "   \n", "too short"])
def test_a_short_key_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "privacy.key"
    path.write_text(content)
    with pytest.raises(InputError, match="32 is the least") as raised:
        privacy.load_key(str(path), simulated=False)
    assert "too short" not in str(raised.value)


def test_a_key_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.key: the key cannot be read"):
        privacy.load_key(str(tmp_path / "nowhere.key"), simulated=False)


def test_a_binary_key_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "privacy.key"
    path.write_bytes(b"\xff\xfe" * 40)
    with pytest.raises(InputError, match="not a text file"):
        privacy.load_key(str(path), simulated=False)


def test_a_key_among_the_results_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hidden = tmp_path / "results" / "private" / "privacy.key"
    hidden.parent.mkdir(parents=True)
    hidden.write_text(KEY.decode())
    with pytest.raises(InputError, match="inside results/"):
        privacy.load_key("results/private/../private/privacy.key", simulated=False)


def test_keys_and_real_names_stay_out_of_the_repository() -> None:
    ignored = (Path(__file__).parents[1] / ".gitignore").read_text().splitlines()
    assert {"*.key", "/private/", "/resources/"} <= set(ignored)
    assert "> privacy.key" in privacy.HOW_TO_MAKE_A_KEY  # what the advice makes is ignored
