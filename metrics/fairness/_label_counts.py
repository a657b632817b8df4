"""Labels by group: how many rows of a sample each class has in each cell of a partition."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import normal_quantile
from counterproof.metrics.sample import Floats, Sample
from counterproof.metrics.shared.partitions import Partition, partitions
from counterproof.metrics.statistics.decidability import CONFIDENCE
from counterproof.metrics.statistics.proportions import difference_ends, wilson_ends
from counterproof.metrics.workbench import Workbench

HALVINGS = 20  # of the range in which a bound meets its limit: to a millionth of it
CLASSES = 20  # the commonest are compared: a label of hundreds of values is no question of a few groups
LABEL_CLASSES: Work[Classes] = Work("classes of the label")
LABEL_COUNTS: Work[LabelCounts] = Work("labels by group")


@dataclass(frozen=True, eq=False, kw_only=True)
class Classes:
    """The label as integers.

    Attributes:
        names: Classes of real rows that are compared.
        codes: ``(n,)`` class of each row of the corpus; ``len(names)`` another class, -1 missing.
        left_out: Rarer real classes.
    """

    names: tuple[str, ...]
    codes: NDArray[np.intp]
    left_out: int

    @property
    def asked(self) -> NDArray[np.intp]:
        """Positions of the classes to ask about: of two only the first, whose share tells that of the other."""
        return np.arange(1 if len(self.names) == 2 and not self.left_out else len(self.names))


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelCounts:
    """Rows of a sample by cell of a partition and class.

    Attributes:
        hits: ``(g, k)`` rows of each class.
        rows: ``(g,)`` rows that have a label.
        worth: ``(g, k)`` how many independent rows they are worth for the share of each class.
    """

    hits: NDArray[np.intp]
    rows: NDArray[np.intp]
    worth: Floats

    @cached_property
    def shares(self) -> Floats:
        """``(g, k)`` share of each class; NaN where no row has a label."""
        shares = np.full(self.hits.shape, np.nan)
        rows = np.broadcast_to(self.rows[:, None], shares.shape)
        np.divide(self.hits, rows, out=shares, where=rows > 0)
        return shares

    def few(self, least: int) -> NDArray[np.bool_]:
        """``(g, k)`` classes that some, but fewer than ``least`` rows have, or have not."""
        rest = self.rows[:, None] - self.hits
        return ((self.hits > 0) & (self.hits < least)) | ((rest > 0) & (rest < least))


def classes_of(bench: Workbench) -> Classes:
    """The classes of the label, the rarer of two first, else the commonest first; the same for all views."""
    return bench.shared(LABEL_CLASSES.about(bench.real, bench.release), lambda: _classes(bench))


def group_partitions(bench: Workbench) -> tuple[Partition, ...]:
    """Groups and their crossings, without those that the label itself is a part of."""
    return tuple(part for part in partitions(bench) if bench.corpus.label not in part.columns)


def label_counts(bench: Workbench, part: Partition, sample: Sample) -> LabelCounts:
    """Count one sample; rows of one source are worth less than as many of their own."""
    return bench.shared(LABEL_COUNTS.about(sample, columns=part.columns), lambda: _counted(bench, part, sample))


def share_changes(before: LabelCounts, after: LabelCounts, level: float) -> tuple[Floats, Floats]:
    """``(g, k)`` lower and upper ends of each share's change, by Newcombe's method 10.

    Source: see :func:`counterproof.metrics.statistics.proportions.newcombe`.
    """
    z = normal_quantile(0.5 + level / 2)
    (low1, high1), (low2, high2) = (_ends(counts, z) for counts in (after, before))
    return difference_ends(after.shares, low1, high1, before.shares, low2, high2)


def faithful_error(shares: Floats, before: Floats, after: Floats, limit: float, level: float) -> Floats:
    """Standard error that Newcombe's interval of a share's change has where its bound meets the limit.

    The interval is skewed: of a rare share it reaches farther, the larger the share that a release shows by luck.
    An error at no change would promise that more releases pass than do. So it is taken at the change ``c`` for which
    ``c + z error(c) = limit``, found by halving, and the larger of the two directions counts.

    Args:
        shares: Shares of real rows.
        before: What the real rows are worth, see :attr:`LabelCounts.worth`.
        after: What rows of a release are worth.
        limit: Of the change, either way.
        level: Of the two-sided interval.
    """
    z, bound = normal_quantile(0.5 + level / 2), normal_quantile(CONFIDENCE)
    low1, high1 = wilson_ends(shares * before, before, z)
    worst = np.zeros_like(shares)
    for sign in (1.0, -1.0):
        down, up = np.zeros_like(shares), np.full_like(shares, limit)
        for _ in range(HALVINGS):
            change = (down + up) / 2
            seen = np.clip(shares + sign * change, 0.0, 1.0)
            low2, high2 = wilson_ends(seen * after, after, z)
            low, high = difference_ends(seen, low2, high2, shares, low1, high1)
            error = ((high - (seen - shares)) if sign > 0 else ((seen - shares) - low)) / z
            inside = change + bound * error <= limit
            down, up = np.where(inside, change, down), np.where(inside, up, change)
        worst = np.maximum(worst, error)
    return worst


def _ends(counts: LabelCounts, z: float) -> tuple[Floats, Floats]:
    known = counts.worth > 0
    worth = np.where(known, counts.worth, 1.0)
    low, high = wilson_ends(np.where(known, counts.shares, 0.0) * worth, worth, z)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def _classes(bench: Workbench) -> Classes:
    labels = bench.corpus.labels
    assert labels is not None
    values, codes = np.unique(labels, return_inverse=True)
    counts = np.bincount(codes[bench.real.rows], minlength=len(values))
    counts[values == ""] = 0
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    kept = order[::-1] if len(order) == 2 else order[:CLASSES]
    place = np.full(len(values), len(kept))
    place[kept] = np.arange(len(kept))
    place[values == ""] = -1
    return Classes(
        names=tuple(str(values[i]) for i in kept), codes=place[codes].astype(np.intp), left_out=len(order) - len(kept)
    )


def _counted(bench: Workbench, part: Partition, sample: Sample) -> LabelCounts:
    classes = classes_of(bench)
    label, cell = classes.codes[sample.rows], part.codes[sample.rows]
    labelled = label >= 0
    label, cell = label[labelled], cell[labelled]
    wide = len(classes.names) + 1
    table = np.bincount(cell * wide + label, minlength=len(part) * wide).reshape(len(part), wide)
    hits, rows = table[:, :-1].astype(np.intp), table.sum(1).astype(np.intp)
    clusters = bench.corpus.clusters
    if clusters is None:
        return LabelCounts(hits=hits, rows=rows, worth=np.repeat(rows[:, None], wide - 1, axis=1).astype(np.float64))
    worth = _worth(hits, rows, cell, label, clusters[sample.rows][labelled])
    return LabelCounts(hits=hits, rows=rows, worth=worth)


def _worth(
    hits: NDArray[np.intp],
    rows: NDArray[np.intp],
    cell: NDArray[np.intp],
    label: NDArray[np.intp],
    clusters: NDArray[np.intp],
) -> Floats:
    """Rows over their design effect; where all rows agree, as if those of one source were one."""
    g, k = hits.shape
    sources, source = np.unique(clusters * np.intp(g) + cell, return_inverse=True)
    at = (sources % g).astype(np.intp)
    table = np.bincount(source * (k + 1) + label, minlength=len(sources) * (k + 1)).reshape(-1, k + 1)
    sizes = table.sum(1)
    n = np.maximum(rows, 1)
    shares = hits / n[:, None]
    parts = table[:, :k] - sizes[:, None] * shares[at]
    count = np.bincount(at, minlength=g)
    squares = np.stack([np.bincount(at, weights=parts[:, j] ** 2, minlength=g) for j in range(k)], axis=1)
    spread: Floats = squares * (count / np.maximum(count - 1, 1))[:, None]
    plain = n[:, None] * shares * (1 - shares)
    kish = n**2 / np.maximum(np.bincount(at, weights=sizes**2.0, minlength=g), 1)
    effect = np.maximum(np.divide(spread, plain, out=np.ones_like(spread), where=plain > 0), 1.0)
    worth = np.where((plain > 0) & (count > 1)[:, None], n[:, None] / effect, kish[:, None])
    return np.where(rows[:, None] > 0, worth, 0.0)
