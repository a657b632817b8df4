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
    """How like real rows the synthetic rows of each class are, at the same number of rows for all classes.

    Few rows look worse by bias alone. Precision, recall, density and coverage of every class are therefore
    means over draws of as many rows as the smallest comparable class has (400 at most). The kernel distance has
    no such bias and takes all rows (2,000 a side at most, fewer where there are more than 16 classes), about
    the mean and in units of the spread of the class's real rows.

    Formula:
        loss of a class = its kernel distance, or (what real rows reach − what the release reaches)
        worst = max over classes of the loss; gap = max − min

    How to read it:
        Losses: 0 is best. ``worst`` names the class that is rendered worst. A ``slope`` below 0 means that
        small classes are rendered worse than large ones. Neighbour intervals are normal, by half-samples;
        ``worst`` and ``gap`` hold for all classes at once.

    Limits:
        Classes of fewer than 200 rows a side cannot be compared and are listed as "too few rows". No quantity
        sees everything: density sees rows that lie out of place, the kernel distance sees rows that crowd.

    Args:
        bench: The samples.
        k: Which neighbour sets the size of a neighbourhood.
        by: The quantity in which classes are compared, as a loss.

    Yields:
        precision: Precision of each class.
        recall: Recall of each class.
        density: Density of each class.
        coverage: Coverage of each class.
        kernel_distance: Kernel distance of each class.
        worst: Loss of the worst class.
        gap: Loss of the worst class less that of the best.
        slope: Change of the loss for a class ten times as large.

    Source:
        Kynkäänniemi et al. (2019), arXiv:1904.06991; Naeem et al. (2020), arXiv:2002.09797.
    """
    question = GroupComparison(bench, (partition_by(bench, (bench.corpus.label,)),), k, by)
    yield from question.values("worst")
