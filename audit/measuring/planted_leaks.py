"""Planting: leaks put into a copy of the release, to see whether a metric finds them.

A plant is a new row that begins as a row of the corpus and takes some of its cells from other rows.
No row is encoded anew, so every plant is a row as the encoder would have made it, of a table as of
features.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import SharedWork
from counterproof.metrics.metric import Plant
from counterproof.metrics.sample import Corpus, Floats, Mixed, Rows, Sample
from counterproof.metrics.workbench import Workbench

NEAR = 0.03  # standard deviations by which each number of a near copy moves
SPREAD_ROWS = 2000
CROWD = 5
REACHED = 6  # neighbours that searches for copies ask for: what they found is found again
Columns = NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class PlantedRows:
    """New rows.

    Attributes:
        like: ``(k,)`` rows of the corpus that the plants begin as.
        cells: ``(k,)`` rows that give the cell of a column, by position of the column.
        moved: What is added to the features, where these are no table.
        same: The plants are the very records they begin as.
    """

    like: Rows
    cells: Mapping[int, Rows] = field(default_factory=dict)
    moved: Floats | None = None
    same: bool = False


def planted(bench: Workbench, kind: Plant, k: int, *, noise: float | None = None) -> Workbench | None:
    """A view whose release has ``k`` rows more, each of them a leak (or fewer); None where they cannot be had.

    ``copies`` are training records, ``near_copies`` the same with every number moved by about 0.03
    standard deviations, ``rare_values`` release rows with one value that a single training row has
    and no other row. ``filtered`` plants nothing: it drops the ``k`` release rows nearest to training
    rows, as a filter by distance does. Sources are records that stand once in the real data and not in the release,
    each of another cluster.

    Without ``noise`` near copies are of rows that stand apart; with it, of rows drawn at random, among them
    rows in a crowd, whose near copies are as near to their neighbours.

    Args:
        bench: The measurement.
        kind: What is planted.
        k: How many.
        noise: Of near copies, in standard deviations of each number.

    >>> from counterproof.metrics.metric import PLANTS
    >>> sorted([*_MAKERS, "filtered"]) == sorted(PLANTS)
    True
    """
    if kind == "filtered":
        return _filtered(bench, k)
    rng = np.random.default_rng([bench.seed, zlib.crc32(f"planted {kind}".encode()), k])
    if kind == "near_copies" and noise is not None:
        plants = _near(bench, k, sources(bench, k, rng), noise, rng)
    else:
        plants = _MAKERS[kind](bench, k, rng)
    return None if plants is None else _with(bench, plants)


# -- what is planted --------------------------------------------------------------------------------


def _copies(bench: Workbench, k: int, rng: np.random.Generator) -> PlantedRows | None:
    like = sources(bench, k, rng)
    return None if like is None else PlantedRows(like=like, same=True)


def _near_copies(bench: Workbench, k: int, rng: np.random.Generator) -> PlantedRows | None:
    return _near(bench, k, sources(bench, k, rng, among=isolated(bench, k)), NEAR, rng)


def _near(bench: Workbench, k: int, like: Rows | None, noise: float, rng: np.random.Generator) -> PlantedRows | None:
    if like is None:
        return None
    mixed = bench.varying
    if mixed is None or bench.corpus.blocks is None:
        some = bench.real.rows[:: max(1, len(bench.real) // SPREAD_ROWS)]
        spread = bench.corpus.features[some].std(0)
        return PlantedRows(like=like, moved=noise * spread * rng.normal(size=(k, len(spread))))
    columns = range(mixed.numeric.shape[1])
    cells = {at: nearby(mixed.numeric[:, at], like, bench.real.rows, rng, noise=noise) for at in columns}
    return PlantedRows(like=like, cells=_one_changed(mixed, like, bench.real.rows, cells, rng))


def _rare_values(bench: Workbench, k: int, rng: np.random.Generator) -> PlantedRows | None:
    mixed = _columns_of(bench)
    if mixed is None or bench.train is None or len(bench.release) < k:
        return None
    held = [lone_rows(bench, column, bench.train) for column in (*mixed.numeric.T, *mixed.codes.T)]
    at = int(np.argmax([len(rows) for rows in held]))
    donors = held[at] if bench.corpus.clusters is None else _one_a_source(bench, held[at])
    if len(donors) < k:
        return None
    like = bench.release.rows[np.sort(rng.permutation(len(bench.release))[:k])]
    return PlantedRows(like=like, cells={at: donors[rng.permutation(len(donors))[:k]]})


_MAKERS: Mapping[Plant, Callable[[Workbench, int, np.random.Generator], PlantedRows | None]] = {
    "copies": _copies,
    "near_copies": _near_copies,
    "rare_values": _rare_values,
}


def isolated(bench: Workbench, k: int) -> Rows:
    """The tenth of training rows (or what holds ``k`` twice over) that stand farthest from other real rows.

    A near copy of a row in a crowd is as near to its neighbours: nobody could tell whose copy it is.
    """
    assert bench.train is not None
    around = bench.neighbours(bench.real, bench.real, min(CROWD, len(bench.real) - 1), gower=True)
    inside = np.flatnonzero(np.isin(bench.real.rows, bench.train.rows))
    order = np.argsort(-around.distance[inside].mean(1), kind="stable")
    return bench.real.rows[inside[order[: max(2 * k, len(inside) // 10)]]]


def sources(bench: Workbench, k: int, rng: np.random.Generator, among: Rows | None = None) -> Rows | None:
    """Training rows to copy: without twins among real rows, not in the release, of different clusters."""
    train = bench.train
    if train is None:
        return None
    digests, counts = np.unique(bench.real.digests, return_counts=True)
    free = np.isin(train.digests, digests[counts == 1]) & ~np.isin(train.digests, bench.release.digests)
    if among is not None:
        free &= np.isin(train.rows, among)
    rows = _one_a_source(bench, train.rows[free])
    return None if len(rows) < k else rows[np.sort(rng.permutation(len(rows))[:k])]


def _one_a_source(bench: Workbench, rows: Rows) -> Rows:
    if bench.corpus.clusters is None:
        return rows
    return rows[np.sort(np.unique(bench.corpus.clusters[rows], return_index=True)[1])]


def nearby(column: Columns, like: Rows, real: Rows, rng: np.random.Generator, *, noise: float = NEAR) -> Rows:
    """For each row, a real row whose number lies about ``noise`` standard deviations off; missing stays missing."""
    known = real[np.isfinite(column[real])]
    chosen = like.copy()
    there = np.isfinite(column[like])
    if not len(known):
        return chosen
    order = known[np.argsort(column[known], kind="stable")]
    aim = column[like[there]] + noise * column[known].std() * rng.normal(size=int(there.sum()))
    above = np.clip(np.searchsorted(column[order], aim), 1, max(1, len(order) - 1)) % len(order)
    below = np.maximum(above - 1, 0)
    nearer = np.abs(column[order[below]] - aim) <= np.abs(column[order[above]] - aim)
    chosen[there] = order[np.where(nearer, below, above)]
    return chosen


def _one_changed(
    mixed: Mixed, like: Rows, real: Rows, cells: Mapping[int, Rows], rng: np.random.Generator
) -> dict[int, Rows]:
    """Rows whose numbers stay what they are get another value in one column, so that no plant is a copy."""
    width = mixed.numeric.shape[1]
    made = {at: rows.copy() for at, rows in cells.items()}
    for place in np.flatnonzero(_still(mixed, like, cells)):
        at = int(rng.integers(len(mixed.columns)))
        column = mixed.numeric[:, at] if at < width else mixed.codes[:, at - width]
        others = real[~_equal(column[real], column[like[place]])]
        made.setdefault(at, like.copy())[place] = others[rng.integers(len(others))] if len(others) else like[place]
    return made


def _still(mixed: Mixed, like: Rows, cells: Mapping[int, Rows]) -> NDArray[np.bool_]:
    still = np.ones(len(like), dtype=bool)
    for at, rows in cells.items():
        still &= _equal(mixed.numeric[rows, at], mixed.numeric[like, at])
    return still


def _equal(one: Columns, other: Columns) -> NDArray[np.bool_]:
    return np.asarray((one == other) | ((one != one) & (other != other)))


def lone_rows(bench: Workbench, column: Columns, train: Sample) -> Rows:
    """Training rows whose value no other real row has, nor the release."""
    known = np.flatnonzero(column[train.rows] == column[train.rows])
    values, counts = np.unique(column[bench.real.rows], return_counts=True)
    there = np.isin(column[train.rows[known]], values[counts == 1])
    there &= ~np.isin(column[train.rows[known]], column[bench.release.rows])
    return train.rows[known[there]]


def _columns_of(bench: Workbench) -> Mixed | None:
    """The columns of a table, or of features; pictures have none."""
    corpus = bench.corpus
    if corpus.modality == "image":
        return None
    if bench.varying is not None and corpus.blocks is not None:
        return bench.varying
    none = np.zeros((len(corpus.names), 0), dtype=np.int32)
    return Mixed(numeric=np.asarray(corpus.features), codes=none, columns=())


# -- a filtered release -----------------------------------------------------------------------------


def _filtered(bench: Workbench, k: int) -> Workbench | None:
    """A view without the ``k`` release rows that come nearest to a training row."""
    if bench.train is None or len(bench.release) < 2 * k:
        return None
    near = bench.neighbours(bench.real, bench.release, min(REACHED, len(bench.release)))
    inside = np.flatnonzero(np.isin(bench.real.rows, bench.train.rows))
    order = inside[np.argsort(near.distance[inside, 0], kind="stable")]
    nearest = near.index[order, 0]
    places = nearest[np.sort(np.unique(nearest, return_index=True)[1])][:k]
    kept = np.ones(len(bench.release), dtype=bool)
    kept[places] = False
    release = bench.release.take(np.flatnonzero(kept), bench.release.name)
    candidate = bench.candidate.take(np.flatnonzero(np.isin(bench.candidate.rows, release.rows)), bench.candidate.name)
    return replace(bench, release=release, candidate=candidate, show_real=False, parent=bench, work=SharedWork())


# -- the copy of the release ------------------------------------------------------------------------


def _with(bench: Workbench, plants: PlantedRows) -> Workbench:
    corpus = grown_corpus(bench, plants)
    new = np.arange(len(bench.corpus.names), len(corpus.names))

    def stand(sample: Sample, *, grows: bool = False) -> Sample:
        return Sample(sample.name, np.concatenate([sample.rows, new]) if grows else sample.rows, corpus)

    rest = ("reference", "real", "learning", "test", "synthetic_train", "train", "holdout")
    moved: dict[str, Any] = {name: stand(sample) for name in rest if (sample := getattr(bench, name)) is not None}
    return replace(
        bench,
        **moved,
        release=stand(bench.release, grows=True),
        candidate=stand(bench.candidate, grows=True),
        show_real=False,
        parent=bench,
        work=SharedWork(),
    )


def grown_corpus(bench: Workbench, plants: PlantedRows) -> Corpus:
    """The corpus with the plants at its end."""
    corpus, like = bench.corpus, plants.like
    features, old = corpus.features[like].copy(), len(corpus.names)
    if plants.moved is not None:
        features = (features + plants.moved).astype(features.dtype)
    for at, rows in plants.cells.items():
        block = _block(bench, at)
        features[:, block] = corpus.features[np.ix_(rows, block)]
    marks = [hashlib.blake2b(f"plant {old + i}".encode(), digest_size=16).digest() for i in range(len(like))]
    digests = corpus.digests[like] if plants.same else np.array(marks, dtype=corpus.digests.dtype)
    rest: dict[str, Any] = {
        name: None if (held := getattr(corpus, name)) is None else _more(held, like) for name in _PARALLEL
    }
    return replace(
        corpus,
        **rest,
        features=np.concatenate([corpus.features, features]),
        digests=np.concatenate([corpus.digests, digests]),
        frame=_frame(bench, plants),
        mixed=_mixed(bench, plants),
        groups={name: _more(values, like) for name, values in corpus.groups.items()},
        thumbnail=_looked_up(corpus.thumbnail, old, like),
        pixels=_pixels(corpus, plants),
        recoded=None,
        as_stored=None,
    )


_PARALLEL = ("names", "labels", "clusters", "formats")


def _more(held: Columns, like: Rows) -> Columns:
    return np.concatenate([held, held[like]])


def _block(bench: Workbench, at: int) -> Rows:
    """The features of a column."""
    blocks, varying = bench.corpus.blocks, bench.varying
    if blocks is None or varying is None:
        return np.array([at])
    name = varying.columns[at]
    return blocks[bench.corpus.block_names.index(name)] if name in bench.corpus.block_names else np.zeros(0, np.intp)


def _frame(bench: Workbench, plants: PlantedRows) -> Any:
    frame = bench.corpus.frame
    if frame is None:
        return None
    import pandas as pd

    new = frame.iloc[plants.like].copy()
    for at, rows in plants.cells.items():
        if bench.varying is not None:
            name = bench.varying.columns[at]
            new[name] = frame[name].iloc[rows].array
    return pd.concat([frame, new], ignore_index=True)


def _mixed(bench: Workbench, plants: PlantedRows) -> Mixed | None:
    mixed, varying = bench.corpus.mixed, bench.varying
    if mixed is None or varying is None:
        return mixed
    numeric, codes = _more(mixed.numeric, plants.like), _more(mixed.codes, plants.like)
    old, width = len(mixed.numeric), mixed.numeric.shape[1]
    for at, rows in plants.cells.items():
        place = mixed.columns.index(varying.columns[at])
        side, column = (numeric, place) if place < width else (codes, place - width)
        side[old:, column] = side[rows, column]
    return Mixed(numeric=numeric, codes=codes, columns=mixed.columns)


def _looked_up(read: Callable[[int], Any] | None, old: int, like: Rows) -> Callable[[int], Any] | None:
    if read is None:
        return None
    return lambda at: read(at if at < old else int(like[at - old]))


def _pixels(corpus: Corpus, plants: PlantedRows) -> Callable[[int], Any] | None:
    """Pictures; near copies are shifted by a pixel."""
    read, old = corpus.pixels, len(corpus.names)
    plain = _looked_up(read, old, plants.like)
    if plain is None or plants.same:
        return plain
    return lambda at: plain(at) if at < old else np.roll(plain(at), 1, axis=1)
