"""The library for notebooks: what `import footprint` offers beside the tracker.

The stage takes frames of a notebook, or the tables of a study. It gives energies and tables as
frames whose columns and types are checked.

- `integration`: energy of jobs from two frames, power and allocations (`integrate`).
- `frames`: the checks of these two frames.
- `results`: the tables of a study, and what-if questions about them (`open_results`).
"""

from footprint.api.integration import integrate
from footprint.api.results import Results, open_results

__all__ = ["Results", "integrate", "open_results"]
