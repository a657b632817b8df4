"""Mosaics: groups by label, real rows left and the release right; an area is a share of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from counterproof.reports.figures.markup import Markup, drawing, element, hint
from counterproof.reports.figures.panels import Mosaic, MosaicGroup
from counterproof.reports.text import clipped

GROUPS_DRAWN, LABELS_DRAWN = 16, 8
WIDTH, MARGIN, SIDE, TALL = 860.0, 90.0, 330.0, 220.0
LINE, GAP, SLIVER = 22.0, 2.0, 12.0  # of the legend; between tiles; of a tile whose share is hidden
LETTER, PITCH = 7.2, 18.0  # width of a letter; least distance of two names


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of the two mosaics: its position and its data."""

    kind: str
    left: float
    top: float

    @property
    def real(self) -> bool:
        return self.kind == "real"

    def share(self, group: MosaicGroup) -> float | None:
        return group.real if self.real else group.synthetic

    def n(self, group: MosaicGroup) -> int | None:
        return group.n_real if self.real else group.n_synthetic

    def labels(self, group: MosaicGroup) -> list[float | None]:
        return group.real_labels if self.real else group.synthetic_labels

    @property
    def foot(self) -> float:
        return self.top + TALL


def draw_mosaic(data: Mosaic) -> Markup:
    """Columns as wide as the share of their group, tiles as tall as the share of their label in it."""
    legend, top = _legend(data)
    sides = [
        _Side(kind=kind, left=left, top=top + 28) for kind, left in (("real", MARGIN), ("synthetic", WIDTH - SIDE - 10))
    ]
    parts = [part for side in sides for part in _mosaic(data, side)]
    spoken = f"{data.group_title} by {data.label_title}: shares of real rows beside shares of the release"
    return drawing(WIDTH, top + 28 + TALL + 112, spoken, *legend, *parts)


def _legend(data: Mosaic) -> tuple[list[Markup], float]:
    """Which shade is which label, the first at the foot of the tiles; and where the legend ends."""
    parts = [element("text", clipped(data.label_title, 24), class_="tick", x=0.0, y=14.0)]
    x, y = 14.0 + 6.2 * len(clipped(data.label_title, 24)), 4.0
    for k, label in enumerate(data.labels[:LABELS_DRAWN]):
        words = clipped(label, 20)
        wide = 50 + LETTER * len(words)
        if x + wide > WIDTH:
            x, y = 0.0, y + LINE
        for at, kind in ((x, "real"), (x + 14, "synthetic")):
            parts.append(element("rect", class_=kind, x=at, y=y, width=12.0, height=12.0, fill_opacity=_shade(k, data)))
        parts.append(element("text", hint(label), words, class_="label", x=x + 32, y=y + 10))
        x += wide
    if len(data.labels) > LABELS_DRAWN:
        parts.append(element("text", "and more", class_="tick", x=x, y=y + 10))
    return parts, y + LINE


def _shade(label: int, data: Mosaic) -> str:
    """From strong to faint in the order of the labels."""
    steps = max(1, min(len(data.labels), LABELS_DRAWN) - 1)
    return f"{0.95 - 0.7 * min(1.0, label / steps):.2f}"


def _mosaic(data: Mosaic, side: _Side) -> Iterator[Markup]:
    heading = f"{'real rows' if side.real else 'the release'}, by {clipped(data.group_title, 30)}"
    yield element("text", heading, class_="label strong", x=side.left, y=side.top - 10)
    groups = data.groups[:GROUPS_DRAWN]
    widths = _extents([side.share(group) for group in groups], SIDE)
    starts = [side.left, *(side.left + end for end in accumulate(widths))]
    for group, x, width in zip(groups, starts, widths, strict=False):
        yield from _column(data, group, x, max(1.0, width - GAP), side)
    yield from _group_labels(groups, starts, widths, side)


def _extents(shares: Sequence[float | None], whole: float) -> list[float]:
    """Sizes in proportion to the shares; a hidden one has a fixed size."""
    hidden = sum(share is None for share in shares)
    sliver = min(SLIVER, whole / max(1, len(shares)))
    rest, known = whole - hidden * sliver, sum(share or 0.0 for share in shares)
    return [sliver if share is None else rest * share / known if known else 0.0 for share in shares]


def _column(data: Mosaic, group: MosaicGroup, x: float, width: float, side: _Side) -> Iterator[Markup]:
    if side.share(group) is None:
        tip = hint(f"{group.name}: too few real rows to show")
        yield element("rect", tip, class_="hidden", x=x, y=side.top, width=width, height=TALL)
        return
    shares, foot = side.labels(group), side.foot
    for k, (label, share, height) in enumerate(zip(data.labels, shares, _extents(shares, TALL), strict=True)):
        foot -= height
        words = "too few real rows to show" if share is None else f"{100 * share:.3g} % of {_rows(side.n(group))}"
        tip = hint(f"{group.name}, {label}: {words}")
        box = {"x": x, "y": foot, "width": width, "height": height - (GAP if height > 2 * GAP else 0.0)}
        if share is None:
            yield element("rect", tip, class_="hidden", **box)
        elif share > 0:
            yield element("rect", tip, class_=side.kind, fill_opacity=_shade(k, data), **box)


def _rows(n: int | None) -> str:
    return "its rows" if n is None else f"{n} rows"


def _group_labels(groups: list[MosaicGroup], starts: list[float], widths: list[float], side: _Side) -> Iterator[Markup]:
    """Names under their columns; slanted and moved apart where one of them is too wide."""
    upright = all(len(group.name) * LETTER <= width for group, width in zip(groups, widths, strict=True))
    middles = [x + width / 2 for x, width in zip(starts, widths, strict=False)]
    for group, x, at in zip(groups, middles, _spread_apart(middles, side.left, side.left + SIDE), strict=True):
        share = side.share(group)
        words = "hidden" if share is None else f"{100 * share:.3g} %"
        if upright:
            how: dict[str, str | float] = {"x": x, "text_anchor": "middle"}
            yield element("text", hint(group.name), group.name, class_="label", y=side.foot + 16, **how)
            yield element("text", words, class_="tick", y=side.foot + 31, **how)
            continue
        yield element("path", class_="lead-line", d=f"M{x:.1f} {side.foot:.1f}L{at:.1f} {side.foot + 12:.1f}")
        turned = f"translate({at + 3:.1f} {side.foot + 20:.1f}) rotate(-40)"
        name = f"{clipped(group.name, 13)} {words}"
        yield element("text", hint(group.name), name, class_="tick", text_anchor="end", transform=turned)


def _spread_apart(places: list[float], low: float, high: float) -> list[float]:
    """The positions, moved as little as needed to keep a distance."""
    there: list[float] = []
    for place in places:
        there.append(max(place, there[-1] + PITCH if there else low))
    back: list[float] = []
    for place in reversed(there):
        back.append(min(place, back[-1] - PITCH if back else high))
    return back[::-1]
