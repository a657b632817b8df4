"""Does the release tell one column of a record to who knows the others?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from counterproof.metrics.engine.column_neighbours import Nearest, nearest_by_columns
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Evidence, Group
from counterproof.metrics.leakage._disclosure.risk import Rates, told
from counterproof.metrics.leakage._disclosure.targets import Targets, find_targets
from counterproof.metrics.metric import Count, Needs, Value, metric
from counterproof.metrics.sample import Corpus, Floats, Mixed, Rows
from counterproof.metrics.statistics.proportions import wilson
from counterproof.metrics.workbench import Workbench

SECRETS = 16
LISTED = 1000
Flags = NDArray[np.bool_]
GUESSES: Work[dict[str, Guesses]] = Work("guesses of secret attributes")


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

    @classmethod
    def none(cls, size: int) -> Guesses:
        """Nothing guessed yet."""
        flags = np.zeros((2, size), dtype=bool)
        return cls(flags[0], flags[1], np.zeros(size, dtype=np.intp), np.zeros(size))


@metric(
    id="leakage.attribute_inference",
    family="leakage",
    title="guessing a column from the others",
    unit="risk",
    null="membership",
    needs=Needs(holdout=True, modalities=frozenset({"table"}), smallest_n=100),
    reads=("columns",),
)
def attribute_inference(
    bench: Workbench,
    *,
    secrets: tuple[str, ...] = (),
    tolerance: Annotated[float, Field(ge=0, le=1)] = 0.05,
    attacks: Count = 5000,
) -> Iterator[Value]:
    """How much better secrets of training records are guessed from the release than those of other records.

    An attacker knows all columns of a person but one, looks up the nearest release row (Gower distance; of
    several that tie the most frequent category or the median number) and takes its value for the secret.
    Categories must be equal. Numbers must lie within ``tolerance`` of the distance between the 5 % and the 95 %
    quantile of real values (be equal, where that is 0). Missing is right for missing.

    Formula:
        risk = (attack rate on training records − rate on holdout records) / (1 − rate on holdout records)

    How to read it:
        0 means no more than for records that the release was not made from; 0.1 means that a tenth of the
        secrets that would stay hidden otherwise are given away. That a release lets one guess secrets of anyone
        is what makes it useful; only the excess is a leak. The baseline guesses the most frequent value, or the
        median, for everyone.

    Limits:
        It tries one attack, by the nearest row. At most 16 secrets are tried unless they are named. It has no
        default gate; leakage.copies and leakage.membership decide.

    Args:
        bench: The samples.
        secrets: Columns to guess. By default label and groups first, and 16 at most by a seeded choice.
        tolerance: How near a guessed number must be, as a share of the range of real values.
        attacks: Records attacked on each side, at most.

    Yields:
        value: The risk for the worst secret and, by ``secret``, for each.
        attack: Rate of right guesses for training records.
        control: Rate of right guesses for holdout records.
        baseline: Rate of right guesses without the release's rows.

    Raises:
        MetricError: The options are none that can be used.

    Source:
        Giomi et al. (2022), A unified framework for quantifying privacy risk in synthetic data,
        arXiv:2211.10459.
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
    key = GUESSES.about(bench.real, bench.release, secrets=tuple(chosen), tolerance=tolerance, attacks=attacks)
    found = bench.shared(key, lambda: infer(bench, targets, chosen, tolerance))
    rates: dict[Group, Rates] = {}
    for name, guesses in found.items():
        hits = int(guesses.right[targets.member].sum()), int(guesses.right[~targets.member].sum())
        baseline = wilson(int(guesses.trivial[targets.member].sum()), targets.sizes[0], bench.level)
        rates[(("secret", name),)] = Rates(hits=hits, sizes=targets.sizes, baseline=baseline)
    remark = targets.remark
    if len(chosen) < len(mixed.columns) and not secrets:
        remark += f"; {len(chosen)} of {len(mixed.columns)} columns taken for secrets"
    yield from told(
        bench,
        rates,
        remark=remark,
        evidence=lambda group: _told_secrets(bench, targets, str(group[0][1]), found),
    )


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
    base, known = bench.release.rows, bench.real.rows
    rng = np.random.default_rng([bench.seed, 19])
    hidden = [Secret.of(bench.corpus, name, known, tolerance) for name in secrets]
    made = {name: Guesses.none(len(targets.rows)) for name in secrets}
    for secret, guesses in zip(hidden, made.values(), strict=True):
        trivial = secret.guess(_everyone(len(base)), base, rng)
        guesses.trivial[:] = secret.told(np.repeat(trivial, len(targets.rows)), targets.rows)
    batches = nearest_by_columns(mixed, targets.rows, base, others, memory=bench.memory, device=bench.device)
    for part, found in batches:
        for secret, near, guesses in zip(hidden, found, made.values(), strict=True):
            guesses.right[part] = secret.told(secret.guess(near, base, rng), targets.rows[part])
            guesses.nearest[part], guesses.distance[part] = base[near.base[near.start]], near.closest
    return made


def _everyone(rows: int) -> Nearest:
    """All release rows as the nearest of a query that knows nothing."""
    return Nearest(np.zeros(rows, dtype=np.intp), np.arange(rows), np.zeros(rows))


@dataclass(frozen=True, eq=False)
class Secret:
    """A column to guess.

    Attributes:
        values: ``(n,)`` of all rows, NaN for missing.
        numeric: Whether numbers near each other are alike.
        reach: How near a guess is right.
    """

    values: Floats
    numeric: bool
    reach: float

    @classmethod
    def of(cls, corpus: Corpus, name: str, known: Rows, tolerance: float) -> Secret:
        """A column of the table; ``known`` rows say how far its values spread."""
        values, numeric = secret_values(corpus, name)
        return cls(values, numeric, tolerance * spread_of(values[known]) if numeric else 0.0)

    def guess(self, near: Nearest, base: Rows, rng: np.random.Generator) -> Floats:
        """The guess for each query from its nearest release rows."""
        values = self.values[base]
        return median_guess(near, values) if self.numeric else vote(near, values, rng)

    def told(self, guess: Floats, rows: Rows) -> Flags:
        """Whether guesses tell the values of these rows."""
        return is_right(guess, self.values[rows], self.reach)


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
    won = code[order[np.flatnonzero(np.diff(query, prepend=-1))]] - 1
    return np.where(won < 0, np.nan, won)


def median_guess(near: Nearest, values: Floats) -> Floats:
    """The lower median of the nearest rows' values; missing where most are missing."""
    found = values[near.base]
    order = np.lexsort((found, near.query))
    size = np.diff(np.append(near.start, len(order)))
    gone = np.add.reduceat(np.isnan(found).astype(np.intp), near.start)
    middle = found[order][near.start + (np.maximum(size - gone, 1) - 1) // 2]
    return np.where(2 * gone > size, np.nan, middle)


def is_right(guess: Floats, truth: Floats, reach: float) -> Flags:
    """Whether guesses are within reach of the truth; missing is right for missing only.

    >>> is_right(np.array([-5.0, -5.0, np.nan, 1.0]), np.array([100.0, 3.0, np.nan, np.nan]), 0.05).tolist()
    [False, False, True, False]
    """
    return np.asarray((np.abs(guess - truth) <= reach) | (np.isnan(guess) & np.isnan(truth)))


def _told_secrets(bench: Workbench, targets: Targets, name: str, found: Mapping[str, Guesses]) -> tuple[Evidence, ...]:
    """Train records whose secret is told where the trivial guess fails, nearest first."""
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
