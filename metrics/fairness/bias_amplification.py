"""Does the release make the bias of real data more extreme?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate, Evidence, Group
from counterproof.metrics.fairness._label_counts import (
    Classes,
    LabelCounts,
    classes_of,
    group_partitions,
    label_counts,
)
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.sample import Floats, Sample
from counterproof.metrics.shared.partitions import Partition
from counterproof.metrics.workbench import Workbench

LEAST = 30  # real rows of a class
SHOWN = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class Bias:
    """Bias scores of one partition: ``b(y, a) = c(y, a) / Σ c(y, a')``, group a's share of class y.

    Attributes:
        part: The groups.
        real: ``(k, g)`` scores of real rows.
        synthetic: ``(k, g)`` scores of the candidate.
        biased: ``(k, g)`` pairs that count: above 1 / groups in real data, in classes of enough rows.
        used: ``(k,)`` classes that count.
        error: Standard error of the amplification.
    """

    part: Partition
    real: Floats
    synthetic: Floats
    biased: NDArray[np.bool_]
    used: NDArray[np.bool_]
    error: float

    @property
    def amplification(self) -> float:
        """Mean over classes of what their biased pairs gain."""
        return float(np.where(self.biased, self.synthetic - self.real, 0.0).sum() / self.used.sum())


@metric(
    id="fairness.bias_amplification",
    family="fairness",
    title="bias amplification",
    unit="share of a label's rows",
    needs=Needs(label=True, groups=True),
    reads=("groups", "label"),
)
def bias_amplification(bench: Workbench) -> Iterator[Value]:
    """By how much the release makes ties between labels and groups more extreme than in real data.

    The bias score of label y and group a is the share of group a among the rows with label y. Where it is above
    1 / (number of groups) in real data, y is biased towards a. Labels of fewer than 30 real rows and pairs that
    ``small_cell`` hides are left out.

    Formula:
        b(y, a) = rows with label y and group a / rows with label y
        value = mean over labels of Σ over groups with b_real > 1 / groups of (b_release − b_real)

    How to read it:
        Above 0 the ties are more extreme than in real data, below 0 more balanced. Near ties in real data push
        it a little below 0, which its floor shows.

    Limits:
        It moves with the groups' own shares, as its definition wants: a release with fewer women amplifies
        every bias towards men. fairness.label_association does not have that dependence.

    Yields:
        value: Amplification for each group column (``[sex]``) and crossing; the largest without a group, its
            interval for all at once.

    Source:
        Zhao et al. (2017), arXiv:1707.09457. Normal intervals of proportions with two rows more, Agresti and
        Caffo (2000), doi:10.1080/00031305.2000.10474560; effective rows where rows share a source.
    """
    classes = classes_of(bench)
    parts = group_partitions(bench)
    if len(classes.names) < 2 or not parts:
        what = "the real rows hold fewer than two labels" if parts else "the label is the only group column"
        yield Value(status="not_applicable", reason=what)
        return
    biases: list[Bias] = []
    for part in parts:
        bias = bias_of(bench, part, classes)
        if bias is None:
            reason = f"too few rows: no label of {LEAST} real rows leans to one group of {part.name}"
            yield Value(group=_whole(part), status="not_assessable", reason=reason, decidable=False)
            continue
        biases.append(bias)
        yield Value(
            group=_whole(part),
            estimate=_normal(bias, bench.level),
            n={"real": len(bench.real), "release": len(bench.release)},
            reason=f"{int(bias.biased.sum())} biased pairs of {int(bias.used.sum())} labels",
        )
    yield _worst(bench, biases, classes)


def bias_of(bench: Workbench, part: Partition, classes: Classes) -> Bias | None:
    """The scores of one partition; None where no pair counts."""
    samples = (bench.reference, bench.candidate) if bench.is_null else (bench.real, bench.release)
    real, synthetic = (label_counts(bench, part, sample) for sample in samples)
    every = label_counts(bench, part, bench.real)
    hidden = (every.few(bench.small_cell) | part.hidden(bench)[:, None]).T & (not bench.show_real)
    used = (every.hits.sum(0) >= LEAST) & (real.hits.sum(0) > 0) & (synthetic.hits.sum(0) > 0)
    before, after = _scores(real), _scores(synthetic)
    groups = int(np.count_nonzero(every.rows))
    biased = (before > 1 / max(groups, 1)) & used[:, None] & ~hidden
    if not biased.any():
        return None
    # of a re-split only the value is wanted
    variance = 0.0 if bench.is_null else sum(_variance(bench, part, classes, sample, biased) for sample in samples)
    return Bias(
        part=part,
        real=before,
        synthetic=after,
        biased=biased,
        used=used,
        error=math.sqrt(variance) / int(used.sum()),
    )


def _scores(counts: LabelCounts) -> Floats:
    hits = counts.hits.T.astype(np.float64)
    totals = hits.sum(1, keepdims=True)
    scores: Floats = np.divide(hits, totals, out=np.zeros_like(hits), where=totals > 0)
    return scores


def _variance(bench: Workbench, part: Partition, classes: Classes, sample: Sample, biased: NDArray[np.bool_]) -> float:
    """Of the sum over classes of the share that the biased groups have of it.

    Two rows are added to each class, one on either side, so that a share of 0 or 1 is not known exactly. Classes
    of one source go up and down together: their parts are summed by source.
    """
    label, cell = classes.codes[sample.rows], part.codes[sample.rows]
    counted = (label >= 0) & (label < len(classes.names))
    label, cell = label[counted], cell[counted]
    inside = biased[label, cell]
    n = np.bincount(label, minlength=len(biased)).astype(np.float64)
    hits = np.bincount(label, weights=inside, minlength=len(biased))
    leaning = biased.any(1) & (n > 0)
    share = (hits + 1) / (n + 2)
    independent = float((share * (1 - share) / (n + 2))[leaning].sum())
    clusters = bench.corpus.clusters
    if clusters is None:
        return independent
    plain = np.divide(hits, n, out=np.zeros_like(hits), where=n > 0)
    parts = np.where(leaning[label], (inside - plain[label]) / np.maximum(n, 1)[label], 0.0)
    _, source = np.unique(clusters[sample.rows][counted], return_inverse=True)
    sums = np.bincount(source, weights=parts)
    sources = len(sums)
    if sources < 2:  # one source says nothing of others: the largest variance that shares can have
        return 0.25 * float(leaning.sum())
    return max(independent, float(sums @ sums) * sources / (sources - 1))


def _normal(bias: Bias, level: float) -> Estimate:
    return Estimate.normal(bias.amplification, bias.error, level=level, method="normal, Agresti-Caffo")


def _whole(part: Partition) -> Group:
    return tuple((column, None) for column in part.columns)


def _worst(bench: Workbench, biases: list[Bias], classes: Classes) -> Value:
    sizes = {"real": len(bench.real), "release": len(bench.release)}
    if not biases:
        reason = f"too few rows: no label of {LEAST} real rows leans to one group"
        return Value(status="not_assessable", reason=reason, n=sizes)
    several = [_normal(bias, bench.level ** (1 / len(biases))) for bias in biases]
    value, low, high = (max(getattr(e, end) for e in several) for end in ("value", "low", "high"))
    worst = max(biases, key=lambda bias: bias.amplification)
    return Value(
        estimate=Estimate(value=value, low=low, high=high, level=bench.level, method=f"{several[0].method}, Šidák"),
        n=sizes,
        reason=f"most amplified: {worst.part.name}",
        evidence=() if bench.is_null else (_pairs(bench, biases, classes),),
    )


def _pairs(bench: Workbench, biases: list[Bias], classes: Classes) -> Evidence:
    rows = [
        (
            classes.names[k],
            ", ".join(f"{column} = {value}" for column, value in bias.part.groups[g]),
            float(bias.real[k, g]),
            float(bias.synthetic[k, g]),
            float(bias.synthetic[k, g] - bias.real[k, g]),
        )
        for bias in biases
        for k, g in np.argwhere(bias.biased)
    ]
    rows.sort(key=lambda row: -row[-1])
    return Evidence(
        title="Pairs that real data are biased towards",
        columns=(bench.corpus.label, "group", "bias score, real", "bias score, release", "amplification"),
        rows=tuple(rows[:SHOWN]),
        note="The score is the group's share of the rows with this label; the most amplified first.",
    )
