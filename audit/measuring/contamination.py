"""Whether the roles are what they claim: rows that train shares with holdout, test and release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, fisher_exact, hypergeom, norm, poisson

from counterproof.inputs.findings import Finding
from counterproof.metrics.sample import Sample
from counterproof.metrics.statistics.coincidence import coincidental
from counterproof.refusal import Refusal

OVERLAP = 1e-4
UNREPEATED = 1e-3
EXACT = 3000  # records that stand several times, up to which the chance is summed exactly
CONTAMINATED = 1e-6
SHARED = 0.01  # of the sources: a few that were dealt to both sides by mistake change nothing
HELD = 0.25  # no faithful release holds a quarter of a role's records beyond natural duplicates


@dataclass(frozen=True, slots=True)
class Overlap:
    """Rows of one role that also stand in train, and how many the data's own duplicates explain.

    Attributes:
        shared: Rows of the role that stand in train.
        natural: How many would without sharing, by the role's own twins.
        p: Chance of as many records on both sides where the rows of both are dealt to them at random.
        coarse: Whether equal rows can arise by chance in this table though none did.
    """

    shared: int
    natural: float
    p: float
    coarse: bool

    @property
    def beyond_chance(self) -> bool:
        """Whether sharing is the explanation: rows whose numbers hardly ever repeat do not meet by chance."""
        if self.coarse or self.natural:
            return self.p < OVERLAP
        return bool(poisson.sf(self.shared - 1, 1) < UNREPEATED)


def overlap_of(train: Sample, other: Sample) -> Overlap:
    """Rows of ``other`` that also stand in train, against those that would without sharing.

    Its own twins tell how often equal rows arise: how many of its rows would find a twin among as
    many other rows of it as there are training rows. Where train is longer than that, the count
    grows at most in proportion.
    """
    shared = int(np.isin(other.digests, train.digests).sum())
    others = len(other) - 1
    _, inverse, counts = np.unique(other.digests, return_inverse=True, return_counts=True)
    drawn, grown = min(len(train), others), max(1.0, len(train) / others)
    # One probability for each number of twins: a hundred thousand of the same take half a minute.
    twins, which = np.unique(counts - 1, return_inverse=True)
    missed = np.asarray(hypergeom.pmf(0, others, twins, drawn))[which][inverse]
    natural = min(float((1 - missed).sum()) * grown, len(other))
    return Overlap(shared, natural, chance_of_sharing(train, other), coincidental(train) or coincidental(other))


def chance_of_sharing(train: Sample, other: Sample) -> float:
    """P(as many records or more stand on both sides), all rows of both dealt to the sides at random.

    A record that stands ``c`` times among the ``N`` rows of both is missing on one side with probability
    ``C(N − c, n) / C(N, n)``, whichever are the side's ``n`` rows. Without sharing rows are
    exchangeable, so that the number of records on both sides is about a sum of independent such
    draws; a row that was given to both sides always stands on both. The table's own twins enter
    through the counts: nothing has to be estimated.
    """
    digests = np.concatenate([train.digests, other.digests])
    _, inverse, counts = np.unique(digests, return_inverse=True, return_counts=True)
    in_train = np.bincount(inverse[: len(train)], minlength=len(counts))
    both = int(((in_train > 0) & (in_train < counts)).sum())
    times, records = np.unique(counts[counts > 1], return_counts=True)
    if not len(times):
        return 1.0
    missing = hypergeom.pmf(0, len(digests), times, len(train)) + hypergeom.pmf(0, len(digests), times, len(other))
    chance = np.clip(1 - missing, 0.0, 1.0)
    if records.sum() > EXACT:
        mean, variance = float((records * chance).sum()), float((records * chance * (1 - chance)).sum())
        return float(norm.sf((both - 0.5 - mean) / np.sqrt(max(variance, 1e-12))))
    total = np.ones(1)
    for of, p in zip(records, chance, strict=True):
        total = np.convolve(total, binom.pmf(np.arange(of + 1), of, p))
    return float(min(1.0, total[both:].sum()))


def check_overlap(samples: Mapping[str, Sample], sources: Mapping[str, str], *, allow: bool) -> list[str]:
    """State holdout and test rows that stand in train; more than natural duplicates is a refusal.

    Raises:
        Refusal: A role shares rows with train and ``allow`` is not set.
    """
    told: list[str] = []
    for role in ("holdout", "test"):
        if "train" not in samples or role not in samples:
            continue
        found = overlap_of(samples["train"], samples[role])
        if found.beyond_chance and not allow:
            raise Refusal(
                f"{sources[role]}: {found.shared} of its {len(samples[role])} rows also stand in train "
                f"({found.natural:.0f} would be natural duplicates), so it is no {role}; "
                "remove them, or set allow_overlap = true"
            )
        if found.shared:
            explained = f"{found.natural:.0f} would by the data's own duplicates"
            weight = found.shared / len(samples[role]) if found.beyond_chance else 0.0
            told.append(Finding(f"{found.shared} {role} rows equal a training row; {explained}", weight))
    return told


def check_sources(samples: Mapping[str, Sample], sources: Mapping[str, str], *, allow: bool) -> list[str]:
    """State how many sources (patients, say) have rows in train and in another role; more than a few are a refusal.

    Rows of one source resemble each other. A holdout of the same people can neither show what the generator
    learned of them nor be told from train, so that leakage is under- or overstated whatever the rows are.

    Raises:
        Refusal: More than 1 % of a role's sources have rows in train, and ``allow`` is not set.
    """
    told: list[str] = []
    for role in ("holdout", "test"):
        if "train" not in samples or role not in samples or samples[role].corpus.clusters is None:
            continue
        shared, of = shared_sources(samples["train"], samples[role])
        if not shared:
            continue
        found = f"{shared} of the {of} sources of its rows (cluster {samples[role].corpus.cluster!r})"
        if shared > SHARED * of and not allow:
            raise Refusal(
                f"{sources[role]}: {found} also have rows in train, so it is no {role}: deal whole sources to the "
                "roles, or set allow_overlap = true"
            )
        told.append(Finding(f"{role}: {found} also have rows in train", shared / of))
    return told


def shared_sources(train: Sample, other: Sample) -> tuple[int, int]:
    """How many sources of the other rows have rows in train, and how many there are."""
    clusters = other.corpus.clusters
    assert clusters is not None
    theirs = np.unique(clusters[other.rows])
    return int(np.isin(theirs, clusters[train.rows]).sum()), len(theirs)


def check_contamination(samples: Mapping[str, Sample], sources: Mapping[str, str]) -> None:
    """Refuse a release that holds rows the generator must never have seen.

    Either its matches with a role outnumber those with train, and what the rows' own twins explain, beyond
    chance, or it holds so much of the role that coincidence is no explanation. A release without the rows
    that lie near training rows matches the holdout more often than train, and yet no more often than fresh rows.

    Raises:
        Refusal: Holdout or test rows stand in the release beyond what chance explains.
    """
    if "train" not in samples:
        return
    release, train = samples["synthetic"], samples["train"]
    hits, of = _matched(train, release)
    for role in ("holdout", "test"):
        if role not in samples:
            continue
        theirs, size = _matched(samples[role], release)
        table = np.array([[theirs, size - theirs], [hits, of - hits]])
        more = fisher_exact(table, alternative="greater").pvalue < CONTAMINATED
        beyond = more and chance_of_sharing(release, samples[role]) < OVERLAP
        if beyond or _held(samples[role], train, release):
            raise Refusal(
                f"{sources['synthetic']}: {theirs} of {size} distinct {role} records stand in the release, against "
                f"{hits} of {of} training records: it is contaminated by {role} rows and cannot be audited with them"
            )


def _held(sample: Sample, train: Sample, release: Sample) -> bool:
    """Whether the release holds a large part of these rows that natural duplicates do not explain."""
    natural = overlap_of(train, sample).natural / len(sample)
    share = np.isin(sample.digests, release.digests).mean()
    return bool(share > natural + HELD) and len(sample) >= 20


def _matched(sample: Sample, release: Sample) -> tuple[int, int]:
    """Distinct records (with clusters: sources) that the release holds, and how many there are."""
    clusters = sample.corpus.clusters
    units = np.unique(sample.digests, return_inverse=True)[1] if clusters is None else clusters[sample.rows]
    return len(np.unique(units[np.isin(sample.digests, release.digests)])), len(np.unique(units))
