"""The mosaic of groups by labels: what a reader sees of label bias."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Panel
from counterproof.metrics.label_counts import Classes, LabelCounts
from counterproof.metrics.partitions import Partition
from counterproof.metrics.workbench import Workbench

GROUPS = 12
LABELS = 6


def mosaic(
    bench: Workbench,
    part: Partition,
    classes: Classes,
    real: LabelCounts,
    made: LabelCounts,
    hidden: NDArray[np.bool_],
) -> Panel:
    """Widths are the shares of groups, heights those of labels: the largest groups and commonest labels.

    Args:
        bench: The measurement's view.
        part: The groups.
        classes: The labels.
        real: Real rows, by group and label.
        made: Rows of the release.
        hidden: ``(g, k)`` what must not be told of real rows.
    """
    shown = np.argsort(-real.rows, kind="stable")[:GROUPS]
    labels = np.argsort(-real.hits.sum(0), kind="stable")[:LABELS]
    return Panel(
        kind="mosaic",
        title=f"{bench.corpus.label} by {part.name}: real data and the release",
        data={
            "group_title": part.name,
            "label_title": bench.corpus.label,
            "labels": [classes.names[k] for k in labels],
            "groups": [
                {
                    "name": part.names[g],
                    "real": None if gone else float(real.rows[g] / max(real.rows.sum(), 1)),
                    "synthetic": float(made.rows[g] / max(made.rows.sum(), 1)),
                    "n_real": None if gone else int(real.rows[g]),
                    "n_synthetic": int(made.rows[g]),
                    "real_labels": _told(real.shares[g], real.hits[g], hidden[g], labels),
                    "synthetic_labels": [float(share) for share in np.nan_to_num(made.shares[g, labels])],
                }
                for g, gone in zip(shown, part.hidden(bench)[shown], strict=True)
                if real.rows[g] or made.rows[g]
            ],
        },
        note="Widths are shares of rows, heights shares of the label within a group. Hatched: too few real rows."
        + (f" The {GROUPS} largest of {len(part)} groups." if len(part) > GROUPS else ""),
    )


def _told(
    shares: NDArray[np.float64], hits: NDArray[np.intp], hidden: NDArray[np.bool_], labels: NDArray[np.intp]
) -> list[float | None]:
    """Shares of the shown labels; where one is hidden, the smallest other too, for their sum tells it."""
    gone = hidden.copy()
    if gone.sum() == 1 and len(gone) > 1:
        others = np.flatnonzero(~gone)
        gone[others[hits[others].argmin()]] = True
    return [None if gone[k] or np.isnan(shares[k]) else float(shares[k]) for k in labels]
