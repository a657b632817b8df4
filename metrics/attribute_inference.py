"""Does the release tell one column of a record to who knows the others?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.attack_rates import Rates, told
from counterproof.metrics.column_search import Nearest, nearest_by_columns
from counterproof.metrics.estimate import Evidence, Group
from counterproof.metrics.intervals import wilson
from counterproof.metrics.metric import MetricError, Needs, Value, metric
from counterproof.metrics.sample import Corpus, Floats, Mixed, Rows
from counterproof.metrics.targets import Targets, find_targets
from counterproof.metrics.workbench import Workbench

SECRETS = 16
LISTED = 1000
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Guesses:
    """How one secret was guessed.

    Attributes:
        right: ``(targets,)`` from the nearest release rows.
        trivial: ``(targets,)`` by the most frequent or the median value of the release.
        nearest: ``(targets,)`` position of one of the nearest release rows.
        distance: ``(targets,)`` to it, over the other columns.
    """

    right: Flags
    trivial: Flags
    nearest: Rows
    distance: Floats


@metric(
    id="leakage.attribute_inference",
    family="leakage",
    title="guessing a column from the others",
    unit="risk",
    null="membership",
    needs=Needs(holdout=True, modalities=frozenset({"table"}), smallest_n=100),
)
def attribute_inference(
    bench: Workbench, *, secrets: tuple[str, ...] = (), tolerance: float = 0.05, attacks: int = 5000
) -> Iterator[Value]:
    """Secrets that the release tells of train records, in excess of records it was not made from.

    An attacker knows all columns of a person but one, looks up the nearest release row (Gower
    distance; of several that tie the most frequent category or the median number) and takes its
    value for the secret. That a release lets one guess the secrets of *anyone* is what makes it
    useful; a leak is only what it tells of train records beyond holdout records. 0 means no more;
    0.1 that a tenth of the secrets that would stay hidden otherwise are told. The baseline is the
    most frequent value, or the median, of the release for everyone.

    Categories must be equal; numbers lie within ``tolerance`` of the distance between the 5 % and
    the 95 % quantile of real values (equal, where that is 0); missing is right for missing.

    Source: Giomi et al. 2022, arXiv:2211.10459.

    Args:
        bench: The view.
        secrets: Columns to guess; otherwise label and groups first, and 16 at most by a seeded choice.
        tolerance: How near a guessed number is right.
        attacks: Records attacked on each side, at most.

    Yields:
        ``value`` the risk, ``attack``, ``control`` and ``baseline`` the rates behind it: of the
        worst secret and, by ``secret``, of each.

    Raises:
        MetricError: The options are none that can be used.
    """
    if not 0 <= tolerance < 1 or attacks < 1:
        raise MetricError("leakage.attribute_inference: give a tolerance from 0 to 1 and attacks of 1 or more")
    mixed = bench.varying
    if mixed is None or len(mixed.columns) < 2:
        yield Value(status="not_assessable", reason="fewer than two columns vary, so that nothing tells a secret")
        return
    chosen = secrets_of(bench, mixed, secrets)
    targets = find_targets(bench, attacks)
    if targets.problem:
        yield Value(status="not_assessable", reason=targets.problem)
        return
    key = ("attribute inference", chosen, tolerance, attacks)
    found = bench.shared(key, lambda: infer(bench, targets, chosen, tolerance))
    rates: dict[Group, Rates] = {}
    for name, guesses in found.items():
        hits = int(guesses.right[targets.member].sum()), int(guesses.right[~targets.member].sum())
        baseline = wilson(int(guesses.trivial[targets.member].sum()), targets.sizes[0], bench.level)
        rates[(("secret", name),)] = Rates(hits=hits, sizes=targets.sizes, baseline=baseline)
    remark = targets.remark
    if len(chosen) < len(mixed.columns) and not secrets:
        remark += f"; {len(chosen)} of {len(mixed.columns)} columns taken for secrets"
    evidence = () if bench.is_null else _told_secrets(bench, targets, rates, found)
    yield from told(bench, rates, remark=remark, evidence=evidence)


def secrets_of(bench: Workbench, mixed: Mixed, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The columns to guess.

    Raises:
        MetricError: A wanted column does not vary or does not exist.
    """
    unknown = [name for name in wanted if name not in mixed.columns]
    if unknown:
        raise MetricError(
            f"leakage.attribute_inference: {unknown[0]!r} is no column that varies; "
            f"there are {', '.join(mixed.columns)}"
        )
    if wanted or len(mixed.columns) <= SECRETS:
        return tuple(dict.fromkeys(wanted)) or mixed.columns
    order = np.random.default_rng([bench.seed, 17]).permutation(len(mixed.columns))
    asked = [name for name in (bench.corpus.label, *bench.corpus.groups) if name in mixed.columns]
    ordered = dict.fromkeys([*asked, *(mixed.columns[at] for at in order)])
    return tuple(ordered)[:SECRETS]


