"""Sets the workbench: who is held against whom, and whether the roles are what they claim."""

from __future__ import annotations

import zlib

import numpy as np
from scipy.stats import fisher_exact

from counterproof.config import Run
from counterproof.intake import Intake
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
    trial = samples.get("test", samples.get("holdout", reference))
    release = samples["synthetic"]
    return Workbench(
        reference=reference,
        candidate=_cut(release, len(real) - len(reference), "candidate", rng),
        real=real,
        release=release,
        learning=_cut(learning, len(release), "learning", rng),
        trial=trial if learning.name != trial.name else reference,
        studying=_cut(release, len(learning), "studying", rng),
        train=samples.get("train"),
        holdout=samples.get("holdout"),
        seed=run.seed,
        level=run.confidence,
        show_real=run.show_real,
        small_cell=run.small_cell,
        memory=run.memory_mb * 2**20,
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
    order = rng.permutation(len(real))
    half = len(real) // 2
    return real.take(np.sort(order[half:]), "reference"), real.take(np.sort(order[:half]), "learning half")


def _cut(sample: Sample, size: int, name: str, rng: np.random.Generator) -> Sample:
    if len(sample) <= size:
        return sample
    return sample.take(np.sort(rng.permutation(len(sample))[:size]), name)


def overlap_of(bench: Workbench) -> tuple[int, int]:
    """Holdout rows that also stand in train, and how many the tables' own duplicates explain.

    The holdout's own twins tell how often equal rows arise without sharing: the count of holdout
    rows with a twin in the rest of the holdout, against the count with a twin among as many
    training rows.
    """
    if bench.train is None or bench.holdout is None:
        return 0, 0
    train, holdout = bench.train.digests, bench.holdout.digests
    if len(train) > len(holdout) - 1:
        rng = np.random.default_rng([bench.seed, zlib.crc32(b"overlap")])
        train = train[rng.permutation(len(train))[: len(holdout) - 1]]
    shared = int(np.isin(holdout, train).sum())
    values, inverse, counts = np.unique(holdout, return_inverse=True, return_counts=True)
    natural = float((counts[inverse] > 1).sum()) * len(train) / max(len(holdout) - 1, 1)
    return shared, round(natural)


def check_overlap(bench: Workbench, sources: dict[str, str], *, allow: bool) -> list[str]:
    """State holdout rows that stand in train; more than natural duplicates is a refusal.

    Raises:
        Refusal: The holdout shares rows with train and ``allow`` is not set.
    """
    shared, natural = overlap_of(bench)
    if shared - natural > 4 * np.sqrt(shared + natural + 1) and not allow:
        raise Refusal(
            f"{sources['holdout']}: {shared} of its {len(bench.holdout or ())} rows also stand in train "
            f"({natural} would be natural duplicates), so it is no holdout; "
            "remove them, or set allow_overlap = true"
        )
    return (
        [f"{shared} holdout rows equal a training row; {natural} would by the data's own duplicates"] if shared else []
    )


def check_contamination(bench: Workbench, roles: dict[str, Sample], sources: dict[str, str]) -> None:
    """Refuse a release that holds rows the generator must never have seen.

    Raises:
        Refusal: Distinct holdout or test rows stand in the release beyond what train explains.
    """
    if bench.train is None:
        return
    release, train = np.unique(bench.release.digests), np.unique(bench.train.digests)
    hits = int(np.isin(train, release).sum())
    for role in ("holdout", "test"):
        if role not in roles:
            continue
        other = np.unique(roles[role].digests)
        theirs = int(np.isin(other, release).sum())
        table = np.array([[theirs, len(other) - theirs], [hits, len(train) - hits]])
        if fisher_exact(table, alternative="greater").pvalue < 1e-6:
            raise Refusal(
                f"{sources['synthetic']}: {theirs} distinct {role} rows stand in the release against {hits} "
                f"training rows: it is contaminated by {role} rows and cannot be audited with them"
            )
