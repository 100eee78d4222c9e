"""Write the generated parts of the documentation: `make docs`.

They are docs/data-dictionary.md, docs/configuration.md, docs/api.md, the rules in docs/phases.md,
the columns in docs/your-cluster.md, and the graph of the workflow's rules in README.md.
"""

import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory

import api_page
import dictionary

import footprint
from footprint.config import settings
from footprint.core import json_schema
from footprint.schemas.catalogue import TABLES

ROOT = Path(__file__).parents[1]
GRAPH = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.S)
COLUMNS = re.compile(r"(?<=<!-- columns -->\n).*?(?=<!-- end of columns -->)", re.S)
PHASE_RULES = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- end of rules -->)", re.S)


def run_snakemake(folder: Path, *options: str) -> str:
    """Return the output of Snakemake for the default configuration; no rule is run.

    Args:
        folder: Empty folder for the files of Snakemake.
        options: Options of the command `snakemake`, such as `--rulegraph`.
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
    """Return the graph of the rules in Mermaid, in the order in which they run.

    Snakemake numbers the rules, lists the arrows in another order, and adds colours; the result
    contains the names alone and does not depend on these.

    Args:
        printed: Output of `snakemake --rulegraph mermaid-js`.
    """
    names = dict(re.findall(r"(\w+)\[(\w+)\]", printed))
    arrows = [(names[start], names[to]) for start, to in re.findall(r"(\w+) --> (\w+)", printed)]
    needs = {rule: sorted(start for start, to in arrows if to == rule) for rule in names.values()}
    order = list(TopologicalSorter(dict(sorted(needs.items()))).static_order())
    arrows.sort(key=lambda arrow: [order.index(rule) for rule in arrow])
    return "\n    ".join(["flowchart TB", *(f"{start} --> {to}" for start, to in arrows)]) + "\n"


def generated_pages(folder: Path) -> dict[Path, str]:
    """Return the content of each file with generated parts.

    Args:
        folder: Empty folder for the files of Snakemake.
    """
    readme, phases = ROOT / "README.md", ROOT / "docs/phases.md"
    cluster = ROOT / "docs/your-cluster.md"
    columns = f"\n{dictionary.generic_columns()}\n"
    phase_rules = f"\n{dictionary.phase_rule_tables()}\n\n"
    graph = rule_graph(run_snakemake(folder, "--rulegraph", "mermaid-js"))
    return {
        ROOT / "docs/data-dictionary.md": dictionary.data_dictionary_page(TABLES),
        ROOT / "docs/configuration.md": dictionary.configuration_page(
            json_schema.read_schema(settings.SCHEMA_PATH)
        ),
        ROOT / "docs/api.md": api_page.api_page(footprint),
        cluster: COLUMNS.sub(lambda _: columns, cluster.read_text(encoding="utf-8")),
        phases: PHASE_RULES.sub(lambda _: phase_rules, phases.read_text(encoding="utf-8")),
        readme: GRAPH.sub(lambda _: graph, readme.read_text(encoding="utf-8"), count=1),
    }


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        for path, text in generated_pages(Path(folder)).items():
            path.write_text(text, encoding="utf-8")
