"""Shadow models: the generator fitted anew on known halves of the known records.

Where the generator can be called, the attacker fits it on random halves of the known records, and
sees for each record how near the release comes when it was learned from and when it was not. That
tells a record that any generator comes near to from one that this release knows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.nearest_neighbours import nearest
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.leakage._copy_search.relative_distance import LOCAL
from counterproof.metrics.leakage._membership.attacked_records import Targets
from counterproof.metrics.leakage._membership.domias import AXES, log_density
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.principal_axes import pooled_axes
from counterproof.metrics.workbench import Workbench

PAIRS = 4  # of fits, on a random half of the known records and on the other half
SHADOWS: Work[tuple[Floats, NDArray[np.bool_]]] = Work("distances to rows of shadow generators")


def by_shadows(bench: Workbench, targets: Targets) -> Floats:
    """Log likelihood ratio of what each attacked record sees of the release: learned from against not.

    It sees the distance to the nearest made row, the mean distance to the five nearest, and the
    density; all are Gaussian on the log scale with variances pooled over records, and their ratios
    are added. With few fits the shift of one record is uncertain, so it is drawn towards the mean
    shift of all (empirical Bayes).

    Sources: Carlini et al. 2022, arXiv:2112.03570 (likelihood ratio attack); Houssiau et al. 2022,
    arXiv:2211.06550 (TAPAS, shadow models of synthetic data).
    """
    parent = bench.parent or bench  # leaks planted in the release change no shadow
    shadows, inside = parent.shared(SHADOWS.about(targets.sample), lambda: _fitted(parent, targets))
    seen = _distance_features(parent, targets, bench.release.features)
    ratios = [likelihood_ratio(seen[i], shadows[:, i], inside) for i in range(len(seen))]
    return np.asarray(np.sum(ratios, axis=0))


def likelihood_ratio(seen: Floats, shadows: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Of two Gaussians of equal variance.

    Args:
        seen: ``(n,)`` what each attacked record sees of the release.
        shadows: ``(fits, n)`` the same of each shadow release.
        inside: ``(fits, n)`` whether the shadow learned from it; in half of the fits each.

    >>> told = likelihood_ratio(np.zeros(2), np.array([[0.1, 0.9], [1.1, 0.1], [-0.1, 1.1], [0.9, -0.1]]),
    ...                         np.array([[True, False], [False, True], [True, False], [False, True]]))
    >>> bool((told > 0).all())
    True
    """
    count = len(shadows) // 2
    mean_in, mean_out = (shadows * inside).sum(0) / count, (shadows * ~inside).sum(0) / count
    left = shadows - np.where(inside, mean_in, mean_out)
    noise = float((left**2).sum()) / max(1, shadows.size - 2 * shadows.shape[1])
    shift = mean_in - mean_out
    spread = float(shift.var())
    trust = max(0.0, 1 - 2 * noise / count / spread) if spread > 0 else 0.0
    shift = trust * shift + (1 - trust) * shift.mean()
    return np.asarray((seen - (mean_in + mean_out) / 2) * shift / max(noise, np.finfo(float).tiny))


def _fitted(bench: Workbench, targets: Targets) -> tuple[Floats, NDArray[np.bool_]]:
    """``(fits, 3, n)`` what records see of each shadow release; ``(fits, n)`` whether it learned from them."""
    assert bench.synthesiser is not None
    known = targets.reference
    features, inside = [], []
    for pair in range(PAIRS):
        order = known.shuffled(np.random.default_rng([bench.seed, 53, pair]))
        half = np.zeros(len(known), dtype=bool)
        half[order[: len(order) // 2]] = True
        half = _whole_sources(bench, targets, half)
        for side, learned in enumerate((half, ~half)):
            made = bench.synthesiser(known.rows[learned], bench.seed + 2 * pair + side)
            features.append(_distance_features(bench, targets, made))
            inside.append(learned[targets.own])
    return np.array(features), np.array(inside)


def _whole_sources(bench: Workbench, targets: Targets, half: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The half, with every source on the side of its first row."""
    clusters = bench.corpus.clusters
    if clusters is None:
        return half
    _, first, source = np.unique(clusters[targets.reference.rows], return_index=True, return_inverse=True)
    return np.asarray(half[first][source])


def _distance_features(bench: Workbench, targets: Targets, made: Floats) -> Floats:
    """``(3, n)`` nearness and density of made rows, each about its median: larger releases lie nearer on the whole."""
    rows, made = targets.sample.features, np.ascontiguousarray(made, dtype=np.float64)
    found = nearest(rows, made, min(LOCAL, len(made)), memory=bench.memory).distance
    least = found[found > 0].min(initial=1.0) if (found > 0).any() else 1.0
    axes = pooled_axes(bench, min(AXES, rows.shape[1]))
    here, there = rows @ axes, made @ axes
    scale = here.std(0).max() or 1.0
    width = len(targets.reference) ** (-1 / (axes.shape[1] + 4))
    density = log_density(here / scale, there / scale, width)
    told = np.stack([*(np.log(np.maximum(d, least / 10)) for d in (found[:, 0], found.mean(axis=1))), density])
    return np.asarray(told - np.median(told, axis=1, keepdims=True))
