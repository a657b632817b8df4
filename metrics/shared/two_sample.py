"""Classifier two-sample tests: out-of-fold scores, and the columns that separate the samples most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from counterproof.metrics.engine.learners import no_library_warnings
from counterproof.metrics.sample import Floats, Mixed, Rows
from counterproof.metrics.statistics.auc import delong_auc

FOLDS = 5
AXES = 256  # principal components that stand for a feature space
TREE_AXES = 32  # of these, the first that boosting sees
CATEGORIES = 255  # that trees take
RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Task:
    """Reference rows (0) and candidate rows (1) with their folds."""

    features: Floats
    trees: Floats
    categorical: NDArray[np.bool_]
    columns: tuple[str, ...]
    made: NDArray[np.bool_]
    fold: NDArray[np.intp]

    @property
    def sparse(self) -> NDArray[np.bool_]:
        """``(p,)`` the tree columns of which the rows outside of some fold know no value."""
        known = ~np.isnan(self.trees)
        learned = np.stack([known[self.fold != fold].any(0) for fold in range(FOLDS)])
        return np.asarray(~learned.all(0), dtype=np.bool_)


def tree_columns(mixed: Mixed, rows: Rows) -> Floats:
    """``(n, p + q)`` a table's columns as trees take them: numbers, then category codes."""
    return np.concatenate([mixed.numeric[rows].astype(np.float64), tree_codes(mixed.codes[rows])], axis=1)


def tree_codes(codes: NDArray[np.int32]) -> Floats:
    """Category codes that trees can take: the commonest keep one of their own, the rest share the last.

    Args:
        codes: ``(n, q)`` codes of both sides together, so that the order does not reveal the side.
    """
    made = codes.astype(np.float64)
    for at in np.flatnonzero(codes.max(axis=0, initial=0) >= CATEGORIES):
        counts = np.bincount(codes[:, at])
        rank = np.empty(len(counts))
        rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
        made[:, at] = np.minimum(rank, CATEGORIES - 1)[codes[:, at]]
    return made


def linear_scores(task: Task, seed: int) -> Floats:
    """Out-of-fold scores of a ridge-regularised linear discriminant."""
    return linear_tables(task, task.made[:, None].astype(np.float64))[:, 0]


def linear_tables(task: Task, targets: Floats) -> Floats:
    """Out-of-fold least-squares scores for several labellings at once.

    The Gram matrix does not depend on the labels, so a permutation costs one right-hand side.
    """
    scores = np.zeros_like(targets)
    x = np.concatenate([task.features, np.ones((len(task.features), 1))], axis=1)
    gram, cross = x.T @ x, x.T @ targets
    for fold in range(FOLDS):
        out = task.fold == fold
        inside = gram - x[out].T @ x[out]
        inside[np.diag_indices_from(inside)] += RIDGE * max(np.trace(inside) / len(inside), 1.0)
        scores[out] = x[out] @ cho_solve(cho_factor(inside), cross - x[out].T @ targets[out])
    return scores


def boosting_scores(task: Task, seed: int) -> Floats:
    """Out-of-fold scores of gradient boosting on the columns themselves."""
    scores = np.zeros(len(task.made))
    for fold in range(FOLDS):
        out = task.fold == fold
        if out.any() and 0 < task.made[~out].mean() < 1:
            scores[out] = boosting(task, ~out, seed).decision_function(task.trees[out])
    return scores


@dataclass(frozen=True, eq=False)
class Boosting:
    """A fitted classifier, without the columns of which its rows know no value: it cannot bin them.

    Attributes:
        model: The classifier; None where no column is left to it.
        known: ``(p,)`` the columns that it learned from.
    """

    model: Any
    known: NDArray[np.bool_]

    def decision_function(self, trees: Floats) -> Floats:
        """``(n,)`` log odds that a row was made."""
        if self.model is None:
            return np.zeros(len(trees))
        return np.asarray(self.model.decision_function(trees[:, self.known]))


def boosting(task: Task, rows: NDArray[np.bool_], seed: int) -> Boosting:
    """A small gradient boosting classifier."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    known = np.asarray(~np.isnan(task.trees[rows]).all(0), dtype=np.bool_)
    if not known.any():
        return Boosting(None, known)
    model = HistGradientBoostingClassifier(
        max_iter=60,
        max_leaf_nodes=15,
        learning_rate=0.15,
        early_stopping=False,
        categorical_features=task.categorical[known],
        random_state=seed,
    )
    with no_library_warnings():
        return Boosting(model.fit(task.trees[rows][:, known], task.made[rows]), known)


def separating_columns(task: Task, seed: int) -> tuple[list[str], list[float]]:
    """Loss of AUROC on an unseen fold when one column is shuffled, largest first."""
    out = task.fold == 0
    if not 0 < task.made[out].mean() < 1 or not 0 < task.made[~out].mean() < 1:
        return [], []
    model, rng = boosting(task, ~out, seed), np.random.default_rng([seed, 7])
    rows, made = task.trees[out], task.made[out]
    whole = delong_auc(model.decision_function(rows), made)[0]
    drops = []
    for at in range(rows.shape[1]):
        changed = rows.copy()
        changed[:, at] = rng.permutation(changed[:, at])
        drops.append(whole - delong_auc(model.decision_function(changed), made)[0])
    order = sorted(range(len(drops)), key=lambda at: -drops[at])[:10]
    kept = [at for at in order if drops[at] > 0.005]
    return [task.columns[at] for at in kept], [float(drops[at]) for at in kept]
