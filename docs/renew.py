"""Renew what the documentation repeats of the code: `make docs`.

Writes docs/data-dictionary.md, docs/configuration.md, the rules in docs/phases.md and the graph of
the rules of the workflow in README.md.
"""

import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory

from footprint import dictionary, schema, settings, tables

ROOT = Path(__file__).parents[1]
GRAPH = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.S)
PHASE_RULES = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- end of rules -->)", re.S)


def snakemake(folder: Path, *options: str) -> str:
    """What Snakemake prints about the default configuration; nothing is run.

    Args:
        folder: A folder of its own, where Snakemake leaves its files.
        options: What it is asked.
    """
    for name in ("config.yaml", "docs"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [*command, "--directory", str(folder), "--quiet", "all", *options],
        cwd=folder,
        env=environment,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    return done.stdout


def rule_graph(printed: str) -> str:
    """Rules in the order in which they run, and what needs what, in Mermaid.

    Snakemake numbers the rules, lists the arrows in an order of its own, and colours them; here
    only the names count.

    Args:
        printed: What `snakemake --rulegraph mermaid-js` printed.
    """
    names = dict(re.findall(r"(\w+)\[(\w+)\]", printed))
    arrows = [(names[start], names[to]) for start, to in re.findall(r"(\w+) --> (\w+)", printed)]
    needs = {rule: sorted(start for start, to in arrows if to == rule) for rule in names.values()}
    order = list(TopologicalSorter(dict(sorted(needs.items()))).static_order())
    arrows.sort(key=lambda arrow: [order.index(rule) for rule in arrow])
    return "\n    ".join(["flowchart TB", *(f"{start} --> {to}" for start, to in arrows)]) + "\n"


def pages(folder: Path) -> dict[Path, str]:
    """What each renewed file should hold.

    Args:
        folder: A folder of its own, where Snakemake leaves its files.
    """
    readme, phases = ROOT / "README.md", ROOT / "docs/phases.md"
    phase_rules = f"\n{dictionary.phase_rules()}\n\n"
    graph = rule_graph(snakemake(folder, "--rulegraph", "mermaid-js"))
    return {
        ROOT / "docs/data-dictionary.md": dictionary.data_dictionary(tables.TABLES),
        ROOT / "docs/configuration.md": dictionary.configuration(schema.read(settings.SCHEMA)),
        phases: PHASE_RULES.sub(lambda _: phase_rules, phases.read_text(encoding="utf-8")),
        readme: GRAPH.sub(lambda _: graph, readme.read_text(encoding="utf-8"), count=1),
    }


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        for path, text in pages(Path(folder)).items():
            path.write_text(text, encoding="utf-8")
