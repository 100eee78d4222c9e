"""Logins planted in every format that is published are found, and words like them are not."""

from __future__ import annotations

import base64
import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image, PngImagePlugin
from pypdf import PdfWriter
from pypdf.generic import NameObject, StreamObject

from footprint.core import pseudonyms
from footprint.report.figures import style
from footprint.report.tables.formats import Column, ReaderTable, write_table
from tests.support import logins

pytestmark = pytest.mark.filterwarnings("error")

LOGIN = "jgriffith"  # ff is one sign in the fonts of figures, and fi in others
WITH_SIGNS = "anne_l.o-1"
Plant = Callable[[Path], object]


def hits(folder: Path, *names: str) -> list[tuple[str, str]]:
    found = logins.found(folder, names or (LOGIN,))
    return [(each.path.as_posix(), each.login) for each in found]


def text(content: str) -> Plant:
    return lambda path: path.write_text(content, encoding="utf-8")


def figure(path: Path) -> None:
    drawn = style.new_figure(
        width_mm=88, height_mm=40, title=f"Jobs of {LOGIN}", provenance="a site"
    )
    style.save_figure(drawn, [path])


def png(path: Path, *, packed: bool, international: bool) -> None:
    info = PngImagePlugin.PngInfo()
    add = info.add_itxt if international else info.add_text
    add("Author", f"/home/{LOGIN}/study", zip=packed)
    Image.new("L", (2, 2)).save(path, pnginfo=info)


def pdf_metadata(path: Path) -> None:
    drawn = style.new_figure(width_mm=88, height_mm=40, title="Jobs", provenance="a site")
    drawn.savefig(path, format="pdf", metadata={"Author": LOGIN})


def pdf_metadata_utf16(path: Path) -> None:
    writer = PdfWriter()
    writer.add_blank_page(10, 10)
    writer.add_metadata({"/Author": f"{LOGIN} Δ"})  # Δ needs UTF-16
    writer.write(path)


def pdf_stream(path: Path) -> None:
    writer = PdfWriter()
    page = writer.add_blank_page(10, 10)
    stream = StreamObject()
    stream.set_data(f"<x:xmpmeta>{LOGIN}</x:xmpmeta>".encode())
    page[NameObject("/Metadata")] = writer._add_object(stream.flate_encode())
    writer.write(path)


def uri(kind: str, content: bytes) -> str:
    return f"data:{kind};charset=utf8;base64,{base64.b64encode(content).decode()}"


def report(path: Path) -> None:
    """As Snakemake embeds a table in its report, and the table a figure."""
    svg = f"<svg><text>{LOGIN}</text></svg>".encode()
    table = f'<img src="{uri("image/svg+xml", svg)}">'.encode()
    path.write_text(f"<script>var results = {{data: '{uri('text/html', table)}'}}</script>")


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("report/tables/levels.csv", f"user\n{LOGIN}\n")


def tables_of(folder: Path, cell: str) -> None:
    table = ReaderTable(
        name="people",
        title="Energy by person",
        note="",
        rows=pl.DataFrame({"user": [cell]}),
        columns=[Column(name="user", header="Person")],
    )
    write_table(
        table, {form: folder / f"t.{form}" for form in ("html", "csv", "tex")}, provenance="s"
    )


def parquet(frame: pl.DataFrame, metadata: dict[str, str] | None = None) -> Plant:
    return lambda path: frame.write_parquet(path, metadata=metadata)


NESTED = pl.DataFrame({"jobs": [[{"id": 1, "who": {"home": [f"/home/{LOGIN}"]}}], [], None]})
BINARY = pl.DataFrame({"raw": [gzip.compress(LOGIN.encode()), None]})
CATEGORY = pl.DataFrame({"user": ["u-12345678", LOGIN]}, {"user": pl.Categorical()})
UNUSED = pl.DataFrame({"user": ["a"]}, {"user": pl.Enum(["a", LOGIN])})


