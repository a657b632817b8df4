"""Rows: everything known about all rows of an audit, and the samples that point into it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


Modality = Literal["table", "image", "features"]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]
Floats = NDArray[np.float64]

MISSING_TEXT = "(missing)"  # how readers see a missing value
MANY = 50  # values of a category from which on it is looked at as text too
RARE_TEXT = "(rare values)"  # and values that too few real rows carry to be shown


@dataclass(frozen=True, eq=False, kw_only=True)
class Mixed:
    """A table as numbers and codes, for Gower distance and trees.

    Attributes:
        numeric: ``(n, p)``, scaled to [0, 1] by the range or rank of real data; NaN is missing.
        codes: ``(n, q)`` integers per category, one for each value of any role, rare or not, so that nothing
            fitted stands between two rows: equal codes are equal values. Missing has a code of its own.
        columns: Names of the ``p + q`` columns.
    """

    numeric: NDArray[np.float32]
    codes: NDArray[np.int32]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A column in which the release does not have the schema of the real data.

    Attributes:
        column: Its name.
        sentence: What does not match.
        like: A column of the release that may be the one.
        fails: Whether the release lacks what real data have; columns that nobody asked for only warn.
        left_out: Whether the rest of the audit was computed without it.
    """

    column: str
    sentence: str
    like: str = ""
    fails: bool = True
    left_out: bool = True


@dataclass(frozen=True, eq=False, kw_only=True)
class Head:
    """The linear classifier on top of an encoder's features.

    Attributes:
        weight: ``(classes, d)``.
        bias: ``(classes,)``.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Corpus:
    """All rows of all roles, stacked.

    Attributes:
        features: ``(n, d)`` encoded rows.
        protocol: The encoder and its conventions, in one line.
        modality: What the rows were.
        digests: ``(n,)`` fixed-length bytes: equal exactly where two rows are the same record.
        names: ``(n,)`` what a reader finds a row by (row number, file name).
        blocks: Feature columns that encode one table column each; None when features are a space.
        block_names: The table column of each block.
        frame: The rows as a table, if they are one.
        kinds: Kind of each column of the frame.
        mixed: The rows for Gower distance and trees, if they are a table.
        schema: Columns that the release lacks, has in another type, or has in addition.
        label: Name of the label column.
        labels: ``(n,)`` labels as strings; missing is the empty string.
        no_labels: Why there are none although a label was asked for.
        groups: ``(n,)`` group values as strings by group column.
        clusters: ``(n,)`` source record of each row; rows of one source are not independent.
        cluster: Name of the column that names them.
        thumbnail: PNG bytes of a row, for images.
        pixels: A row as ``(h, w, 3)``, for metrics that encode images themselves.
        head: The encoder's own classifier, where it has one: features to logits.
        formats: ``(n,)`` how each image is stored (``PNG``, ``JPEG q75``, ``array``), for images.
        recoded: Features of some rows after all of them were stored alike (as JPEG), for images whose
            formats differ.
        as_stored: Features of the same rows as they are stored, where ``recoded`` is given.
    """

    features: NDArray[np.floating[Any]]
    protocol: str
    modality: Modality
    digests: NDArray[np.bytes_]
    names: NDArray[np.str_]
    blocks: tuple[NDArray[np.intp], ...] | None = None
    block_names: tuple[str, ...] = ()
    frame: pd.DataFrame | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    mixed: Mixed | None = None
    schema: tuple[Mismatch, ...] = ()
    label: str = ""
    labels: NDArray[np.str_] | None = None
    no_labels: str = ""
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    clusters: NDArray[np.intp] | None = None
    cluster: str = ""
    thumbnail: Callable[[int], bytes] | None = None
    pixels: Callable[[int], NDArray[np.uint8]] | None = None
    head: Head | None = None
    formats: NDArray[np.str_] | None = None
    recoded: Callable[[Rows], Floats] | None = None
    as_stored: Callable[[Rows], Floats] | None = None

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Columns of texts: free text, identifiers, and categories of so many values that none tells much."""
        if self.frame is None:
            return ()
        many = {name for name, kind in self.kinds.items() if kind == "category" and self.frame[name].nunique() > MANY}
        return tuple(name for name, kind in self.kinds.items() if kind in ("text", "identifier") or name in many)

    @cached_property
    def content(self) -> bytes:
        """A digest of which records these are, in which order, under which encoder."""
        held = hashlib.blake2b(f"{self.protocol}\0{self.features.shape}\0".encode(), digest_size=16)
        held.update(self.digests.tobytes())
        return held.digest()


