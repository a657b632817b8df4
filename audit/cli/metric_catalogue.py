"""The installed metrics, as ``counterproof metrics`` lists them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from counterproof.metrics.errors import MetricError
from counterproof.metrics.metric import FAMILIES, Metric, installed, load
from counterproof.refusal import nearest_names


def lines() -> Iterator[str]:
    """One line per metric: id, direction, first sentence."""
    width = max(len(name) for name in installed())
    metrics: list[Metric] = []
    broken: list[str] = []
    for name in installed():
        try:
            metrics.append(load(name))
        except MetricError as error:
            broken.append(f"{name:<{width}}  cannot be loaded: {error}")
    for found in sorted(metrics, key=lambda m: (FAMILIES.index(m.family), m.id)):
        yield f"{found.id:<{width}}  {found.better:<6}  {summary(found)}"
    yield from broken


def summary(metric: Metric) -> str:
    """The first sentence of a metric's docstring."""
    return (inspect.getdoc(metric.function) or metric.title).partition("\n")[0]


def page(identifier: str) -> str:
    """The description of one metric.

    Raises:
        MetricError: There is none of that id.
    """
    known = installed()
    if identifier not in known:
        near = nearest_names(identifier, known, most=3)
        raise MetricError(f"no metric is called {identifier!r}{'; nearest: ' + ', '.join(near) if near else ''}")
    found = load(identifier)
    needs = found.needs
    asked = [name for name in ("holdout", "label", "groups") if getattr(needs, name)]
    parts = [
        f"{found.id} (version {found.algo}): {found.title}",
        "",
        inspect.getdoc(found.function) or "",
        "",
        f"headline field: {found.headline}, in {found.unit or 'no unit'}; better: {found.better}",
        f"needs: {', '.join([*asked, f'{needs.smallest_n} rows a side'])}; data: {', '.join(sorted(needs.modalities))}",
        f"floor: {found.null}" + (f", {found.draws} draws" if found.null != "none" else ""),
        *(f"option: {name} = {p.default!r}" for name, p in found.parameters().items()),
        *(
            f"default gate ({t.level}): {found.id}.{t.field}{'[*]' if t.cells else ''} {t.operator} {t.limit:g}: "
            f"{t.reason}"
            for t in found.tolerances
        ),
    ]
    return "\n".join(parts)
