"""The finished study that `footprint publish` publishes, of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from footprint.core import calendar, pseudonyms
from footprint.core.provenance import describe_study
from footprint.report.publication.groups import Disclosure
from footprint.report.publication.study import FinishedStudy


def finished_study(config: Mapping[str, Any], folder: Path) -> FinishedStudy:
    """Return the study that a configuration describes, in the folder where its workflow ran.

    Args:
        config: A configuration as `settings.prepare_configuration` returns it.
        folder: Folder with `results/` and `resources/`.

    Raises:
        InputError: There is no key for the pseudonyms of real people.
    """
    study, privacy, carbon = config["study"], config["privacy"], config["carbon"]
    simulated = config["source"]["kind"] == "simulated"
    key = pseudonyms.load_key(privacy["key"], simulated=simulated)
    named = pseudonyms.shown_pseudonyms(config["levels"]["users"], key=key)
    start, end = calendar.study_window(study["start"], study["end"])
    return FinishedStudy(
        folder=folder,
        site=study["site"],
        start=start,
        end=end,
        simulated=simulated,
        provenance=describe_study(config),
        pue=float(config["pue"]),
        factors=carbon["factors"],
        embodied=carbon["embodied"],
        redistribution=config["levels"]["redistribution"],
        # `all` is a row for each person, and nobody's agreement
        disclosure=Disclosure(
            minimum=privacy["minimum_group"],
            named=frozenset() if named == "all" else frozenset(named),
        ),
    )