@dataclass(frozen=True, eq=False)
class Sample:
    """Some rows of the corpus in one role.

    Attributes:
        name: What readers call it.
        rows: Positions in the corpus.
        corpus: Where the rows stand.
        replaced: Features to use instead of the corpus's (permuted copies).
    """

    name: str
    rows: Rows
    corpus: Corpus = field(repr=False)
    replaced: Floats | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def content(self) -> bytes:
        """A digest of which rows these are, in which order, with which features: shared work is filed under it."""
        held = hashlib.blake2b(self.corpus.content, digest_size=16)
        held.update(self.rows.astype(np.int64).tobytes())
        if self.replaced is not None:
            held.update(self.replaced.tobytes())
        return held.digest()

    @cached_property
    def features(self) -> Floats:
        """``(n, d)`` encoded rows in float64."""
        if self.replaced is not None:
            return self.replaced
        return np.ascontiguousarray(self.corpus.features[self.rows], dtype=np.float64)

    @property
    def source(self) -> NDArray[np.floating[Any]]:
        """The array that holds the rows' features, as they are stored."""
        return self.corpus.features if self.replaced is None else self.replaced

    @property
    def places(self) -> Rows:
        """Where in ``source`` the rows stand."""
        return self.rows if self.replaced is None else np.arange(len(self.rows))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as a table.

        Raises:
            ValueError: The data are not a table.
        """
        if self.corpus.frame is None:
            raise ValueError(f"{self.name} has no table")
        return self.corpus.frame.take(self.rows)

    @property
    def labels(self) -> NDArray[np.str_]:
        """Labels as strings.

        Raises:
            ValueError: No label column was given.
        """
        if self.corpus.labels is None:
            raise ValueError(f"{self.name} has no labels")
        return self.corpus.labels[self.rows]

    def group(self, column: str) -> NDArray[np.str_]:
        """Group values of one group column."""
        return self.corpus.groups[column][self.rows]

    @property
    def digests(self) -> NDArray[np.bytes_]:
        """Digests of the rows."""
        return self.corpus.digests[self.rows]

    @property
    def names(self) -> NDArray[np.str_]:
        """What a reader finds the rows by."""
        return self.corpus.names[self.rows]

    @property
    def sources(self) -> int:
        """How many sources the rows have: without clusters, each row is its own."""
        clusters = self.corpus.clusters
        return len(self) if clusters is None else len(np.unique(clusters[self.rows]))

    def shuffled(self, rng: np.random.Generator) -> Rows:
        """The positions in a random order that keeps rows of one source together."""
        if self.corpus.clusters is None:
            return rng.permutation(len(self))
        return np.argsort(rng.permutation(self.sources)[self.units], kind="stable")

    @property
    def units(self) -> Rows:
        """``(n,)`` number of the source of each row: without clusters, each row is its own."""
        clusters = self.corpus.clusters
        return np.arange(len(self)) if clusters is None else np.unique(clusters[self.rows], return_inverse=True)[1]

    def half(self, rng: np.random.Generator) -> Rows:
        """Positions of a random half of the rows; with clusters, of all rows of half the sources."""
        if self.corpus.clusters is None:
            return rng.permutation(len(self))[: len(self) // 2]
        kept = np.zeros(self.sources, dtype=bool)
        kept[rng.permutation(len(kept))[: max(1, len(kept) // 2)]] = True
        return np.flatnonzero(kept[self.units])

    @property
    def smallest_half(self) -> int:
        """How many rows a half holds at least: with clusters, half the sources may have few rows."""
        if self.corpus.clusters is None:
            return len(self) // 2
        sizes = np.sort(np.bincount(self.units))
        return int(sizes[: max(1, len(sizes) // 2)].sum())

    def take(self, positions: Rows, name: str) -> Sample:
        """Some of the rows, under another name."""
        return Sample(name, self.rows[positions], self.corpus)

    def within(self, corpus: Corpus) -> Sample:
        """The rows that stand in an earlier corpus, to which rows were added at the end."""
        return Sample(self.name, self.rows[self.rows < len(corpus.names)], corpus)

    def join(self, other: Sample, name: str) -> Sample:
        """The rows of both."""
        return Sample(name, np.concatenate([self.rows, other.rows]), self.corpus)
