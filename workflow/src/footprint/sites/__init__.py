"""The sites of Grid'5000 on a map.

Two small tables lie beside this module. `sites.csv` has the towns with the coordinates that the
Reference API publishes for its sites, and the file of its repository that says so in each line;
`has_clusters` is whether that repository describes clusters of the site today. When a site opened
or closed is in none of them. `outline.csv` is a sketch of the countries: capes, ports and border
towns joined by straight lines, by hand. It shows where a site is, and no border.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl

FOLDER = Path(__file__).parent


@cache
def known() -> pl.DataFrame:
    """Sites: `site`, `town`, `country`, `latitude_deg`, `longitude_deg`, `has_clusters`, `source`.

    Sorted by site. `site` is the name that configuration and API use.
    """
    return pl.read_csv(FOLDER / "sites.csv").sort("site")


@cache
def outline() -> pl.DataFrame:
    """Corners of the sketch: `outline` (which shape), `longitude_deg`, `latitude_deg`, in order."""
    return pl.read_csv(FOLDER / "outline.csv")


def town(site: str) -> str:
    """How readers know a site: its town, or its own name where it is not among those known."""
    found = known().filter(pl.col("site") == site)["town"]
    return str(found.item()) if len(found) else site
