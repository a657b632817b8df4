"""Uncovered patterns in words: what to collect, what real data lack too, and what is gone beyond chance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from counterproof.metrics.coverage._patterns.lattice import OPEN, Flags, Uncovered
from counterproof.metrics.coverage._patterns.remedy import Remedy
from counterproof.metrics.coverage._patterns.search import Search, Space
from counterproof.metrics.estimate import Evidence
from counterproof.metrics.workbench import Workbench

CHANCE = 0.001  # that a faithful release sets off the alarm
LISTED = 100
NATURAL = 20  # patterns that real rows lack too, listed


def alarm(bench: Workbench, space: Space, search: Search) -> str:
    """The pattern that the release lacks most surely; empty where chance may explain all."""
    gone = search.found.some(search.beyond(search.found, CHANCE))
    if not len(gone):
        return ""
    gone = search.worst_first(gone.some(gone.maximal) if gone.maximal.any() else gone)
    hidden = hidden_counts(bench, gone)[0]
    expected = f"at least {np.ceil(search.threshold):,.0f}" if hidden else f"about {search.expected(gone)[0]:,.0f}"
    more = f"; so for {len(gone) - 1} more such combination{'' if len(gone) == 2 else 's'}" if len(gone) > 1 else ""
    some = f"Only {gone.made[0]} {bench.noun}{'' if gone.made[0] == 1 else 's'}"
    rows = some if gone.made[0] else f"No {bench.noun}"
    return f"{rows} with {space.text(gone.patterns[0])}; a faithful release would have {expected}{more}"


def hidden_counts(bench: Workbench, of: Uncovered) -> Flags:
    """Patterns of so few real rows that even their number would tell of single persons."""
    return (of.real > 0) & (of.real < bench.small_cell) & (not bench.show_real)


def what_to_collect(bench: Workbench, space: Space, search: Search) -> Iterator[Evidence]:
    """Patterns that real rows cover and the release does not, worst first."""
    lost = search.worst_first(search.lost)
    if not len(lost):
        return
    beyond = search.beyond(lost, (1 - bench.level) / 2)
    expected, hidden = search.expected(lost), hidden_counts(bench, lost)
    least = int(np.ceil(search.threshold))
    rows = []
    for at in range(min(len(lost), LISTED)):
        made = int(lost.made[at])
        real = (None, None) if hidden[at] else (int(lost.real[at]), round(float(expected[at]), 1))
        few = f"too few rows: fewer than {bench.small_cell} real rows"
        why = few if hidden[at] else "beyond chance" if beyond[at] else "may be chance"
        rows.append((least - made, space.text(lost.patterns[at]), made, *real, why))
    yield Evidence(
        title=f"What to collect: real rows cover it, and the release has fewer than {least} rows of it",
        columns=("collect", "rows of", "in the release", "in real data", "a faithful release has about", "shortage"),
        rows=tuple(rows),
        note=f"Worst first{_shown(len(lost), LISTED)}. One row may serve several patterns.",
    )


def natural_gaps(bench: Workbench, space: Space, search: Search) -> Iterator[Evidence]:
    """Maximal uncovered patterns that are no fault of the release, the widest first."""
    found = search.found
    natural = found.some(found.maximal & (found.real < search.covering))
    if not len(natural):
        return
    natural = natural.some(np.lexsort((-natural.real, (natural.patterns != OPEN).sum(1))))
    hidden = hidden_counts(bench, natural)
    few = f"too few rows: fewer than {bench.small_cell}"
    yield Evidence(
        title="Uncovered, as in real data",
        columns=("pattern", "in the release", "in real data"),
        rows=tuple(
            (space.text(natural.patterns[at]), int(natural.made[at]), few if hidden[at] else int(natural.real[at]))
            for at in range(min(len(natural), NATURAL))
        ),
        note=f"Real rows would not cover it either{_shown(len(natural), NATURAL)}.",
    )


def collecting_plan(space: Space, found: Remedy, how: str) -> Iterator[Evidence]:
    """Which rows to collect so that each serves as many patterns as it can."""
    if not found.total:
        return
    order = np.argsort(-found.rows, kind="stable")[:LISTED]
    yield Evidence(
        title=f"{found.total} rows leave nothing uncovered that real rows cover ({how})",
        columns=("collect", "rows of"),
        rows=tuple((int(found.rows[at]), space.text(found.requests[at])) for at in order),
        note=f"Most rows first{_shown(len(found.rows), LISTED)}.",
    )


def _shown(found: int, shown: int) -> str:
    return f"; {shown} of {found} are shown" if found > shown else ""
