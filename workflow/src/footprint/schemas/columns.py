"""Types of columns that several tables share, with their units."""

from __future__ import annotations

from functools import partial

import dataframely as dy

Timestamp = partial(dy.Datetime, time_zone="UTC", time_unit="us")
Energy = partial(dy.Float64, nullable=True, metadata={"unit": "kWh"})
Seconds = partial(dy.Float64, min=-1e-6, metadata={"unit": "s"})
Watts = partial(dy.Float64, metadata={"unit": "W"})
Count = partial(dy.Int64, min=0, metadata={"unit": "rows"})
Fraction = partial(dy.Float64, nullable=True, min=-1e-9, max=1 + 1e-9)
Text = partial(dy.String, nullable=True)
Key = partial(dy.String, primary_key=True)