def infer(bench: Workbench, targets: Targets, secrets: Sequence[str], tolerance: float) -> dict[str, Guesses]:
    """Guess every secret of every target."""
    mixed = bench.varying
    assert mixed is not None
    others = [[name for name in mixed.columns if name != secret] for secret in secrets]
    base = bench.release.rows
    found = nearest_by_columns(mixed, targets.rows, base, others, memory=bench.memory, device=bench.device)
    rng = np.random.default_rng([bench.seed, 19])
    made = {}
    for secret, near in zip(secrets, found, strict=True):
        values, numeric = secret_values(bench.corpus, secret)
        reach = tolerance * spread_of(values[bench.real.rows]) if numeric else 0.0
        guess = (median_guess if numeric else vote)(near, values[base], rng)
        everyone = Nearest(np.zeros(len(base), dtype=np.intp), np.arange(len(base)), np.zeros(len(base)))
        trivial = (median_guess if numeric else vote)(everyone, values[base], rng)
        start = np.searchsorted(near.query, np.arange(len(targets.rows)))
        truth = values[targets.rows]
        made[secret] = Guesses(
            right=is_right(guess, truth, reach),
            trivial=is_right(np.broadcast_to(trivial, truth.shape), truth, reach),
            nearest=base[near.base[start]],
            distance=near.distance[start],
        )
    return made


def secret_values(corpus: Corpus, name: str) -> tuple[Floats, bool]:
    """A column as numbers, NaN for missing, and whether numbers near each other are alike."""
    assert corpus.frame is not None
    import pandas as pd

    column = corpus.frame[name]
    if corpus.kinds[name] == "number":
        return column.to_numpy(dtype=np.float64), True
    if corpus.kinds[name] == "datetime":
        gone = column.isna().to_numpy()
        return np.where(gone, np.nan, column.to_numpy().astype("datetime64[us]").astype(np.int64)), True
    codes = pd.factorize(column, sort=True, use_na_sentinel=True)[0]
    return np.where(codes < 0, np.nan, codes), False


def spread_of(values: Floats) -> float:
    """The distance between the 5 % and the 95 % quantile: no single outlier stretches it."""
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0
    low, high = np.quantile(known, [0.05, 0.95])
    return float(high - low)


def vote(near: Nearest, values: Floats, rng: np.random.Generator) -> Floats:
    """The most frequent value among the nearest rows of each query; ties at random."""
    codes = np.nan_to_num(values[near.base], nan=-1.0).astype(np.int64) + 1
    width = int(codes.max()) + 1
    pair, count = np.unique(near.query * width + codes, return_counts=True)
    query, code = np.divmod(pair, width)
    order = np.lexsort((rng.random(len(pair)), -count, query))
    first = order[np.searchsorted(query[order], np.unique(query))]
    won = code[first] - 1
    return np.where(won < 0, np.nan, won)


def median_guess(near: Nearest, values: Floats, rng: np.random.Generator) -> Floats:
    """The lower median of the nearest rows' values; missing where most are missing."""
    found = values[near.base]
    order = np.lexsort((found, near.query))
    query = near.query[order]
    start = np.searchsorted(query, np.unique(query))
    size = np.diff(np.append(start, len(query)))
    gone = np.add.reduceat(np.isnan(found[order]).astype(np.intp), start)
    middle = found[order][start + (np.maximum(size - gone, 1) - 1) // 2]
    return np.where(2 * gone > size, np.nan, middle)


def is_right(guess: Floats, truth: Floats, reach: float) -> Flags:
    """Whether guesses are within reach of the truth; missing is right for missing only.

    >>> is_right(np.array([-5.0, -5.0, np.nan, 1.0]), np.array([100.0, 3.0, np.nan, np.nan]), 0.05).tolist()
    [False, False, True, False]
    """
    return np.asarray((np.abs(guess - truth) <= reach) | (np.isnan(guess) & np.isnan(truth)))


def _told_secrets(
    bench: Workbench, targets: Targets, rates: Mapping[Group, Rates], found: Mapping[str, Guesses]
) -> tuple[Evidence, ...]:
    """Train records whose worst secret is told where the trivial guess fails, nearest first."""
    judged = [group for group, r in rates.items() if not r.saturated]
    if not judged:
        return ()
    name = str(max(judged, key=lambda group: rates[group].risk(bench.level).value)[0][1])
    guesses, names = found[name], bench.corpus.names
    at = np.flatnonzero(guesses.right & ~guesses.trivial & targets.member)
    at = at[np.argsort(guesses.distance[at], kind="stable")]
    rows = tuple(
        (str(names[targets.rows[i]]), str(names[guesses.nearest[i]]), float(guesses.distance[i])) for i in at[:LISTED]
    )
    if not rows:
        return ()
    note = f"Nearest first; the first {len(rows)} of {len(at)}. Secrets of holdout records are told too: see control."
    columns = ("training row", "release row", "distance over the other columns")
    title = f"Training rows whose {name} is told beyond the trivial guess: {len(at)}"
    return (Evidence(title=title, columns=columns, rows=rows, note=note),)
