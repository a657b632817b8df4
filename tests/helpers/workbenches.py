"""Benches made by hand, for tests that need no engine."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from counterproof.metrics.sample import Corpus, Floats, Sample
from counterproof.metrics.workbench import Workbench


def bench(train: Floats, holdout: Floats | None, synthetic: Floats, *, seed: int = 0, **corpus: Any) -> Workbench:
    """A workbench over arrays of rows, stacked as train, holdout, synthetic.

    Args:
        train: ``(n, d)`` rows the generator learned from.
        holdout: ``(m, d)`` rows it never saw; None halves the first rows instead.
        synthetic: ``(s, d)`` the release.
        seed: Of every random step.
        corpus: Further fields of the corpus, or of the workbench (``level``, ``memory``, …).
    """
    known = ("level", "memory", "show_real", "small_cell", "intersections")
    options = {key: corpus.pop(key) for key in known if key in corpus}
    parts = [np.asarray(part, dtype=np.float64) for part in (train, holdout, synthetic) if part is not None]
    features = np.concatenate(parts)
    made = Corpus(
        **{
            "features": features,
            "protocol": "arrays",
            "modality": "features",
            "digests": np.array([row.tobytes()[:16].ljust(16, b".") for row in features]),
            "names": np.array([str(i) for i in range(len(features))]),
            **corpus,
        }
    )
    cut = np.cumsum([0, *map(len, parts)])
    spans = [np.arange(low, high) for low, high in itertools.pairwise(cut)]
    release = Sample("synthetic", spans[-1], made)
    if holdout is None:
        half = len(spans[0]) // 2
        real = Sample("real", spans[0], made)
        left, right = Sample("learning half", spans[0][:half], made), Sample("reference", spans[0][half:], made)
    else:
        left, right = Sample("train", spans[0], made), Sample("holdout", spans[1], made)
        real = left.join(right, "real")
    return Workbench(
        reference=right,
        candidate=release,
        real=real,
        release=release,
        learning=left,
        test=right,
        synthetic_train=release,
        train=None if holdout is None else left,
        holdout=None if holdout is None else right,
        seed=seed,
        **options,
    )
