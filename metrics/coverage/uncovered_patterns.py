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
    ``threshold`` rows of the release match it; it counts where it is maximal (drop one of its values,
    and it is covered) and real rows cover it: their share would give a release of this size
    ``threshold`` rows. 0 is best; a faithful release has a few by luck, see the floor. The interval
    counts maximal uncovered patterns only: from those whose shortage is beyond chance (95 %, over all
    patterns) to those that real rows may cover for all that is known. A shortage beyond chance at
    0.1 % is an alarm.

    ``maximal`` are all maximal uncovered patterns, those that real rows lack too among them: a fact of
    the release. ``rows`` are the fewest rows that would leave nothing uncovered that real rows cover,
    from the fewest for shortages beyond chance to the fewest for all that real rows may cover.

    Source: Asudeh, Jin and Jagadish 2019, arXiv:1810.06742 (maximal uncovered patterns, found here
    exactly from a cube of counts; their remedy covers a level of the lattice, this one covers what real
    rows cover). Shortages: Fisher's exact test of the counts; Poisson bounds of real counts as in
    :func:`~counterproof.metrics.statistics.proportions.poisson_upper`. Rows of one source count as the independent
    rows that tell as much (Kish).

    Args:
        bench: The samples.
        columns: Columns to combine, groups, label, or categories and numbers of the table (numbers in
            fifths); groups and label by default.
        threshold: Rows that cover a pattern; the larger of 30 and ``small_cell`` by default, because
            a rate known from fewer is too uncertain to act on.
        order: Columns that a pattern may combine; three by default, or as many as ``intersections``
            asks for. A higher order finds the same patterns and more, of ever fewer rows.

    Yields:
        ``value`` with the list of what to collect, ``maximal``, and ``rows``.

    Raises:
        MetricError: An option makes no sense, or names no column.
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
