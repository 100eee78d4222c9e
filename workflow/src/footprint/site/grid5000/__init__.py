"""The source `grid5000`: a site's services themselves, asked over the network.

`http` asks, `answers` keeps what came, `service` joins the two; `descriptions` are the nodes,
`jobs` and `samples` what their names say, and `planning` tells beforehand what a study will take.
"""

from footprint.site.grid5000.site import Grid5000Site

__all__ = ["Grid5000Site"]
