"""Tables as points: a centred block of features for each column, fitted on real rows.

Numbers go by their mid-rank among real values, from 0 to 1, so that a heavy tail does not drown the
rest; categories one-hot at half weight, so that two categories lie 1 apart as the ends of a number
column do (squared distances add up as in Gower's); dates by rank and by points on the circles of month, weekday
and hour; missing is a flag of its own. Columns are *not* blown up to equal variance: one that is nearly
constant carries little. The whole is scaled so that the mean squared norm of a real row is the number
of features: without it the cubic kernel ``(x·y/d + 1)^3`` hardly sees joint structure.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.inputs.alignment import OPAQUE, Stack
from counterproof.inputs.findings import remark as asks_nothing
from counterproof.metrics.sample import Floats, Mixed, Rows

PROTOCOL = (
    "table encoder 2: numbers by mid-rank in [0, 1], frequent categories one-hot at half weight, rare and unseen ones "
    "as one, dates by rank and parts, missing flagged; blocks centred and scaled on real rows"
)
REACH = 0.5  # how far beyond the real range a rank may go
LEVELS = 100  # categories with a feature of their own at most
CATEGORY_WEIGHT = 0.5
GROUPS = 8  # of categories none of which is frequent enough for a feature of its own
FITTED = 0.5  # standard errors by which fitted rows may differ from fresh ones in the feature of rare categories


@dataclass(frozen=True, eq=False, kw_only=True)
class EncodedTable:
    """A table as features and as mixed columns.

    Attributes:
        features: ``(n, d)``.
        blocks: Feature positions of each encoded column.
        block_names: The encoded columns.
        mixed: The same columns and those that real rows hold constant, one by one, for Gower distance and trees.
        digest: sha256 of what was fitted.
        findings: Columns that were simplified.
    """

    features: Floats
    blocks: tuple[NDArray[np.intp], ...]
    block_names: tuple[str, ...]
    mixed: Mixed
    digest: str
    findings: list[str]


def encode_table(stack: Stack) -> EncodedTable:
    """Encode all rows; the scales come from train, holdout and real, never from test or synthetic."""
    fitted = np.concatenate([rows for role, rows in stack.roles.items() if role not in ("test", "synthetic")])
    names = [n for n, kind in stack.kinds.items() if kind not in OPAQUE]
    # a column of one value has no features, yet a release may give it another: it stays among the mixed columns
    known = [name for name in names if stack.frame[name].iloc[fitted].notna().any()]
    parts: list[Floats] = []
    kept: list[str] = []
    findings: list[str] = []
    for name in names:
        block, remark = _block(stack.frame[name], stack.kinds[name], fitted)
        if remark and name not in stack.constant:  # which has its finding already
            findings.append(asks_nothing(f"column {name!r} {remark}"))
        if block is not None:
            parts.append(block)
            kept.append(name)
    if not parts:  # no number, and no category that is frequent: groups of categories are better than nothing
        for name in known:
            block, remark = _hashed(stack.frame[name], fitted)
            if block is not None:
                parts.append(block)
                kept.append(name)
                findings.append(asks_nothing(f"column {name!r} {remark}"))
    widths = np.cumsum([0, *(part.shape[1] for part in parts)])
    features = np.concatenate(parts, axis=1) if parts else np.zeros((len(stack.frame), 0))
    features *= np.sqrt(features.shape[1] / max(float(features[fitted].var(0).sum()), 1e-300))
    return EncodedTable(
        features=features,
        blocks=tuple(np.arange(a, b, dtype=np.intp) for a, b in pairwise(widths)),
        block_names=tuple(kept),
        mixed=_mixed(stack, known, fitted),
        digest=_digest(stack, known, fitted),
        findings=findings,
    )


def ranks(values: Floats, known: Floats) -> Floats:
    """Mid-ranks among known values, from 0 at the least to 1 at the greatest; missing stays missing.

    Between known values ranks are interpolated. Beyond them they go on by the known range, up to
    :data:`REACH`, so that what lies outside is seen. Where one value only is known it ranks 0, and
    anything else lies as far out as ranks go.

    >>> ranks(np.array([1.0, 3.0, 4.0, 9.0]), np.array([1.0, 2.0, 3.0])).tolist()
    [0.0, 1.0, 1.5, 1.5]
    """
    levels, counts = np.unique(known[~np.isnan(known)], return_counts=True)
    if not len(levels):
        return np.where(np.isnan(values), np.nan, 0.0)
    if len(levels) == 1:
        other = np.where(values < levels[0], -REACH, 1 + REACH)
        return np.where(np.isnan(values), np.nan, np.where(values == levels[0], 0.0, other))
    middle = np.cumsum(counts) - counts / 2
    middle = (middle - middle[0]) / (middle[-1] - middle[0])
    inside = np.interp(values, levels, middle)
    # halves: the difference of two huge numbers may overflow, and a tiny range overflows its quotient
    low, high = levels[0] / 2, levels[-1] / 2
    below, above = np.minimum(values / 2 - low, 0), np.maximum(values / 2 - high, 0)
    with np.errstate(over="ignore"):
        beyond = (below + above) / max(high - low, np.finfo(float).tiny)
    reached: Floats = np.clip(inside + beyond, -REACH, 1 + REACH)
    return reached


# -- blocks -----------------------------------------------------------------------------------------


def _block(column: pd.Series[Any], kind: str, fitted: Rows) -> tuple[Floats | None, str]:
    """One column as a centred block, None if real rows do not vary in it, and what a reader should know of it."""
    if kind in ("number", "datetime"):
        raw, remark = _number_block(column, kind, fitted), ""
    else:
        raw, remark = _one_hot(column, fitted)
    centred: Floats = raw - raw[fitted].mean(0)
    if float(centred[fitted].var(0).sum()) < 1e-12:
        return None, f"{remark or 'does not vary in train and holdout'}: kept out of the features"
    return centred, remark


def _number_block(column: pd.Series[Any], kind: str, fitted: Rows) -> Floats:
    """Rank, parts of dates, and a flag where anything is missing."""
    values = numbers(column)
    gone = np.isnan(values)
    if gone[fitted].all():
        return np.zeros((len(values), 1))
    rank = ranks(values, values[fitted])
    parts = [rank, *(_date_parts(column) if kind == "datetime" else [])]
    kept = [parts[0], *(part for part in parts[1:] if np.nanstd(part[fitted]) > 1e-9)]
    filled = [np.where(gone, np.nanmean(part[fitted]), part) for part in kept]
    return np.stack([*filled, gone.astype(float)] if gone.any() else filled, axis=1)


def numbers(column: pd.Series[Any]) -> Floats:
    """A number or date column as float64, NaN for missing."""
    if column.dtype.kind != "M":
        return column.to_numpy(dtype=np.float64)
    values = column.to_numpy().astype("datetime64[us]")
    return np.where(np.isnat(values), np.nan, values.astype(np.int64).astype(np.float64))


def _date_parts(column: pd.Series[Any]) -> list[Floats]:
    """Cyclic parts: month, weekday and hour as points on a circle of diameter 0.5."""
    hands = ((column.dt.month, 12), (column.dt.day_of_week, 7), (column.dt.hour, 24))
    turns = [2 * np.pi * part.to_numpy(dtype=np.float64) / period for part, period in hands]
    return [0.25 * wave(turn) for turn in turns for wave in (np.sin, np.cos)]


def _one_hot(column: pd.Series[Any], fitted: Rows) -> tuple[Floats, str]:
    """A feature for each category that is frequent enough, one for all others, seen or not, and one for missing."""
    codes, levels = pd.factorize(column, use_na_sentinel=True)
    counts = np.bincount(codes[fitted][codes[fitted] >= 0], minlength=len(levels))
    need = fewest_rows(counts)
    own = counts >= need
    places = np.zeros(len(levels) + 1, dtype=np.intp)  # 0: the shared one
    places[:-1][own] = 1 + np.arange(own.sum())
    places[-1] = own.sum() + 1  # missing
    place = places[codes]
    hot: Floats = (place[:, None] == np.unique(place)[None, :]).astype(np.float64)
    rare = int(((counts > 0) & ~own).sum())
    remark = f"has {rare} categories with fewer than {need} real rows, which share one feature" if rare > 1 else ""
    return hot * np.sqrt(CATEGORY_WEIGHT), remark


def _hashed(column: pd.Series[Any], fitted: Rows) -> tuple[Floats | None, str]:
    """A feature for each of a few groups of categories that no row's presence decides, and one for missing.

    Of categories none of which is frequent, only groups can be compared; a digest of the name puts a fresh
    row's category into a group as it does a fitted row's.
    """
    codes, levels = pd.factorize(column, use_na_sentinel=True)
    digests = [hashlib.blake2b(str(level).encode(errors="surrogatepass"), digest_size=8).digest() for level in levels]
    group = np.array([int.from_bytes(digest, "big") % GROUPS for digest in digests] + [GROUPS], dtype=np.intp)[codes]
    hot: Floats = (group[:, None] == np.unique(group)[None, :]).astype(np.float64) * np.sqrt(CATEGORY_WEIGHT)
    centred: Floats = hot - hot[fitted].mean(0)
    if float(centred[fitted].var(0).sum()) < 1e-12:
        return None, ""
    return (
        centred,
        f"has {len(levels)} categories, none of them frequent, which share {GROUPS} features by their digests",
    )


def fewest_rows(counts: NDArray[np.intp]) -> int:
    """How many fitted rows a category needs for a feature of its own; all rarer ones share one.

    Whether a category is frequent enough is read off the fitted rows, which therefore carry frequent
    categories somewhat more often than fresh rows do: of Poisson counts, ``t N_t`` of the fitted rows
    more than of as many fresh ones, where ``N_t`` categories are carried by just ``t`` rows (``t = 1``
    is Turing's estimate of the unseen). The least ``t`` is taken at which that difference is no
    larger than :data:`FITTED` standard errors of the number of fresh rows in the shared feature, so that fresh
    rows cannot be told by it. ``N_t`` is smoothed over two standard errors of a count about ``t``: a
    cut through the bulk of a column's categories is refused even where none has just ``t`` rows.

    Source: Good 1953, The population frequencies of species, doi:10.1093/biomet/40.3-4.237.

    >>> fewest_rows(np.array([50, 30, 20]))
    1
    >>> fewest_rows(np.array([400, 300] + [1] * 50))  # a cut between the two kinds
    6
    >>> fewest_rows(np.full(1000, 3))  # none is more frequent than another: all share a feature
    4
    """
    counts = np.sort(counts[counts > 0])
    most = int(counts[-1]) if len(counts) else 0
    need = 1
    while need <= most:
        reach = math.floor(2 * math.sqrt(need))
        low, high = np.searchsorted(counts, [need - reach, need + reach + 1])
        here = np.searchsorted(counts, need + 1) - np.searchsorted(counts, need)
        width = need + reach - max(need - reach, 1) + 1
        apart = need * max(float(here), (high - low) / width)
        shared = float(counts[: np.searchsorted(counts, need)].sum()) + apart
        if apart <= FITTED * math.sqrt(shared) and len(counts) - np.searchsorted(counts, need) <= LEVELS:
            return need
        need += 1
    return most + 1


# -- mixed columns and digest -----------------------------------------------------------------------


def _mixed(stack: Stack, names: Sequence[str], fitted: Rows) -> Mixed:
    measured = [name for name in names if stack.kinds[name] in ("number", "datetime")]
    coded = [name for name in names if name not in measured]
    columns = [numbers(stack.frame[name]) for name in measured]
    numeric = [ranks(values, values[fitted]) for values in columns]
    codes = [_codes(stack.frame[name]) for name in coded]
    n = len(stack.frame)
    return Mixed(
        numeric=np.stack(numeric, axis=1).astype(np.float32) if numeric else np.zeros((n, 0), np.float32),
        codes=np.stack(codes, axis=1) if codes else np.zeros((n, 0), np.int32),
        columns=(*measured, *coded),
    )


def _codes(column: pd.Series[Any]) -> NDArray[np.int32]:
    """Categories in alphabetical order; missing comes last."""
    codes, levels = pd.factorize(column, sort=True, use_na_sentinel=True)
    return np.where(codes < 0, len(levels), codes).astype(np.int32)


def _digest(stack: Stack, names: Sequence[str], fitted: Rows) -> str:
    total = hashlib.sha256(PROTOCOL.encode())
    for name in names:
        total.update(f"{name!r}:{stack.kinds[name]}:".encode())
        column = stack.frame[name].iloc[fitted]
        if stack.kinds[name] in ("number", "datetime"):
            total.update(np.sort(numbers(column)).tobytes())
        else:
            counts = column.value_counts(dropna=False).sort_index()
            total.update(repr([(str(value), int(count)) for value, count in counts.items()]).encode())
    return total.hexdigest()
