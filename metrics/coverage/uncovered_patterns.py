"""Which combinations do real rows cover, and the release does not?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from counterproof.metrics.coverage._patterns.evidence import alarm, collecting_plan, natural_gaps, what_to_collect
from counterproof.metrics.coverage._patterns.lattice import LATTICE, Uncovered
from counterproof.metrics.coverage._patterns.remedy import Remedy, remedy
from counterproof.metrics.coverage._patterns.search import Search, Space, search_patterns, space_of
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.metric import Count, Needs, Value, metric
from counterproof.metrics.workbench import Workbench

ROWS = 30  # of a rate measured on 30 rows the 95 % interval is 0.34 wide: fewer say nothing to act on
ORDER = 3
SPACE: Work[Space] = Work("columns that patterns combine")


@metric(
    id="coverage.uncovered_patterns",
    family="coverage",
    title="uncovered patterns",
    unit="patterns",
    needs=Needs(smallest_n=2),
    reads=("columns",),
)
def uncovered(
    bench: Workbench,
    *,
    columns: tuple[str, ...] | None = None,
    threshold: Count | None = None,
    order: Count | None = None,
) -> Iterator[Value]:
    """Combinations of groups and label that real rows cover and the release does not.

    A pattern gives some columns a value (``race=Other, age=> 60``). It is uncovered where fewer than
    ``threshold`` rows of the release match it. It counts where it is maximal (without one of its values it is
    covered) and real rows cover it: their share would give a release of this size ``threshold`` rows. Patterns
    are found exactly, from a cube of counts. Rows of one source count as the independent rows (Kish).

    Formula:
        uncovered: rows that match < threshold
        shortage: Fisher's exact test of the counts of release and real rows

    How to read it:
        0 is best; a faithful release has a few by luck, see the floor. The interval goes from the patterns
        whose shortage is beyond chance (95 %, over all patterns) to those that real rows may cover at most. A
        shortage beyond chance at 0.1 % is an alarm. The evidence lists what to collect, worst first.

    Limits:
        Only the columns named are combined, ``order`` at a time. Numbers are cut into fifths.

    Args:
        bench: The samples.
        columns: Columns to combine: groups, label, categories and numbers of the table; groups and label by
            default.
        threshold: Rows that cover a pattern. By default the larger of 30 and ``small_cell``, because a rate
            known from fewer rows is too uncertain to act on.
        order: Columns that a pattern may combine. By default three, or as many as ``intersections`` asks for. A
            higher order finds the same patterns and more, of ever fewer rows.

    Yields:
        value: Maximal uncovered patterns that real rows cover.
        maximal: All maximal uncovered patterns, also those that real rows lack too: a fact about the release.
        rows: The fewest rows to collect that would leave nothing uncovered that real rows cover. The interval
            goes from the shortages beyond chance to all that real rows may cover.

    Raises:
        MetricError: An option makes no sense, or names no column.

    Source:
        Asudeh, Jin and Jagadish (2019), arXiv:1810.06742, for maximal uncovered patterns; their remedy covers a
        level of the lattice, this one covers what real rows cover.
    """
    least = max(ROWS, bench.small_cell) if threshold is None else threshold
    if least < 1 or (order is not None and order < 1):
        raise MetricError("options threshold and order: give 1 or more")
    space = bench.shared(SPACE.about(bench.real, bench.release, columns=columns), lambda: space_of(bench, columns))
    order = max(ORDER, bench.intersections) if order is None else order
    unmet = _unmet(bench, space, order, least)
    if unmet is not None:
        yield unmet
        return
    search = search_patterns(bench, space, threshold=least, order=order)
    if bench.is_null:
        yield Value(estimate=_exactly(len(search.lost), bench.level))
    else:
        yield _headline(bench, space, search)
        yield _rows(bench, space, search)
    yield Value(
        field="maximal",
        estimate=_exactly(int(search.found.maximal.sum()), bench.level),
        n=search.sizes,
        reason="those that real rows lack too among them",
    )


def _unmet(bench: Workbench, space: Space, order: int, least: int) -> Value | None:
    if not space.columns:
        if space.crowded:
            return Value(status="not_assessable", reason=space.remark, decidable=False)
        return Value(status="not_applicable", reason="no label and no group of two values was given")
    patterns = space.cells.patterns(order)
    reason = ""
    if patterns > LATTICE:
        reason = (
            f"{len(space.columns)} columns make {patterns:,} patterns, more than the {LATTICE:,} that are searched: "
            "name fewer columns, or set an order below their number"
        )
    elif len(bench.release) < least:
        reason = f"the release has {len(bench.release)} rows, fewer than the {least} that cover a pattern"
    return Value(status="not_assessable", reason=reason, decidable=False) if reason else None


def _exactly(count: int, level: float) -> Estimate:
    return Estimate.point(float(count), level=level, method="counted")


def _headline(bench: Workbench, space: Space, search: Search) -> Value:
    found, lost = search.found, search.lost
    beyond = int(search.beyond(lost, (1 - bench.level) / 2).sum())
    remarks = [f"{beyond} of them beyond chance" if len(lost) else "", space.remark]
    return Value(
        estimate=Estimate(
            value=float(len(lost)),
            low=float(beyond),
            high=float((found.maximal & (found.real >= search.perhaps)).sum()),
            level=bench.level,
            method="shortages beyond chance, to all that real rows may cover",
        ),
        n=search.sizes,
        reason="; ".join(filter(None, remarks)),
        alarm=alarm(bench, space, search),
        evidence=(*what_to_collect(bench, space, search), *natural_gaps(bench, space, search)),
    )


def _rows(bench: Workbench, space: Space, search: Search) -> Value:
    found = search.found
    surely, likely, perhaps = (
        _remedy(bench, space, search, found.some(chosen))
        for chosen in (
            search.beyond(found, (1 - bench.level) / 2),
            found.real >= search.covering,
            found.real >= search.perhaps,
        )
    )
    how = "the fewest" if likely.exact else f"{likely.least} at least"
    return Value(
        field="rows",
        unit="rows to collect",
        estimate=Estimate(
            value=float(likely.total),
            low=float(min(surely.least, likely.total)),
            high=float(max(perhaps.total, likely.total)),
            level=bench.level,
            method=f"for shortages beyond chance, to all that real rows may cover ({how})",
        ),
        n=search.sizes,
        evidence=tuple(collecting_plan(space, likely, how)),
    )


def _remedy(bench: Workbench, space: Space, search: Search, of: Uncovered) -> Remedy:
    """Only combinations of enough real rows are asked for: they exist, and naming them tells of nobody."""
    real = space.counts(bench.real)
    named = (space.cells.codes < np.array(space.cells.sizes)).all(1)
    offers = space.cells.codes[named & (real >= (1 if bench.show_real else bench.small_cell))]
    return remedy(of.patterns, np.ceil(search.threshold - of.made).astype(np.int64), offers)
