"""Charts of the report: Vega-Lite specifications by Altair, compiled to Vega for the page.

The page fills the data sets `rows` and `spans`, and colours follow its light or dark style.
"""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import vl_convert

from footprint.core.vocabulary import PHASES
from footprint.report.page.scopes import PHASE_TEXTS

PHASE_COLOURS: Final = {
    "training": "#5b45b0",
    "inference": "#d99a1c",
    "development": "#2f8f83",
    "unknown": "#9aa0a8",
}
METHOD_COLOURS: Final = {
    "bmc": "#5c6470",
    "mlco2": "#56a0d3",
    "green_algorithms": "#3f9970",
    "codecarbon_2": "#e08214",
}
"""Colours that stand out from a white and a black page."""

ROWS = "rows"
SPANS = "spans"


def vega_script() -> str:
    """Vega-Embed with Vega, as a script that sets `window.vegaEmbed` (BSD-3-Clause)."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def page_charts() -> dict[str, dict[str, Any]]:
    """Vega specifications of the charts `phases`, `timeline`, `methods` and `power`."""
    charts: dict[str, Any] = {
        "phases": _phases(),
        "timeline": _timeline(),
        "methods": _methods(),
        "power": _power(),
    }
    return {name: _compiled(chart.to_dict()) for name, chart in charts.items()}


def _compiled(spec: dict[str, Any]) -> dict[str, Any]:
    spec.pop("config", None)
    compiled = dict(vl_convert.vegalite_to_vega(spec))
    compiled.pop("background", None)
    return compiled


def _rows() -> alt.NamedData:
    return alt.NamedData(name=ROWS)


def _phase_colour() -> alt.Color:
    return alt.Color(
        "phase:N",
        scale=alt.Scale(domain=list(PHASES), range=[PHASE_COLOURS[name] for name in PHASES]),
        legend=None,
    )


def _phases() -> Any:
    """One bar of the phases of a scope: `phase`, `place`, `kwh`, `name`, `text`."""
    return (
        alt.Chart(_rows(), width="container", height=34)
        .mark_bar(size=34)
        .encode(
            x=alt.X("kwh:Q", stack="normalize", axis=None),
            color=_phase_colour(),
            order=alt.Order("place:Q"),
            tooltip=[alt.Tooltip("name:N", title="Phase"), alt.Tooltip("text:N", title="Energy")],
        )
    )


def _timeline() -> Any:
    """Stacked bars over time: `bar` and `bar_end` (epoch, ms), `phase`, `from_kwh`, `to_kwh`."""
    time = alt.X(
        "bar:T",
        scale=alt.Scale(type="utc"),
        title=None,
        axis=alt.Axis(format="%-d %b", labelOverlap=True, grid=False),
    )
    return (
        alt.Chart(_rows(), width="container", height=190)
        .mark_rect()
        .encode(
            x=time,
            x2="bar_end:T",
            y=alt.Y("to_kwh:Q", title="kWh", axis=_number_axis()),
            y2="from_kwh:Q",
            color=_phase_colour(),
            tooltip=[
                alt.Tooltip("day:N", title="From"),
                alt.Tooltip("name:N", title="Phase"),
                alt.Tooltip("text:N", title="Energy"),
            ],
        )
    )


def _number_axis() -> alt.Axis:
    """An axis whose thousands are separated by narrow spaces."""
    return alt.Axis(tickCount=4, labelExpr="replace(format(datum.value, ','), /,/g, '\u202f')")


def _methods() -> Any:
    """Bars of the methods: `method`, `label`, `kwh`."""
    return (
        alt.Chart(_rows(), width="container", height=alt.Step(28))
        .mark_bar(size=18)
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=260, domain=False)),
            x=alt.X("kwh:Q", axis=None),
            color=alt.Color(
                "method:N",
                scale=alt.Scale(domain=list(METHOD_COLOURS), range=list(METHOD_COLOURS.values())),
                legend=None,
            ),
            tooltip=[alt.Tooltip("label:N", title="Method")],
        )
    )


def _power() -> Any:
    """Power over time (`time`, epoch in ms, `power_w`) above the time of the run (`spans`)."""
    spans = (
        alt.Chart(alt.NamedData(name=SPANS))
        .mark_rect(opacity=0.22, color=PHASE_COLOURS["development"])
        .encode(x=alt.X("since:T", scale=alt.Scale(type="utc")), x2="until:T")
    )
    line = (
        alt.Chart(_rows())
        .mark_line(strokeWidth=1.4, color="#5b8fd6", interpolate="step-after")
        .encode(
            x=alt.X("time:T", scale=alt.Scale(type="utc"), title=None),
            y=alt.Y("power_w:Q", title="W", scale=alt.Scale(zero=True), axis=_number_axis()),
        )
    )
    return alt.layer(spans, line).properties(width="container", height=180)


def phase_order() -> list[dict[str, str]]:
    """Phases in their order, with their names and colours."""
    return [
        {"phase": phase, "name": PHASE_TEXTS[phase], "colour": PHASE_COLOURS[phase]}
        for phase in PHASES
    ]
