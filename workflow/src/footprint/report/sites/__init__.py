"""Sites of Grid'5000 with coordinates, and a sketch of their countries.

The package has two small tables. `sites.csv` lists the towns with the coordinates that the
Reference API publishes for its sites, and the file of its repository as the source of each line;
`has_clusters` is whether that repository describes clusters of the site today. Neither table has
opening or closing dates. `outline.csv` is a sketch of the countries by hand: capes, ports and
border towns joined by straight lines. It shows no borders.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl

TABLE_FOLDER = Path(__file__).parent


@cache
def site_table() -> pl.DataFrame:
    """Sites: `site, town, country, latitude_deg, longitude_deg, has_clusters, source`.

    Sorted by site. `site` is the name in the configuration and the API.
    """
    return pl.read_csv(TABLE_FOLDER / "sites.csv").sort("site")


@cache
def outline_corners() -> pl.DataFrame:
    """Corners of the sketch: `outline, longitude_deg, latitude_deg`; a shape has one outline."""
    return pl.read_csv(TABLE_FOLDER / "outline.csv")


def town_name(site: str) -> str:
    """Town of a site, or the name of the site if it is not in the table."""
    towns = site_table().filter(pl.col("site") == site)["town"]
    return str(towns.item()) if len(towns) else site
