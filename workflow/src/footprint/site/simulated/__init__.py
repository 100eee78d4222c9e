"""A site with a known truth: its jobs, its power as a function of time, and their exact energy.

The site is shaped like the production clusters of Nancy. Everything follows from the seed and the
study's window, so that each rule of the pipeline can build the site anew and find the same.
"""

from footprint.site.simulated.hardware import clusters, node_count
from footprint.site.simulated.site import SimulatedSite

__all__ = ["SimulatedSite", "clusters", "node_count"]