@pytest.mark.parametrize(
    ("name", "plant"),
    [
        ("levels.csv", text(f"level,name\nuser,{LOGIN}\n")),
        ("levels.html", text(f"<td>{LOGIN}</td>")),
        ("entity.html", text("<td>" + "".join(f"&#{ord(c)};" for c in LOGIN) + "</td>")),
        ("levels.tex", text(rf"user & {LOGIN} \\")),
        ("rule.log", text(f"no file /home/{LOGIN}/study\n")),
        ("rule.jsonl", text(json.dumps({"s": 1.0, "input": LOGIN}))),
        ("capitals.md", text(LOGIN.upper())),
        ("link.svg", text(f'<a href="x?u=%{ord(LOGIN[0]):x}{LOGIN[1:]}">')),
        ("unknown.xyz", lambda path: path.write_bytes(b"\xff\x00" + LOGIN.encode() + b"\x00")),
        ("figure.svg", figure),
        ("figure.pdf", figure),
        ("author.pdf", pdf_metadata),
        ("author16.pdf", pdf_metadata_utf16),
        ("xmp.pdf", pdf_stream),
        ("text.png", lambda path: png(path, packed=False, international=False)),
        ("packed.png", lambda path: png(path, packed=True, international=False)),
        ("international.png", lambda path: png(path, packed=True, international=True)),
        ("report.html", report),
        ("report.zip", archive),
        ("report.html.gz", lambda path: path.write_bytes(gzip.compress(LOGIN.encode()))),
        ("values.parquet", parquet(pl.DataFrame({"user": [None, LOGIN]}))),
        ("nested.parquet", parquet(NESTED)),
        ("binary.parquet", parquet(BINARY)),
        ("category.parquet", parquet(CATEGORY)),
        ("unused.parquet", parquet(UNUSED)),
        ("column.parquet", parquet(pl.DataFrame({LOGIN: [1.0]}))),
        ("field.parquet", parquet(pl.DataFrame({"a": [{LOGIN: 1.0}]}))),
        ("metadata.parquet", parquet(pl.DataFrame({"a": [1]}), metadata={"author": LOGIN})),
        (f"months/{LOGIN}/2025-03.csv", text("job_id\n1\n")),
    ],
)
def test_a_login_is_found_in(tmp_path: Path, name: str, plant: Plant) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    plant(path)
    assert (name, LOGIN) in hits(tmp_path)
    assert hits(tmp_path, "jgriff", "griffith", "nobody") == []


def test_tables_that_readers_see_are_searched_as_their_format_escapes_them(tmp_path: Path) -> None:
    tables_of(tmp_path, WITH_SIGNS)
    found = hits(tmp_path, WITH_SIGNS)
    assert found == [(f"t.{form}", WITH_SIGNS) for form in ("csv", "html", "tex")]


def test_a_login_inside_a_word_is_none(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("soaked oaks oak2 the first épine\n")
    assert hits(tmp_path, "oak", "fir", "pine") == []
    (tmp_path / "words.txt").write_text("/home/oak/x first_fir_last (pine)\n")
    assert {login for _, login in hits(tmp_path, "oak", "fir", "pine")} == {"oak", "fir", "pine"}


def test_one_login_does_not_hide_another(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("anne-marie and anne\n")
    assert hits(tmp_path, "anne", "anne-marie") == [("a.txt", "anne"), ("a.txt", "anne-marie")]


def test_data_of_a_picture_are_no_words(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text('<image href="data:image/x;base64,AAAA+fir/AAA"/>')
    assert hits(tmp_path, "fir") == []


def test_nobody_is_found_where_nobody_is(tmp_path: Path) -> None:
    tables_of(tmp_path, "u-12345678")
    assert hits(tmp_path) == []
    assert logins.found(tmp_path, []) == []
    assert logins.found(tmp_path / "absent", [LOGIN]) == []


def test_pseudonyms_are_not_logins(tmp_path: Path) -> None:
    names = pseudonyms.pseudonyms_of([LOGIN], key=pseudonyms.PUBLIC_KEY)
    pl.DataFrame({"user": list(names.values())}).write_parquet(tmp_path / "jobs.parquet")
    assert hits(tmp_path) == []
