"""A route's versions over time, as a plot."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from .._timeline import Lane, Moment, Stretch, timeline
from ._route import RoutePage, Stood

__all__ = ["stages_plot"]

_MOST: Final = 12
_MARKS: Final = {
    "promote": "good",
    "rollback": "bad",
    "quarantine": "bad",
    "canary": "warn",
    "shadow": "warn",
}


def stages_plot(page: RoutePage) -> Markup:
    """Return the plot: a row for each version, those that stood last at the top."""
    models = {pin.id: pin.model for pin in page.pins}
    order = dict.fromkeys(
        one.pin for one in sorted(page.stood, key=lambda each: -each.start)
    )
    names = list(order)[:_MOST]
    lanes = [
        Lane(
            name=name,
            about=models.get(name, ""),
            stretches=[_stretch(one) for one in page.stood if one.pin == name],
            moments=[
                Moment(at=at, css=_MARKS.get(action, ""), told=text)
                for pin, at, action, text in page.marks
                if pin == name
            ],
        )
        for name in names
    ]
    active = [one.pin for one in page.stood if one.stage == "active"]
    about = f"{len(order)} versions; {active[-1]} serves" if active else ""
    return timeline(
        lanes,
        title=f"Versions of {page.view.route} over time",
        about=about,
        start=page.start,
        end=page.end,
    )


def _stretch(one: Stood) -> Stretch:
    share = "" if one.weight is None else f" {one.weight / 100:g} %"
    return Stretch(
        start=one.start,
        end=one.end,
        css=one.stage,
        text=f"{one.stage}{share}",
        told=f"{one.pin}: {one.stage}{share}",
    )
