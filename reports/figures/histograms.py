"""Histograms: marginals as small multiples of paired bars, and plain bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from counterproof.reports.figures.axes import Axis
from counterproof.reports.figures.markup import Markup, drawing, element, hint
from counterproof.reports.figures.panels import Bars, Marginal, Marginals
from counterproof.reports.judgement import number
from counterproof.reports.text import clipped

COLUMNS_DRAWN = 24
CATEGORIES_DRAWN = 8
BARS_DRAWN = 30
WIDTH, PLOT = 300.0, 96.0


def draw_marginals(data: Marginals) -> Markup:
    """One small chart per column, worst first."""
    shown = [_column_chart(column) for column in data.columns[:COLUMNS_DRAWN]]
    left = len(data.columns) - len(shown)
    more = [element("p", f"{left} more columns stand in record.json.", class_="note")] if left > 0 else []
    return element("div", element("div", *shown, class_="multiples"), *more)


def _column_chart(column: Marginal) -> Markup:
    floor = "" if column.floor is None else f" (floor {number(column.floor)})"
    name = element("span", clipped(column.column, 40), class_="name", title=column.column)
    score = element("span", f"{column.statistic} {number(column.value)}{floor}", class_="score")
    chart = _number_bars(column) if column.statistic == "KS" else _category_bars(column)
    return element("figure", element("figcaption", name, score), chart, class_="multiple")


def _aria_label(column: Marginal) -> str:
    return f"Shares of {column.column} in real and synthetic rows, {column.statistic} {number(column.value)}"


def _tip(label: str, real: float | None, synthetic: float | None) -> Markup:
    return hint(f"{label}: real {_share(real)}, synthetic {_share(synthetic)}")


def _share(value: float | None) -> str:
    return "hidden (few real rows)" if value is None else f"{100 * value:.3g} %"


def _scale(column: Marginal, start: float, end: float) -> Axis:
    top = max((v for v in (*column.real, *column.synthetic) if v is not None), default=0.0)
    return Axis(low=0.0, high=top or 1.0, start=start, end=end)


def _number_bars(column: Marginal) -> Markup:
    """Binned numbers: real as filled steps, synthetic as bars before them."""
    axis, count = _scale(column, 0.0, PLOT - 8), max(1, len(column.labels))
    step = WIDTH / count
    bins = zip(column.labels, column.real, column.synthetic, strict=True)
    parts = [_bin(k * step, step, axis, *found) for k, found in enumerate(bins)]
    base = element("line", class_="track", x1=0.0, x2=WIDTH, y1=PLOT, y2=PLOT)
    ends = [element("text", clipped(label, 24), class_="tick", x=x, y=PLOT + 14, text_anchor=anchor)
            for label, x, anchor in _ends(column.labels)]  # fmt: skip
    return drawing(WIDTH, PLOT + 18, _aria_label(column), *parts, base, *ends)


def _ends(labels: list[str]) -> Iterator[tuple[str, float, str]]:
    if labels:
        yield labels[0], 0.0, "start"
    if len(labels) > 1:
        yield labels[-1], WIDTH, "end"


def _bin(x: float, step: float, axis: Axis, label: str, real: float | None, synthetic: float | None) -> Markup:
    tall, made = axis(real or 0.0), axis(synthetic or 0.0)
    gap = min(1.0, step * 0.08)
    parts = [element("rect", class_="target", x=x, y=0.0, width=step, height=PLOT)]
    if real is None:
        parts.append(element("rect", class_="hidden", x=x + gap, y=PLOT - 10, width=step - 2 * gap, height=10.0))
    else:
        parts.append(element("rect", class_="real", x=x + gap, y=PLOT - tall, width=step - 2 * gap, height=tall))
    inset = step * 0.24
    parts.append(element("rect", class_="synthetic", x=x + inset, y=PLOT - made, width=step - 2 * inset, height=made))
    return element("g", _tip(label, real, synthetic), *parts)


def _category_bars(column: Marginal) -> Markup:
    """Categories: two bars each, the label before them."""
    shown = list(zip(column.labels, column.real, column.synthetic, strict=True))[:CATEGORIES_DRAWN]
    axis, pitch = _scale(column, 0.0, WIDTH - 128.0), 22.0
    parts = [part for k, found in enumerate(shown) for part in _category(k * pitch, axis, *found)]
    left = len(column.labels) - len(shown)
    if left > 0:
        y = len(shown) * pitch + 12
        parts.append(element("text", f"and {left} more, in the table", class_="tick", x=120.0, y=y))
    return drawing(WIDTH, len(shown) * pitch + (18 if left > 0 else 2), _aria_label(column), *parts)


def _category(y: float, axis: Axis, label: str, real: float | None, synthetic: float | None) -> Iterable[Markup]:
    tip = _tip(label, real, synthetic)
    yield element("text", tip, clipped(label, 17), class_="label", x=113.0, y=y + 13, text_anchor="end")
    if real is None:
        yield element("rect", tip, class_="hidden", x=120.0, y=y + 2, width=14.0, height=8.0)
    else:
        yield element("rect", tip, class_="real", x=120.0, y=y + 2, width=max(1.0, axis(real)), height=8.0)
    made = axis(synthetic or 0.0)
    yield element("rect", tip, class_="synthetic", x=120.0, y=y + 10, width=max(0.5, made), height=8.0)


def draw_bars(data: Bars) -> Markup:
    """Horizontal bars; below zero they grow to the left."""
    shown = list(zip(data.labels, data.values, strict=True))[:BARS_DRAWN]
    known = [value for _, value in shown if value is not None]
    axis = Axis(low=min(0.0, *known, 0.0), high=max(0.0, *known, 1e-12), start=204.0, end=640.0)
    parts = [part for k, (label, value) in enumerate(shown) for part in _row(26.0 * k, axis, label, value)]
    parts.append(element("line", class_="track", x1=axis(0), x2=axis(0), y1=0.0, y2=26.0 * len(shown)))
    title = element("text", clipped(data.value_title, 70), class_="tick", x=204.0, y=26.0 * len(shown) + 15)
    label = f"{data.value_title or 'values'} of {len(data.labels)} entries"
    return drawing(720.0, 26.0 * len(shown) + 20, label, *parts, title)


def _row(y: float, axis: Axis, label: str, value: float | None) -> Iterable[Markup]:
    tip = hint(f"{label}: {number(value)}")
    yield element("text", tip, clipped(label, 30), class_="label", x=0.0, y=y + 17)
    ends = sorted((axis(0.0), axis(value or 0.0)))
    if value is not None:
        yield element(
            "rect", tip, class_="synthetic", x=ends[0], y=y + 5, width=max(1.0, ends[1] - ends[0]), height=16.0
        )
    yield element("text", number(value), class_="label", x=ends[1] + 6, y=y + 17)
