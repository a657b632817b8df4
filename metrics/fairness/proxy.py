"""Do the other columns of the release give the group away, more than those of real data do?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Estimate, Evidence, Group
from counterproof.metrics.fairness._proxy_columns import copies_of
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.sample import Sample
from counterproof.metrics.shared.partitions import Partition, partitions
from counterproof.metrics.shared.principal_axes import on_pooled_axes
from counterproof.metrics.shared.retraining import REFITS, Change, Refits, refit_spread, worst_change
from counterproof.metrics.shared.two_sample import (
    AXES,
    FOLDS,
    TREE_AXES,
    Task,
    boosting_scores,
    linear_tables,
    separating_columns,
    tree_columns,
)
from counterproof.metrics.statistics.auc import auc_parts
from counterproof.metrics.statistics.variance import parts_error
from counterproof.metrics.workbench import Workbench

LEAST = 50  # rows of a group on either side, without which its area under the curve says nothing
CLASSES = 20
ROWS = 20_000
METHOD = "DeLong, out of fold"
Learner = Literal["linear", "boosting"]
PROXY_CLASSES: Work[NDArray[np.intp]] = Work("values that a proxy is sought for")
PROXY: Work[Separability] = Work("how well features tell a group")


@dataclass(frozen=True, eq=False, kw_only=True)
class Separability:
    """How well the features of one sample tell the values of a group column.

    Attributes:
        auc: Mean area under the ROC curve, each value against the rest.
        error: Its standard error.
        each: The area of each value.
    """

    auc: float
    error: float
    each: tuple[float, ...]

    def estimate(self, level: float) -> Estimate:
        """With its interval."""
        e = Estimate.normal(self.auc, self.error, level=level, method=METHOD)
        return replace(e, low=max(0.0, e.low), high=min(1.0, e.high))


@metric(
    id="fairness.proxy",
    family="fairness",
    title="columns that give the group away",
    better="zero",
    headline="change",
    unit="AUROC",
    null="halves",
    draws=10,
    needs=Needs(groups=True, smallest_n=500),
    reads=("features", "groups"),
)
def proxy(bench: Workbench, *, learner: Learner = "linear") -> Iterator[Value]:
    """How well other columns predict each group column in the release, less how well they do in real data.

    A classifier learns the group from all other columns but the label, out of fold, once in the release and
    once in as many real rows. AUROC of several groups is the mean of each against the rest. Columns that are
    the group column renamed are left out.

    Formula:
        change = AUROC(group from other columns, in the release) − AUROC(the same, in real rows)

    How to read it:
        Above 0 the release makes it easier to discriminate by proxy. Below 0 it has lost differences between
        real groups. The evidence names the columns behind it.

    Limits:
        It says what columns could do, not what a model does. The linear learner sees what single columns tell;
        boosting sees what they tell together, for ten times the time. It has no default gate.

    Args:
        bench: The samples.
        learner: The classifier that learns the group.

    Yields:
        change: Change of AUROC for each group column (``[sex]``); the one farthest from 0 without a group, its
            interval for all columns at once.
        real: AUROC in real rows.
        synthetic: AUROC in the release.

    Source:
        DeLong et al. (1988), doi:10.2307/2531595, for the intervals; permutation importance, Breiman (2001),
        doi:10.1023/A:1010933404324, for the columns behind it.
    """
    asked: list[Partition] = []
    for part in partitions(bench, order=1):
        reason = _unfit(bench, part, _classes(bench, part))
        if reason:
            group: Group = ((part.columns[0], None),)
            yield Value(field="change", group=group, status="not_assessable", reason=reason, decidable=False)
        else:
            asked.append(part)
    if not asked:
        reason = "too few rows: no group column has two groups large enough to be told"
        yield Value(field="change", status="not_assessable", reason=reason, decidable=False)
        return
    by_column = {part.columns[0]: _on_both_sides(bench, part, learner) for part in asked}
    changes = _changes(bench, asked, by_column, learner)
    for part, change in zip(asked, changes, strict=True):
        yield from _of_column(bench, part, change, *by_column[part.columns[0]])
    farthest = max(changes, key=lambda change: abs(change.value))
    yield Value(
        field="change",
        estimate=worst_change(changes, "zero", bench.level),
        n=_sizes(bench),
        reason=f"farthest from 0: {farthest.group[0][0]}",
        evidence=() if bench.is_null else tuple(_giveaways(bench, asked, by_column)),
    )


def _on_both_sides(bench: Workbench, part: Partition, learner: Learner) -> tuple[Separability, Separability]:
    """In as many real rows as the release brings, and in the release."""
    classes = _classes(bench, part)
    real, synthetic = (
        separability(bench, sample, part, classes, learner) for sample in (bench.learning, bench.synthetic_train)
    )
    return real, synthetic


def _changes(
    bench: Workbench,
    asked: list[Partition],
    by_column: Mapping[str, tuple[Separability, Separability]],
    learner: Learner,
) -> list[Change]:
    """The change of each column, known as well as the rows and training anew let it be.

    The rows' own part (DeLong) leaves out how the classifiers would differ: alone it held 87 %. What
    halves of either side differ by holds both; the part beyond DeLong's is training anew.
    """
    refits: Mapping[str, Refits] = {}
    if not bench.is_null:

        def statistic(view: Workbench) -> dict[str, float]:
            return {part.columns[0]: _difference(view, part, learner) for part in asked}

        refits = refit_spread(bench, statistic)
    changes = []
    for name, (real, synthetic) in by_column.items():
        sampling = math.hypot(synthetic.error, real.error)
        halves = refits[name] if name in refits else Refits(0.0, REFITS)
        beyond = math.sqrt(max(0.0, halves.spread**2 - sampling**2))
        changes.append(
            Change(
                group=((name, None),),
                value=synthetic.auc - real.auc,
                sampling=sampling,
                refit=beyond,
                draws=halves.draws,
            )
        )
    return changes


def _difference(view: Workbench, part: Partition, learner: Learner) -> float:
    """Between two halves; none where few sources leave a half without a group."""
    if _unfit(view, part, _classes(view, part)):
        return 0.0
    real, synthetic = _on_both_sides(view, part, learner)
    return synthetic.auc - real.auc


def _sizes(bench: Workbench) -> dict[str, int]:
    return {"real": min(ROWS, len(bench.learning)), "release": min(ROWS, len(bench.synthetic_train))}


def _of_column(
    bench: Workbench, part: Partition, change: Change, real: Separability, synthetic: Separability
) -> Iterator[Value]:
    left_out = [name for name in copies_of(bench, part.columns[0]) if name not in (*part.columns, bench.corpus.label)]
    reason = f"left out as copies of it: {', '.join(left_out)}" if left_out else ""
    estimate = change.estimate(bench.level)
    yield Value(field="change", group=change.group, estimate=estimate, n=_sizes(bench), reason=reason)
    if not bench.is_null:
        for field, one in (("real", real), ("synthetic", synthetic)):
            yield Value(field=field, group=change.group, estimate=one.estimate(bench.level), better="lower")


def _classes(bench: Workbench, part: Partition) -> list[int]:
    """Values that both sides of the measurement have often enough, and this view at all; missing is none."""
    sides = (bench.learning, bench.synthetic_train)
    least = np.minimum(*(part.counts(sample) for sample in sides))

    def choose() -> NDArray[np.intp]:
        enough = np.flatnonzero((part.values[:, 0] != "") & (least >= LEAST))
        return np.sort(enough[np.argsort(-least[enough], kind="stable")][:CLASSES])

    chosen = bench.shared(PROXY_CLASSES.about(bench.real, bench.release, columns=part.columns), choose)
    return [int(at) for at in chosen if least[at] >= FOLDS]


def _unfit(bench: Workbench, part: Partition, classes: list[int]) -> str:
    if len(classes) < 2:
        return f"too few rows: {part.name} has not two groups of {LEAST} rows in real data and in the release"
    mixed = bench.corpus.mixed
    if mixed is not None and set(mixed.columns) <= set(copies_of(bench, part.columns[0])):
        return f"there is no column besides {part.name} to tell it by"
    if min(len(np.unique(_units(sample))) for sample in (bench.learning, bench.synthetic_train)) < FOLDS:
        return f"fewer than {FOLDS} distinct rows or sources: no part can be held out to be told"
    return ""


# -- learning -------------------------------------------------------------------------------------


def separability(
    bench: Workbench, sample: Sample, part: Partition, classes: list[int], learner: Learner
) -> Separability:
    """How well the features of one sample tell the values of a group column, out of fold.

    Args:
        bench: The view.
        sample: Rows to learn from and to predict, out of fold.
        part: The group column.
        classes: Which of its values are predicted, each from the rest.
        learner: What learns.
    """
    key = PROXY.about(sample, columns=part.columns, classes=tuple(classes), learner=learner)
    return bench.shared(key, lambda: _learned(bench, sample, part, classes, learner))


def _learned(bench: Workbench, sample: Sample, part: Partition, classes: list[int], learner: Learner) -> Separability:
    rows, task = _task(bench, sample, part)
    codes = part.codes[rows.rows]
    asked = classes[:1] if len(classes) == 2 else classes  # of two groups, either tells as much
    truth = codes[:, None] == np.array(asked)
    inside = np.isin(codes, classes) if len(classes) == 2 else np.ones(len(codes), dtype=bool)
    if learner == "linear":
        scores = linear_tables(task, truth.astype(np.float64))
    else:
        of_class = (boosting_scores(replace(task, made=column), bench.seed) for column in truth.T)
        scores = np.stack(list(of_class), axis=1)
    areas, parts = zip(
        *(auc_parts(score[inside], right[inside]) for score, right in zip(scores.T, truth.T, strict=True)), strict=True
    )
    clusters = bench.corpus.clusters
    units = None if clusters is None else clusters[rows.rows[inside]]
    error = parts_error(np.mean(parts, axis=0), units)
    each = areas if len(asked) > 1 else areas * 2
    return Separability(auc=float(np.mean(areas)), error=error, each=tuple(each))


def _task(bench: Workbench, sample: Sample, part: Partition) -> tuple[Sample, Task]:
    """The rows that have a group, without what names it; at most ``ROWS``, whole sources first."""
    given = np.flatnonzero(part.values[part.codes[sample.rows], 0] != "")
    rows = sample.take(given, f"{sample.name} with {part.name}")
    if len(rows) > ROWS:
        order = rows.shuffled(bench.generator(f"proxy {rows.name}"))
        rows = rows.take(np.sort(order[:ROWS]), f"{ROWS} of {rows.name}")
    fold = _folds(bench, rows)
    made = np.zeros(len(rows), dtype=bool)
    mixed, blocks = bench.corpus.mixed, bench.corpus.blocks
    if mixed is None or blocks is None:
        features = on_pooled_axes(bench, rows, AXES)
        trees = features[:, :TREE_AXES]
        names = tuple(f"component {i + 1}" for i in range(trees.shape[1]))
        return rows, Task(features, trees, np.zeros(trees.shape[1], dtype=bool), names, made, fold)
    dropped = copies_of(bench, part.columns[0])
    seen = [block for block, name in zip(blocks, bench.corpus.block_names, strict=True) if name not in dropped]
    kept = np.array([name not in dropped for name in mixed.columns])
    features = rows.features[:, np.concatenate(seen)] if seen else np.zeros((len(rows), 0))
    names = tuple(name for name in mixed.columns if name not in dropped)
    categorical = np.arange(len(mixed.columns)) >= mixed.numeric.shape[1]
    return rows, Task(features, tree_columns(mixed, rows.rows)[:, kept], categorical[kept], names, made, fold)


def _units(sample: Sample) -> NDArray[np.intp]:
    """Rows that must stay in one fold: those of one source, or equal ones."""
    if sample.corpus.clusters is not None:
        return sample.units
    return np.unique(sample.digests, return_inverse=True)[1]


def _folds(bench: Workbench, rows: Sample) -> NDArray[np.intp]:
    unit = _units(rows)
    order = bench.generator(f"proxy folds {rows.name}").permutation(int(unit.max(initial=0)) + 1)
    return np.asarray((order % FOLDS)[unit])


# -- evidence -------------------------------------------------------------------------------------


def _giveaways(
    bench: Workbench, asked: list[Partition], by_column: Mapping[str, tuple[Separability, Separability]]
) -> Iterator[Evidence]:
    """Columns of a table that give the best predicted group away, in the release and in real data."""
    for part in asked if bench.corpus.mixed is not None else ():
        best = _classes(bench, part)[int(np.argmax(by_column[part.columns[0]][1].each))]
        lost: list[dict[str, float]] = []
        for sample in (bench.synthetic_train, bench.learning):
            rows, task = _task(bench, sample, part)
            made = part.codes[rows.rows] == best
            lost.append(dict(zip(*separating_columns(replace(task, made=made), bench.seed), strict=True)))
        names = sorted({*lost[0], *lost[1]}, key=lambda name: (-max(one.get(name, 0.0) for one in lost), name))
        if names:
            yield Evidence(
                title=f"Columns that tell {part.name}={part.names[best]}",
                columns=("column", "AUROC lost in the release", "AUROC lost in real data"),
                rows=tuple((name, *(one.get(name, 0.0) for one in lost)) for name in names),
                note="How much boosting loses when the column is shuffled; below 0.005 counts as 0.",
            )
