"""Sets the workbench: who is held against whom, and whether the roles are what they claim."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact, hypergeom

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
    # A holdout alone was halved: models that learned from the one half are tried on the other.
    trial = samples.get("test", reference)
    release = samples["synthetic"]
    return Workbench(
        reference=reference,
        candidate=_cut(release, len(real) - len(reference), "candidate", rng),
        real=real,
        release=release,
        learning=_cut(learning, len(release), "learning", rng),
        trial=trial,
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


@dataclass(frozen=True, slots=True)
class Overlap:
    """Holdout rows that also stand in train, how many the data's own duplicates explain, and the slack of that."""

    shared: int
    natural: float
    slack: float


def overlap_of(bench: Workbench) -> Overlap:
    """Holdout rows that also stand in train, against those that would without sharing.

    The holdout's own twins tell how often equal rows arise: how many of its rows would find a twin
    among as many other rows of it as there are training rows. Where train is longer than that, the
    count grows at most in proportion.
    """
    if bench.train is None or bench.holdout is None:
        return Overlap(0, 0.0, 0.0)
    train, holdout = bench.train.digests, bench.holdout.digests
    shared = int(np.isin(holdout, train).sum())
    others = len(holdout) - 1
    _, inverse, counts = np.unique(holdout, return_inverse=True, return_counts=True)
    drawn, grown = min(len(train), others), max(1.0, len(train) / others)
    missed = np.asarray(hypergeom.pmf(0, others, counts[inverse] - 1, drawn))
    natural = min(float((1 - missed).sum()) * grown, len(holdout))
    return Overlap(shared, natural, 4 * float(np.sqrt(shared + grown * natural + grown**2)))


def check_overlap(bench: Workbench, sources: dict[str, str], *, allow: bool) -> list[str]:
    """State holdout rows that stand in train; more than natural duplicates is a refusal.

    Raises:
        Refusal: The holdout shares rows with train and ``allow`` is not set.
    """
    found = overlap_of(bench)
    if found.shared - found.natural > found.slack and not allow:
        raise Refusal(
            f"{sources['holdout']}: {found.shared} of its {len(bench.holdout or ())} rows also stand in train "
            f"({found.natural:.0f} would be natural duplicates), so it is no holdout; "
            "remove them, or set allow_overlap = true"
        )
    if not found.shared:
        return []
    told = f"{found.natural:.0f} would by the data's own duplicates"
    return [f"{found.shared} holdout rows equal a training row; {told}"]


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
