"""Fidelity of each class, at equal numbers of rows."""

from __future__ import annotations

from collections.abc import Iterator

from counterproof.metrics.metric import Count, Needs, Value, metric
from counterproof.metrics.shared.partitions import partition_by
from counterproof.metrics.subgroups.comparison import GroupComparison
from counterproof.metrics.subgroups.losses import By
from counterproof.metrics.workbench import Workbench


@metric(
    id="fidelity.by_class",
    family="fidelity",
    title="fidelity by class",
    algo=2,
    headline="worst",
    unit="loss of the worst class",
    draws=10,
    needs=Needs(label=True, smallest_n=200),
    reads=("features", "label"),
)
def by_class(bench: Workbench, *, k: Count = 5, by: By = "kernel_distance") -> Iterator[Value]:
    """How like real rows the synthetic rows of each class are, at the same number of rows for all.

    Few rows look worse by bias alone: precision, recall, density and coverage of every class are means
    over draws of as many rows as the smallest comparable class has (400 at most). The kernel distance
    is unbiased at any number, and takes all rows (2,000 a side at most, fewer of more than 16 classes),
    about the mean and in units of the spread of the class's real rows. ``by`` is what classes are
    compared in, as a loss: the kernel distance, or how far another quantity falls short of what real
    rows reach against real rows of the class.

    Neighbour intervals are normal, by half-samples; ``worst`` and ``gap`` are simultaneous. Sources:
    Kynkäänniemi et al., arXiv:1904.06991; Naeem et al., arXiv:2002.09797.

    Yields:
        Five fields per class (``precision[income=">50K"]``), then ``worst``, ``gap`` (worst less best)
        and ``slope`` (loss for a tenfold larger class: below 0, small classes are rendered worse).
    """
    question = GroupComparison(bench, (partition_by(bench, (bench.corpus.label,)),), k, by)
    yield from question.values("worst")
