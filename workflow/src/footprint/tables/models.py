"""Notable AI models."""

from __future__ import annotations

import dataframely as dy

from footprint.tables.columns import Key, Text


class NotableModels(dy.Schema):
    """Notable AI models: what their training took, and when they were published."""

    model = Key(description="Model, as its source names it")
    published_on = dy.Date(primary_key=True, description="Day of publication")
    training_flop = dy.Float64(
        nullable=True,
        min_exclusive=0,
        metadata={"unit": "FLOP"},
        description="Operations of the final training, estimated; null: unknown",
    )
    domain = Text(description="What it is for; several are separated by commas")
    source = dy.String(description="Where the numbers come from")
