"""Can a classifier tell the release from real rows?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import rankdata

from counterproof.metrics.estimate import Estimate, Evidence, Panel
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.principal_axes import on_pooled_axes
from counterproof.metrics.shared.two_sample import (
    AXES,
    FOLDS,
    TREE_AXES,
    Task,
    boosting_scores,
    linear_scores,
    linear_tables,
    separating_columns,
    tree_columns,
)
from counterproof.metrics.statistics.auc import delong_auc
from counterproof.metrics.workbench import Workbench

PERMUTATIONS = 199
BOOSTING_DRAWS = 4  # re-splits that also fit boosting: each costs FOLDS fits


@metric(
    id="fidelity.detectability",
    family="fidelity",
    title="detectability by a classifier",
    unit="AUROC",
    needs=Needs(smallest_n=500),
    reads=("features", "columns"),
    tolerances=(
        Tolerance(
            "excess",
            "<=",
            0.15,
            "an AUROC of 0.65 still confuses release and real in two of three pairs; weak generators stand above 0.95",
            cells=True,
        ),
    ),
    quantities={
        "value": Quantity(
            name="Detectability by a classifier ({learner})",
            measure="AUROC {}",
            finding="A classifier ({learner}) tells release rows from real rows",
            means="The release has patterns of its own, or lacks patterns of the real data.",
            remedy="Look at the columns that the classifier uses most, which the evidence names.",
        ),
    },
)
def detectability(bench: Workbench) -> Iterator[Value]:
    """How well a classifier tells release rows from real rows, as out-of-fold AUROC.

    Two classifiers are trained, a linear one and gradient boosting, each tested on rows that it did not see.
    Columns are ranked by how much they give the release away.

    Formula:
        AUROC = P(score of a synthetic row > score of a real row) + ½ P(equal scores)

    How to read it:
        0.5 is guessing, 1 tells every row apart. The floor is the same classifier on real against real rows;
        what is judged is the excess over it. The better of the two classifiers counts.

    Limits:
        A low value does not mean a good release: swapped labels, noise in labels and copies of training rows
        are invisible to it. A classifier may use details of format that no user would mind.

    Yields:
        value: AUROC of each classifier (``[learner=linear]``, ``[learner=boosting]``); the better one without a
            group.

    Source:
        Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests, arXiv:1610.06545; intervals after
        DeLong et al. (1988), doi:10.2307/2531595.
    """
    task = set_task(bench)
    if len(np.unique(task.fold)) < FOLDS:
        reason = f"fewer than {FOLDS} distinct rows or sources: no part can be held out to be told apart"
        yield Value(status="not_assessable", reason=reason)
        return
    learners: dict[str, Callable[[Task, int], Floats]] = {"linear": linear_scores}
    if bench.draw is None or bench.draw < BOOSTING_DRAWS:
        learners["boosting"] = boosting_scores
    worst: Value | None = None
    for name, scores in learners.items():
        auc, error = delong_auc(scores(task, bench.seed), task.made)
        estimate = Estimate.normal(auc, error, level=bench.level, method="DeLong, out of fold")
        reason = "" if bench.is_null or name != "linear" else permutation_sentence(bench, task, auc)
        value = Value(group=(("learner", name),), estimate=estimate, reason=reason)
        yield value
        if worst is None or worst.estimate is None or auc > worst.estimate.value:
            worst = value
    assert worst is not None
    if bench.is_null:
        if len(learners) == 2:
            yield Value(estimate=worst.estimate)
        return
    found = worst.estimate is not None and worst.estimate.low > 0.5
    labels, drops = separating_columns(task, bench.seed) if found else ([], [])
    yield Value(
        estimate=worst.estimate,
        reason="; ".join([f"{worst.group[0][1]} tells best", *_too_sparse(task)]),
        evidence=_evidence(labels, drops),
        panels=_panels(labels, drops),
    )


def set_task(bench: Workbench) -> Task:
    """Both sides stacked, with folds that keep equal rows (and rows of one source) together."""
    both = bench.reference.join(bench.candidate, "both")
    made = np.repeat([False, True], [len(bench.reference), len(bench.candidate)])
    unit = both.digests if bench.corpus.clusters is None else bench.corpus.clusters[both.rows]
    units, inverse = np.unique(unit, return_inverse=True)
    order = bench.generator("detectability folds").permutation(len(units))
    fold = (order % FOLDS)[inverse]
    mixed = bench.corpus.mixed
    if mixed is None:
        features = on_pooled_axes(bench, both, AXES)
        trees = features[:, :TREE_AXES]
        names = tuple(f"component {i + 1}" for i in range(trees.shape[1]))
        return Task(features, trees, np.zeros(trees.shape[1], dtype=bool), names, made, fold)
    features = np.concatenate([bench.reference.features, bench.candidate.features])
    p = mixed.numeric.shape[1]
    trees = tree_columns(mixed, both.rows)
    return Task(features, trees, np.arange(len(mixed.columns)) >= p, mixed.columns, made, fold)


def permutation_sentence(bench: Workbench, task: Task, auc: float) -> str:
    """The label-permutation p-value of the linear learner, whole cross-validation repeated."""
    rng = bench.generator("detectability permutations")
    shuffled = np.stack([rng.permutation(task.made) for _ in range(PERMUTATIONS)], axis=1)
    scores = linear_tables(task, shuffled.astype(np.float64))
    ranks = rankdata(scores, axis=0)
    n = shuffled.sum(0)
    aucs = ((ranks * shuffled).sum(0) - n * (n + 1) / 2) / (n * (len(shuffled) - n))
    p = (1 + (aucs >= auc - 1e-12).sum()) / (PERMUTATIONS + 1)
    return f"label-permutation p = {p:.3g} ({PERMUTATIONS} permutations)"


def _too_sparse(task: Task) -> list[str]:
    """The columns that boosting left out where it learned without a row that knows a value."""
    names = [name for name, gone in zip(task.columns, task.sparse, strict=True) if gone]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return [f"left out, as too few rows have a value to learn from: {shown}"] if names else []


def _evidence(labels: list[str], drops: list[float]) -> tuple[Evidence, ...]:
    if not labels:
        return ()
    note = "How much AUROC boosting loses when the column is shuffled: columns that matter together share the loss."
    rows = tuple(zip(labels, drops, strict=True))
    return (Evidence(title="What gives the release away", columns=("column", "AUROC lost"), rows=rows, note=note),)


def _panels(labels: list[str], drops: list[float]) -> tuple[Panel, ...]:
    data = {"labels": labels, "values": drops, "value_title": "AUROC lost when shuffled"}
    return (Panel(kind="bars", title="What gives the release away", data=data),) if labels else ()
