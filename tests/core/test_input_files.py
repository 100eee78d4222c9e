"""The guarded reader: what it gives, and what it refuses in one line."""

import gzip
import os
import stat
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.core import input_files, limits, nesting, yaml_text
from footprint.core.errors import InputError

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set bounds by name."""

    def pass_on(**section: float) -> None:
        monkeypatch.setenv(limits.LIMITS_VARIABLE, "")
        limits.pass_on_limits(section)

    return pass_on


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as found:
        input_files.read_text(path, where=path.name)
    assert "\n" not in str(found.value)
    return str(found.value)


PACKED = gzip.compress(b"x" * 999, mtime=0)


@pytest.mark.parametrize("name", ["a", "a.gz", "a.zst"])
def test_read_text_unpacks_by_content_whatever_the_name(tmp_path: Path, name: str) -> None:
    packed = (
        gzip.compress("énergie".encode(), mtime=0),
        pa.compress("énergie".encode(), codec="zstd", asbytes=True),
        "énergie".encode("utf-8-sig"),
    )
    for content in packed:
        (tmp_path / name).write_bytes(content)
        assert input_files.read_text(tmp_path / name) == "énergie"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (LFS, "a: a pointer of Git LFS: the file itself was not fetched; run `git lfs pull`"),
        (gzip.compress(LFS, mtime=0), "a: a pointer of Git LFS"),
        (b"PK\x03\x04...", "a: a ZIP archive, not a text; save it as text in UTF-8"),
        ("\ufeffname".encode("utf-16-le"), "a: a text in UTF-16, not UTF-8"),
        (b"one\ntwo\xff\n", "a:2: not a text in UTF-8"),
        (b"one\n\0two\n", "a:2: not a text in UTF-8"),
        (
            gzip.compress(b"x" * 999, mtime=0)[:-1],
            "a: the compressed file is damaged or incomplete",
        ),
        (PACKED[:-8] + bytes(8), "a: the compressed file is damaged"),
        (b"\x1f\x8b\x08", "a: the compressed file is damaged or incomplete; save it again"),
    ],
)
def test_read_text_refuses_other_content_in_one_line(
    tmp_path: Path, content: bytes, what: str
) -> None:
    (tmp_path / "a").write_bytes(content)
    assert refusal(tmp_path / "a").startswith(what)


def test_read_text_refuses_what_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"{tmp_path.name}: a folder where a file is expected; restore it or remove it"
    )
    (tmp_path / "link").symlink_to("gone")
    assert refusal(tmp_path / "link").startswith("link: a link to a file that is not there")
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").startswith("pipe: neither a file nor a folder")
    assert refusal(tmp_path / "gone") == "gone: there is no such file; fix the path"
    assert refusal(tmp_path / "\0").startswith("\\x00: cannot be read (embedded null")
    (tmp_path / "loop").symlink_to("loop")
    assert refusal(tmp_path / "loop").startswith("loop: cannot be read (Too many levels")


def test_small_file_that_unpacks_to_gigabytes_is_refused_soon(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    block = bytes(10 << 20)
    packed = b"".join(packer.compress(block) for _ in range(150)) + packer.flush()
    assert 1.4e6 < len(packed) < 1.7e6
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(packed)
    start = time.process_time()
    sizes = map(len, input_files.read_blocks(path))
    with pytest.raises(InputError, match=r"to too many times its size; .*limits\.expansion"):
        sum(sizes)
    assert time.process_time() - start < 20
    with pytest.raises(InputError, match=r"too large \(over 64 MB\); .*limits\.whole_read_mb"):
        input_files.read_content(path, most_mb=64)


def test_bounds_can_be_raised(tmp_path: Path, bounds: Callable[..., None]) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"[" * 80 + b"]" * 80 + b" " * 1_000_000)
    bounds(whole_read_mb=1)
    assert "too large (over 1 MB)" in refusal(path)
    bounds(part_read_gb=0.0005)
    with pytest.raises(InputError, match=r"too large \(over 0\.0005 GB\)"):
        list(input_files.read_blocks(path))
    with pytest.raises(InputError, match=r"nested too deep \(over 64 levels\); .*limits\.depth"):
        nesting.check_json_depth(path.read_bytes(), where="a")
    bounds(whole_read_mb=2, depth=80)
    nesting.check_json_depth(input_files.read_content(path), where="a")


def test_start_of_a_file_is_checked_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(LFS)
    with pytest.raises(InputError, match="pointer of Git LFS"):
        input_files.check_start(path)
    path.write_bytes(b"")
    input_files.check_start(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "a").chmod(stat.S_IWUSR)
    assert refusal(tmp_path / "a") == "a: cannot be read (Permission denied)"


JSON_VALUES = st.recursive(
    st.none() | st.integers() | st.text('[]{}"\\ab', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text('[]{}"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=30,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(JSON_VALUES)
def test_json_is_refused_exactly_above_the_depth(value: object) -> None:
    import json

    depth, content = depth_of(value), json.dumps(value).encode()
    assert not nesting._is_deeper(nesting.STRING_PATTERN.sub(b"", content), depth)
    if depth:
        assert nesting._is_deeper(nesting.STRING_PATTERN.sub(b"", content), depth - 1)


LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{below}'] * 10)}]\n"
    for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAUGHS, "f: its aliases stand for more than 200000 values; .*limits.yaml_values"),
        ("- &a [*a]", "f:1: an alias inside the value that it stands for; remove the alias"),
        ("[" * 20_000, "f: it is nested too deep"),
        ("[" * 70 + "]" * 70, "f:1: it is nested too deep"),
        ("a: 1\nb: 2: 3\n", r"f:2: not YAML \(mapping values are not allowed here\)"),
        ("day: 2025-02-30", "f: day is out of range for month"),
        ("a: !!timestamp x", "f: a value does not fit its tag"),
        ("a: !!python/object:os.system x", r"f:1: not YAML \(could not determine"),
        ("--- 1\n--- 2", r"f:2: not YAML \(but found another document\)"),
        ("a: \0", r"f: not YAML \(unacceptable character"),
    ],
)
def test_yaml_is_refused_in_one_line(text: str, expected: str) -> None:
    with pytest.raises(InputError, match=f"^{expected}"):
        yaml_text.load_yaml(text, where="f")


def test_yaml_with_aliases_is_read() -> None:
    assert yaml_text.load_yaml("a: &x {b: 1}\nc: *x\nd: {<<: *x}\n", where="f") == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": {"b": 1},
    }
    assert yaml_text.load_yaml("# nothing\n", where="f") is None
