"""Attacks on membership: scores that are high where a record was learned from; most need no shadow models.

No attack dominates, so there are several; each sees the release and the known records without
their labels. Sources: Synth-MIA, arXiv:2509.18014; DOMIAS, arXiv:2302.12580.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from counterproof.metrics.engine.nearest_neighbours import nearest
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.leakage._copy_search.relative_distance import LOCAL, REACHED
from counterproof.metrics.leakage._membership.attacked_records import Targets
from counterproof.metrics.leakage._membership.domias import density_ratio, narrow_ratio
from counterproof.metrics.leakage._membership.shadow_models import by_shadows
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.shared.principal_axes import on_pooled_axes
from counterproof.metrics.shared.two_sample import TREE_AXES, Task, boosting, tree_columns
from counterproof.metrics.workbench import Workbench

WIDE = 128  # features beyond which a sum of absolute differences costs more than it tells
LEARNED = 5000  # rows a side that the classifier learns from
Attack = Callable[[Workbench, Targets], Floats]
SCORES: Work[dict[str, Floats]] = Work("scores of membership attacks")


def to_release(bench: Workbench, targets: Targets) -> Floats:
    """``(n, k)`` distances of the attacked records to the nearest release rows."""
    return nearest_made(bench, targets)[0]


def nearest_made(bench: Workbench, targets: Targets, *, gower: bool = False) -> tuple[Floats, Rows]:
    """Distances to the nearest release rows, and which they are: the search that copies need."""
    found = bench.neighbours(targets.reference, bench.release, min(REACHED, len(bench.release)), gower=gower)
    return found.distance[targets.own], found.index[targets.own]


def to_reference(bench: Workbench, targets: Targets) -> Floats:
    """``(n, 5)`` distances of the attacked records to the nearest other known records."""
    return np.asarray(bench.neighbours(targets.reference, targets.reference, LOCAL).distance[targets.own])


def isolation(bench: Workbench, targets: Targets) -> Floats:
    """Mean distance of each attacked record to its five nearest other known records."""
    return np.asarray(to_reference(bench, targets).mean(axis=1))


def by_nearest(bench: Workbench, targets: Targets) -> Floats:
    """How near the nearest release row is."""
    return -to_release(bench, targets)[:, 0]


def by_ratio(bench: Workbench, targets: Targets) -> Floats:
    """How near it is on the scale of the record's own neighbourhood."""
    local = isolation(bench, targets)
    least = local[local > 0].min(initial=1.0) if (local > 0).any() else 1.0
    return -to_release(bench, targets)[:, 0] / np.maximum(local, least)


def by_columns(bench: Workbench, targets: Targets) -> Floats:
    """How near the nearest release row is column by column: Gower's distance, or the sum of differences."""
    if bench.varying is not None and bench.varying.columns:
        return -nearest_made(bench, targets, gower=True)[0][:, 0]
    how = {"metric": "cityblock", "memory": bench.memory, "device": bench.device}
    return -nearest(targets.sample.features, bench.release.features, 1, **how).distance[:, 0]  # type: ignore[arg-type]


def by_narrow_kernel(bench: Workbench, targets: Targets) -> Floats:
    """Density ratio under a narrow kernel."""
    return narrow_ratio(to_release(bench, targets)[:, :LOCAL], to_reference(bench, targets))


def by_classifier(bench: Workbench, targets: Targets) -> Floats:
    """What a boosting classifier that tells the release from other known records says of each record."""
    rng = np.random.default_rng([bench.seed, 41])
    release = bench.release.take(_some(bench.release, rng), "release learned from")
    sources = targets.reference.units
    fold = (rng.permutation(int(sources.max()) + 1) % 2).astype(bool)[sources]
    known = np.zeros(len(targets.reference), dtype=bool)
    known[_some(targets.reference, rng)] = True
    task = _task(bench, targets.reference.join(release, "known and release"), len(targets.reference))
    made = np.ones(len(release), dtype=bool)
    scores = np.zeros(len(targets.reference))
    for out in (fold, ~fold):
        asked = out.copy()
        asked[out] = np.isin(np.flatnonzero(out), targets.own)
        rows = np.concatenate([known & ~out, made])
        if not (known & ~out).any() or not asked.any():
            continue
        said = boosting(task, rows, bench.seed).decision_function(task.trees[: len(asked)][asked])
        scores[asked] = said - np.median(said)
    return scores[targets.own]


def _some(sample: Sample, rng: np.random.Generator) -> Rows:
    return np.sort(sample.shuffled(rng)[:LEARNED])


def _task(bench: Workbench, both: Sample, known: int) -> Task:
    made = np.arange(len(both)) >= known
    mixed = bench.varying
    if mixed is None or not mixed.columns:
        trees = on_pooled_axes(bench, both, min(TREE_AXES, both.source.shape[1]))
        categorical = np.zeros(trees.shape[1], dtype=bool)
        return Task(trees, trees, categorical, (), made, np.zeros(len(both), dtype=np.intp))
    p = mixed.numeric.shape[1]
    trees = tree_columns(mixed, both.rows)
    return Task(trees, trees, np.arange(len(mixed.columns)) >= p, mixed.columns, made, np.zeros(len(both), np.intp))


def available_attacks(bench: Workbench) -> Mapping[str, Attack]:
    """The attacks that these data allow, by name."""
    found: dict[str, Attack] = {
        "nearest": by_nearest,
        "ratio": by_ratio,
        "density": density_ratio,
        "narrow_density": by_narrow_kernel,
        "classifier": by_classifier,
    }
    if bench.parent is not None:  # planted copies: found by distance alone they are found; the rest costs most
        found = {attack: found[attack] for attack in ("nearest", "ratio")}
    table = bench.varying is not None and bool(bench.varying.columns)
    if table or bench.release.features.shape[1] <= WIDE:
        found["columns"] = by_columns
    if bench.synthesiser is not None and bench.parent is None:
        found["shadows"] = by_shadows
    return found


def attack_scores(bench: Workbench, targets: Targets) -> dict[str, Floats]:
    """``(units,)`` scores of every attack, the same for all views of an audit."""
    made = available_attacks(bench).items()
    key = SCORES.about(targets.sample, bench.release)
    return bench.shared(key, lambda: {attack: targets.of_units(score(bench, targets)) for attack, score in made})
