"""Rules, their scripts and the captions of their outputs belong together."""

import re
from pathlib import Path

import pytest

from tests.support.rule_scripts import SCRIPTS

RULES = SCRIPTS.parent / "rules"
CAPTIONS = SCRIPTS.parent / "report"


@pytest.mark.parametrize("stage", sorted(RULES.glob("*.smk")), ids=lambda path: path.stem)
def test_every_rule_has_script_log_and_benchmark_of_its_name(stage: Path) -> None:
    bodies = re.split(r"^rule (\w+):", stage.read_text(), flags=re.M)[1:]
    named = dict(zip(bodies[::2], bodies[1::2], strict=True))
    assert named
    for name, body in named.items():
        assert f'"../scripts/{name}.py"' in body
        assert re.search(rf'"<logs>/{name}(/[^"]+)?\.log"', body)
        assert re.search(rf'"<benchmarks>/{name}(/[^"]+)?\.jsonl"', body)
        assert re.match(r'\s+"""[A-Z].*\."""\n', body)


def test_every_script_belongs_to_a_rule() -> None:
    rules = "".join(path.read_text() for path in RULES.glob("*.smk"))
    assert {path.stem for path in SCRIPTS.glob("*.py")} == set(
        re.findall(r"^rule (\w+):", rules, re.M)
    )


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_every_script_is_short_and_without_control_flow(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 40
    assert text.startswith('"""')
    assert "logs.log_to_file(snakemake.log[0])\n" in text
    assert not re.search(r"^(def|class|for|while|try)\b", text, re.M)


def test_every_rule_of_the_paper_has_script_log_and_benchmark() -> None:
    rules = (RULES / "paper.smk").read_text()
    names = re.findall(r"^rule (\w+):", rules, re.M)
    assert len(names) == 11
    for name in names:
        assert f'"../scripts/{name}.py"' in rules
        assert f'"<logs>/{name}.log"' in rules
        assert f'"<benchmarks>/{name}.jsonl"' in rules
        assert (SCRIPTS / f"{name}.py").is_file()


def test_every_caption_belongs_to_one_figure_or_table() -> None:
    rules = "".join(path.read_text() for path in RULES.glob("*.smk"))
    captions = re.findall(r'caption="\.\./report/(\w+\.rst)"', rules)
    assert len(captions) == len(set(captions)) >= 13
    written = {path.name for path in CAPTIONS.glob("*.rst")}
    assert written == {*captions, "workflow.rst"}
