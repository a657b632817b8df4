"""Is the release told from real images by what it shows, or by the file format?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.stats import rankdata

from counterproof.metrics.engine.kernel_sums import kernel_sums
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence, Panel
from counterproof.metrics.fidelity._paired_distances import joint_distances, paired_distance, share_gone
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.shared.image_formats import describe_formats, stored_alike
from counterproof.metrics.shared.principal_axes import principal_axes
from counterproof.metrics.shared.two_sample import FOLDS, Task, linear_tables
from counterproof.metrics.statistics.auc import delong_auc
from counterproof.metrics.workbench import Workbench

ROWS = 1000  # a side: what storing and encoding them again may cost
FEWEST = 40  # a side, so that its halves still have a distance
AXES = 256  # principal components that the linear classifier sees
FLIPS = 99  # of labels, for the spread of an AUROC that says nothing
LISTED = 12  # formats
DISTANCE = "squared kernel distance"
Contrast = tuple[Sample, Sample]


@metric(
    id="fidelity.format_confound",
    family="fidelity",
    title="format confound",
    headline="share",
    unit="share of the distance",
    null="none",
    needs=Needs(modalities=frozenset({"image"}), smallest_n=FEWEST),
    reads=(),
)
def format_confound(bench: Workbench, *, rows: Annotated[int, Field(ge=FEWEST)] = ROWS) -> Iterator[Value]:
    """How much of the distance between real and synthetic images comes from their file formats alone.

    Photographs stored as JPEG and a release stored as PNG differ by compression alone. Equal numbers of both
    are compared as stored, and again after all were stored as JPEG of one quality. The controls compare the
    images of one side as stored with the same images stored alike: what the format alone does.

    Formula:
        share = 1 − (kernel distance, stored alike) / (kernel distance, as stored)

    How to read it:
        Near 1, the distance as stored says nothing about the generator. Near 0, the format does not matter.

    Limits:
        Hardly any effect shows on a side that is JPEG of that quality already. Other traces of processing, such
        as resizing, are not undone.

    Args:
        bench: Real and synthetic images.
        rows: Images a side at most; twice as many are encoded again.

    Yields:
        share: Share of the kernel distance that disappears when all images are stored alike.
        drop: By how much the kernel distance falls.
        stored: Kernel distance as stored.
        alike: Kernel distance when all are stored alike.
        control: Kernel distance between real images as stored and stored alike.
        control_release: The same of the release's images.
        auroc_stored: AUROC of a linear classifier, as stored.
        auroc_alike: AUROC when all are stored alike.
        auroc_control: AUROC of the control on real images.
        auroc_control_release: AUROC of the control on the release.

    Raises:
        MetricError: ``rows`` is too small.

    Source:
        Grommelt et al. (2024), Fake or JPEG?, arXiv:2403.17608; the interval of the share is Fieller's (1954),
        Some problems in interval estimation, J. Roy. Stat. Soc. B 16, 175-185.
    """
    if rows < FEWEST:
        raise MetricError(f"option rows = {rows}: at least {FEWEST} images a side are needed")
    unmet = _unmet(bench)
    if unmet is not None:
        yield unmet
        return
    contrasts = _contrasts(bench, rows)
    aurocs = {name: _auroc(bench, contrast) for name, contrast in contrasts.items()}
    apart = [contrasts[name] for name in ("stored", "alike")]
    views = [kernel_sums(a.features, b.features, memory=bench.memory) for a, b in apart]
    distances, spread = joint_distances(views, *map(_sources, apart[0]))
    yield _headline(bench, distances, spread, aurocs)
    n = {"reference": len(apart[0][0]), "candidate": len(apart[0][1])}
    for name, (value, variance) in _distances(bench, contrasts, distances, spread).items():
        estimate = Estimate.normal(value, max(variance, 0.0) ** 0.5, level=bench.level, method="Hájek normal")
        yield Value(field=name, estimate=estimate, n=n, unit=DISTANCE)
    for name, auroc in aurocs.items():
        yield Value(field=f"auroc_{name}", estimate=auroc, n=n, unit="AUROC")


def _unmet(bench: Workbench) -> Value | None:
    """Why there is nothing to measure, if so."""
    corpus = bench.corpus
    if corpus.formats is None:
        return Value(field="share", status="not_applicable", reason="how these images are stored is not known")
    real, made = corpus.formats[bench.real.rows], corpus.formats[bench.release.rows]
    if stored_alike(real, made):
        reason = f"both sides are stored as {describe_formats(real)}"
        return Value(field="share", status="not_applicable", reason=reason)
    told = f"real images are stored as {describe_formats(real)}, synthetic ones as {describe_formats(made)}"
    if corpus.recoded is None or corpus.as_stored is None:
        reason = f"{told}; they differ too little, or are too small, to be stored alike as JPEG"
    elif min(len(bench.reference), len(bench.candidate)) < FEWEST:
        reason = f"{told}, but fewer than {FEWEST} images on a side do not tell what that does"
    elif min(bench.reference.sources, bench.candidate.sources) < FOLDS:
        reason = f"{told}, but the images of one side come from fewer than {FOLDS} sources"
    else:
        return None
    return Value(field="share", status="not_assessable", reason=reason, evidence=(_table(bench),))


# -- what is held against what ----------------------------------------------------------------------


def _contrasts(bench: Workbench, rows: int) -> dict[str, Contrast]:
    """Pairs of samples by name; only the drawn images are encoded again."""
    rng = bench.generator("format confound")
    n = min(len(bench.reference), len(bench.candidate), rows)
    real, made = (_twice(sample, np.sort(sample.shuffled(rng)[:n])) for sample in (bench.reference, bench.candidate))
    return {"stored": (real[0], made[0]), "alike": (real[1], made[1]), "control": real, "control_release": made}


def _twice(sample: Sample, at: Rows) -> Contrast:
    """Some images of a side as stored, and stored alike."""
    rows, corpus = sample.rows[at], sample.corpus
    assert corpus.as_stored is not None
    assert corpus.recoded is not None
    stored = Sample(f"{sample.name} as stored", rows, corpus, corpus.as_stored(rows))
    return stored, Sample(f"{sample.name} stored alike", rows, corpus, corpus.recoded(rows))


def _sources(sample: Sample) -> Rows | None:
    return None if sample.corpus.clusters is None else sample.corpus.clusters[sample.rows]


# -- distances --------------------------------------------------------------------------------------


def _distances(
    bench: Workbench, contrasts: Mapping[str, Contrast], found: Floats, spread: Floats
) -> dict[str, tuple[float, float]]:
    """Distances by field, each with its variance."""
    less = np.array([1.0, -1.0])
    made = {
        "drop": (float(less @ found), float(less @ spread @ less)),
        "stored": (float(found[0]), float(spread[0, 0])),
        "alike": (float(found[1]), float(spread[1, 1])),
    }
    for name in ("control", "control_release"):
        before, after = contrasts[name]
        made[name] = paired_distance(before.features, after.features, _sources(before), memory=bench.memory)
    return made


# -- the classifier ---------------------------------------------------------------------------------


def _auroc(bench: Workbench, contrast: Contrast) -> Estimate:
    """Out-of-fold AUROC of a linear discriminant on principal axes of both sides together.

    DeLong's error takes the discriminant as given and the rows as independent; where the AUROC of
    labels dealt anew to each image (or source) spreads more, that spread is the error.
    """
    both = np.concatenate([sample.features for sample in contrast])
    axes, _ = principal_axes(both, min(AXES, len(both) // 4))
    made = np.repeat([False, True], [len(sample) for sample in contrast])
    corpus, rows = bench.corpus, np.concatenate([sample.rows for sample in contrast])
    _, unit = np.unique(corpus.digests[rows] if corpus.clusters is None else corpus.clusters[rows], return_inverse=True)
    rng = bench.generator("format confound folds")
    fold = (rng.permutation(unit.max() + 1) % FOLDS)[unit]
    labels = made[:, None] ^ (rng.random((unit.max() + 1, 1 + FLIPS)) < 0.5)[unit]
    labels[:, 0] = made
    seen = both @ axes
    task = Task(seen, seen[:, :0], np.zeros(0, dtype=bool), (), made, fold)
    scores = linear_tables(task, labels.astype(np.float64))
    ranks, n = rankdata(scores, axis=0), labels.sum(0)
    flipped = ((ranks * labels).sum(0) - n * (n + 1) / 2) / (n * (len(labels) - n)).clip(min=1)
    auc, error = delong_auc(scores[:, 0], made)
    spread = float(flipped[1:].std(ddof=1))
    return Estimate.normal(auc, max(error, spread), level=bench.level, method="DeLong or label flips, out of fold")


# -- what a reader sees -----------------------------------------------------------------------------


def _headline(bench: Workbench, distances: Floats, spread: Floats, aurocs: Mapping[str, Estimate]) -> Value:
    assert bench.corpus.formats is not None
    real, made = (describe_formats(bench.corpus.formats[sample.rows]) for sample in (bench.real, bench.release))
    telling = f"a linear classifier reaches {aurocs['stored'].value:.2f} as stored, {aurocs['alike'].value:.2f} alike"
    told = f"real images are stored as {real}, synthetic ones as {made}; {telling}"
    share = share_gone(distances, spread, level=bench.level)
    if share is None:
        told += "; as stored, the two sides are not clearly apart, so there is nothing for formats to explain"
    return Value(
        field="share",
        estimate=share,
        status="not_assessable" if share is None else "measured",
        reason=told,
        evidence=(_table(bench),),
        panels=(_panel(aurocs),),
    )


def _table(bench: Workbench) -> Evidence:
    """How many images of each role are stored how; small counts of real images stay hidden."""
    formats = bench.corpus.formats
    assert formats is not None
    real = [(sample.name, sample) for sample in (bench.train, bench.holdout) if sample is not None]
    roles = [*(real if len(real) == 2 else [("real", bench.real)]), ("synthetic", bench.release)]
    counts = [Counter(formats[sample.rows].tolist()) for _, sample in roles]
    total = sum(counts, Counter[str]())
    listed = sorted(total, key=lambda kind: (-total[kind], kind))[:LISTED]
    table = [(kind, *(held[kind] for held in counts)) for kind in listed]
    rest = [sum(count for kind, count in held.items() if kind not in listed) for held in counts]
    if any(rest):
        table.append((f"{len(total) - len(listed)} others", *rest))
    hidden = f"fewer than {bench.small_cell}"
    shown = [
        (kind, *(hidden if 0 < n < bench.small_cell and not bench.show_real else n for n in row[:-1]), row[-1])
        for kind, *row in table
    ]
    note = "The quality of a JPEG is estimated from its quantisation tables."
    return Evidence(
        title="How the images are stored",
        columns=("format", *(name for name, _ in roles)),
        rows=tuple(shown),
        note=note,
    )


def _panel(aurocs: Mapping[str, Estimate]) -> Panel:
    told = {
        "stored": "real or synthetic, as stored",
        "alike": "real or synthetic, stored alike",
        "control": "real, as stored or stored alike",
        "control_release": "synthetic, as stored or stored alike",
    }
    data = {
        "labels": [told[name] for name in aurocs],
        "values": [found.value for found in aurocs.values()],
        "value_title": "AUROC of a linear classifier",
    }
    return Panel(kind="bars", title="What the format gives away", data=data, note="0.5 cannot be told apart, 1 always.")
