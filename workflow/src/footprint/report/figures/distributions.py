"""seaborn, which draws distributions, without the widgets that it has for notebooks."""

from footprint.core.light_imports import hide_packages

with hide_packages("ipywidgets"):
    import seaborn

__all__ = ["seaborn"]
