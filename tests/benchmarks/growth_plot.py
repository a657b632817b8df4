"""Lines over the rows on two logarithmic axes, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, TOP, ACROSS, DOWN = 900, 445, 55, 30, 360, 330
COLOURS = ("#1b6ca8", "#c8553d", "#2e8b57", "#8e6bbf", "#b8860b", "#444444")


@dataclass(frozen=True)
class Line:
    """One stage at one width.

    Attributes:
        name: Of the stage.
        width: Dimensions; 0 for images.
        sizes: Rows a side.
        values: What was measured at each.
    """

    name: str
    width: int
    sizes: list[int]
    values: list[float]


def drawn(panels: Mapping[str, Sequence[Line]]) -> str:
    """Two panels beside each other and a legend below; the narrowest width of a stage is solid, others are dashed."""
    first = next(iter(panels.values()))
    names = list(dict.fromkeys(line.name for line in first))
    body = [_panel(title, lines, names, LEFT + at * (WIDTH // 2)) for at, (title, lines) in enumerate(panels.items())]
    for at, line in enumerate(first):
        x, y = LEFT + at % 4 * 205, TOP + DOWN + 40 + at // 4 * 16
        body.append(f'<path d="M{x} {y - 4}h22" {_stroke(line, names)}/>')
        body.append(f'<text x="{x + 27}" y="{y}">{escape(_label(line))}</text>')
    style = "text{font:11px sans-serif;fill:#222}path{fill:none}"
    shape = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    page = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {shape}><style>{style}</style>{page}{"".join(body)}</svg>\n'


def _panel(title: str, lines: Sequence[Line], names: Sequence[str], left: int) -> str:
    """One pair of axes with its lines; six decades at most."""
    sizes = sorted({n for line in lines for n in line.sizes})
    top = math.ceil(math.log10(max(max(line.values) for line in lines)))
    low = max(top - 6, math.floor(math.log10(max(1e-9, min(min(line.values) for line in lines)))))
    span = math.log(sizes[-1] / sizes[0]) or 1.0

    def at(n: float, value: float) -> str:
        x = left + ACROSS * math.log(n / sizes[0]) / span
        y = TOP + DOWN * (1 - (max(low, math.log10(max(value, 1e-12))) - low) / (top - low))
        return f"{x:.1f} {y:.1f}"

    made = [f'<text x="{left}" y="{TOP - 12}">{escape(title)}</text>']
    for power in range(low, top + 1):
        _, y = at(sizes[0], 10.0**power).split()
        made.append(f'<path d="M{left} {y}h{ACROSS}" stroke="#ddd"/>')
        made.append(f'<text x="{left - 6}" y="{float(y) + 4}" text-anchor="end">{10.0**power:g}</text>')
    for n in sizes:
        x, _ = at(n, 1.0).split()
        made.append(f'<path d="M{x} {TOP}v{DOWN}" stroke="#eee"/>')
        made.append(f'<text x="{x}" y="{TOP + DOWN + 15}" text-anchor="middle">{n // 1000}k</text>')
    for line in lines:
        points = "L".join(at(n, value) for n, value in zip(line.sizes, line.values, strict=True))
        made.append(f'<path d="M{points}" {_stroke(line, names)}/>')
    return "".join(made)


def _stroke(line: Line, names: Sequence[str]) -> str:
    dashes = ' stroke-dasharray="5 3"' if line.width > 64 else ""
    return f'stroke="{COLOURS[names.index(line.name) % len(COLOURS)]}" stroke-width="2"{dashes}'


def _label(line: Line) -> str:
    return f"{line.name}, d = {line.width}" if line.width else line.name
