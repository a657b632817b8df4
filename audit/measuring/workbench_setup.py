"""Sets the workbench: who is held against whom, and whether the roles are what they claim."""

from __future__ import annotations

import zlib

import numpy as np

from counterproof.config import Run
from counterproof.encoders.base import device_named
from counterproof.loading.intake import Intake
from counterproof.metrics.engine.learners import LEARNED
from counterproof.metrics.sample import Sample
from counterproof.metrics.workbench import Workbench
from counterproof.refusal import Refusal


def set_bench(intake: Intake, run: Run) -> Workbench:
    """Give every role its part; sizes are matched so that every floor can be drawn from real rows.

    Raises:
        Refusal: There are too few rows to split.
    """
    samples = {role: Sample(role, rows, intake.corpus) for role, rows in intake.roles.items()}
    for role, sample in samples.items():
        if len(sample) < 2:
            raise Refusal(f"{intake.sources[role]}: the {role} rows are {len(sample)}; an audit needs 2 at least")
    rng = np.random.default_rng([run.seed, zlib.crc32(b"roles")])
    real = _pool(samples)
    reference, learning = _reference(samples, real, rng)
    # No model learns from the reference, so it serves as test rows beside those that were given.
    test = reference.join(samples["test"], "trial") if "test" in samples else reference
    release = samples["synthetic"]
    return Workbench(
        reference=reference,
        candidate=_cut(release, len(real) - len(reference), "candidate", rng),
        real=real,
        release=release,
        learning=_cut(learning, min(len(release), LEARNED), "learning", rng),
        test=test,
        synthetic_train=_cut(release, min(len(learning), LEARNED), "studying", rng),
        train=samples.get("train"),
        holdout=samples.get("holdout"),
        seed=run.seed,
        level=run.confidence,
        show_real=run.show_real,
        small_cell=run.small_cell,
        intersections=run.intersections,
        memory=run.memory_mb * 2**20,
        device=str(device_named(run.device)),
    )


def _pool(samples: dict[str, Sample]) -> Sample:
    if "train" in samples and "holdout" in samples:
        return samples["train"].join(samples["holdout"], "real")
    only = next(samples[role] for role in ("real", "train", "holdout") if role in samples)
    return Sample("real", only.rows, only.corpus)


def _reference(samples: dict[str, Sample], real: Sample, rng: np.random.Generator) -> tuple[Sample, Sample]:
    """The rows to compare with, and the real rows that baseline models learn from."""
    if "train" in samples and "holdout" in samples:
        return samples["holdout"], samples["train"]
    half = len(real) // 2
    order = rng.permutation(len(real))
    if real.corpus.clusters is not None:
        sources, inverse = np.unique(real.corpus.clusters[real.rows], return_inverse=True)
        order = np.argsort(rng.permutation(len(sources))[inverse], kind="stable")
        # Rows of one source stay on one side: the first half ends where a source ends.
        ends = np.flatnonzero(np.diff(inverse[order], append=-1)) + 1
        inside = ends[ends < len(real)]
        half = int(inside[np.abs(inside - half).argmin()]) if len(inside) else half
    return real.take(np.sort(order[half:]), "reference"), real.take(np.sort(order[:half]), "learning half")


def _cut(sample: Sample, size: int, name: str, rng: np.random.Generator) -> Sample:
    if len(sample) <= size:
        return sample
    return sample.take(np.sort(rng.permutation(len(sample))[:size]), name)
