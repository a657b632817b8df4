"""The workbench: the samples of one audit and the work that metrics share.

A workbench is a *view*. ``draw`` None is the measurement itself; the engine makes other views of
the same data (re-splits of real rows, permuted columns) and calls the same metric on them. All
views share one store, so nothing is computed twice.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.kernel_sums import KernelSums
from counterproof.metrics.engine.knn_graph import Graph
from counterproof.metrics.engine.learners import LEARNERS, Forecast, fit_forecast
from counterproof.metrics.engine.nearest_neighbours import (
    Neighbours,
    gower_neighbours,
    nearest,
    remaining_neighbours,
    updated_neighbours,
)
from counterproof.metrics.engine.shared_pass import PassPlan, SharedPass
from counterproof.metrics.engine.shared_work import SharedWork, Work, WorkKey
from counterproof.metrics.sample import Corpus, Floats, Mixed, Rows, Sample

T = TypeVar("T")
Synthesiser = Callable[[Rows, int], Floats]
"""Fits the generator on rows of the corpus by a seed, and returns the features of what it makes."""
MEASURED: Work[Workbench] = Work("the view of the measurement")
SPLITS: Work[NDArray[np.bool_]] = Work("re-splits of real rows")
VARYING: Work[Mixed | None] = Work("columns that vary among real rows")
NEIGHBOURS: Work[Neighbours] = Work("nearest neighbours")
GEOMETRY: Work[SharedPass] = Work("the pass over all pairs")
REAL_GRAPH: Work[Graph] = Work("neighbour lists among real rows")
GRAPH: Work[tuple[Graph, NDArray[np.int8]]] = Work("neighbour lists of a view")
SPLIT_SUMS: Work[list[KernelSums]] = Work("kernel sums of re-splits")
FORECAST: Work[Forecast] = Work("forecast of a model")
DRAWS = 20
ANCHOR = -1
K = 5


@dataclass(frozen=True, eq=False)
class Workbench:
    """What a metric sees.

    Attributes:
        reference: Real rows that the candidate is held against.
        candidate: The rows under test: the release, or real rows on a re-split.
        real: All real rows of the audit but ``test``.
        release: All synthetic rows.
        train: Rows the generator learned from, if known.
        holdout: Rows it never saw, if any.
        learning: Real rows that baseline models are trained on.
        test: Real rows that models are tested on.
        synthetic_train: What candidate models are trained on, cut to the size of ``learning``.
        seed: Of every random step.
        draw: Number of the re-split, None for the measurement.
        level: Confidence of two-sided intervals.
        show_real: Evidence may hold contents of real records.
        small_cell: Real values and cells carried by fewer rows than this stay hidden.
        intersections: Group columns that are crossed at once: 1 looks at each alone.
        memory: Budget in bytes for one block of shared work.
        device: Where matrix products run.
        synthesiser: The generator, where it can be called.
        parent: The view that this one adds rows to or drops some of; what it found is not searched for again.
        work: What metrics share, computed at most once.
    """

    reference: Sample
    candidate: Sample
    real: Sample
    release: Sample
    learning: Sample
    test: Sample
    synthetic_train: Sample
    train: Sample | None = None
    holdout: Sample | None = None
    seed: int = 0
    draw: int | None = None
    level: float = 0.95
    show_real: bool = False
    small_cell: int = 10
    intersections: int = 1
    memory: int = 256 * 2**20
    device: str = "cpu"
    synthesiser: Synthesiser | None = field(default=None, repr=False)
    parent: Workbench | None = field(default=None, repr=False)
    work: SharedWork = field(default_factory=SharedWork, repr=False)

    # -- data -----------------------------------------------------------------------------------

    @property
    def corpus(self) -> Corpus:
        """All rows of all roles."""
        return self.reference.corpus

    @property
    def noun(self) -> str:
        """What a row is called in sentences: ``image`` or ``row``."""
        return "image" if self.corpus.modality == "image" else "row"

    @property
    def is_null(self) -> bool:
        """Whether this view holds real rows against real rows: only values are wanted."""
        return self.draw is not None

    @property
    def sizes(self) -> dict[str, int]:
        """Rows compared, for ``Value.n``."""
        return {"reference": len(self.reference), "candidate": len(self.candidate)}

    def generator(self, purpose: str) -> np.random.Generator:
        """A seeded generator of its own for one purpose of one view."""
        return np.random.default_rng(
            [self.seed, zlib.crc32(purpose.encode()), 0 if self.draw is None else self.draw + 2]
        )

    def shared(self, key: WorkKey[T], compute: Callable[[], T]) -> T:
        """The answer to a question about samples, computed at most once for all views."""
        return self.work.result(key, compute)

    # -- views ----------------------------------------------------------------------------------

    def splits(self) -> NDArray[np.bool_]:
        """``(DRAWS, 2, len(real))``: reference and candidate rows of each re-split."""
        at = self.measured
        sizes = len(at.reference), len(at.candidate)

        def plan() -> NDArray[np.bool_]:
            drawn = np.zeros((DRAWS, 2, len(self.real)), dtype=bool)
            rng = np.random.default_rng([self.seed, zlib.crc32(b"re-splits")])
            for draw in range(DRAWS):
                order = self.real.shuffled(rng)
                drawn[draw, 0, order[: sizes[0]]] = True
                drawn[draw, 1, order[sizes[0] :][: sizes[1]]] = True
            return drawn

        return self.shared(SPLITS.about(self.real, sizes=sizes), plan)

    def resplit(self, draw: int) -> Workbench:
        """Real rows against real rows at the same sizes."""
        reference, candidate = self.splits()[draw]
        return self._viewed(
            reference=self.real.take(np.flatnonzero(reference), f"reference {draw}"),
            candidate=self.real.take(np.flatnonzero(candidate), f"candidate {draw}"),
            draw=draw,
        )

    def membership(self, draw: int) -> Workbench:
        """Train and holdout dealt anew against the same release: the null of no leak."""
        assert self.train is not None
        assert self.holdout is not None
        rng = np.random.default_rng([self.seed, zlib.crc32(b"membership"), draw])
        both = self.train.join(self.holdout, "known")
        order = both.shuffled(rng)
        cut = len(self.train)
        return self._viewed(
            train=both.take(np.sort(order[:cut]), f"train {draw}"),
            holdout=both.take(np.sort(order[cut:]), f"holdout {draw}"),
            draw=draw,
        )

    def halves(self, draw: int) -> Workbench:
        """Models of one random half of the learning rows against models of the other."""
        return self._halved(self.learning, "half", b"halves", draw)

    def release_halves(self, draw: int) -> Workbench:
        """Models of one random half of the release against models of the other."""
        return self._halved(self.synthetic_train, "release half", b"release halves", draw)

    def _halved(self, sample: Sample, name: str, purpose: bytes, draw: int) -> Workbench:
        order = sample.shuffled(np.random.default_rng([self.seed, zlib.crc32(purpose), draw]))
        cut = len(order) // 2
        return self._viewed(
            learning=sample.take(np.sort(order[:cut]), f"{name} {draw}a"),
            synthetic_train=sample.take(np.sort(order[cut : 2 * cut]), f"{name} {draw}b"),
            draw=draw,
        )

    def permuted(self) -> Workbench:
        """Real rows against a copy whose columns were permuted independently: the anchor.

        Tables permute whole table columns, feature spaces their features. (Principal components
        will not do: they are uncorrelated already, so that permuting them keeps both moments.)
        """
        features = self.reference.features
        rng = np.random.default_rng([self.seed, zlib.crc32(b"anchor")])
        blocks = self.corpus.blocks
        if blocks is None:
            made = rng.permuted(features, axis=0)
        else:
            made = features.copy()
            for block in blocks:
                made[:, block] = features[rng.permutation(len(features))][:, block]
        copy = Sample("permuted reference", self.reference.rows, self.corpus, made)
        return self._viewed(candidate=copy, draw=ANCHOR)

    def _viewed(self, **changes: Any) -> Workbench:
        """Another view of the same data, which can find the measurement."""
        if self.draw is None:
            self.work.result(MEASURED.about(device=self.device), lambda: self)
        return replace(self, **changes)

    @property
    def varying(self) -> Mixed | None:
        """The table's columns that vary among real rows: others move every row equally far."""

        def keep() -> Mixed | None:
            mixed = self.corpus.mixed
            if mixed is None:
                return None
            numeric, codes = mixed.numeric[self.real.rows], mixed.codes[self.real.rows]
            vary = [len(np.unique(column)) > 1 for column in (*numeric.T, *codes.T)]
            p = numeric.shape[1]
            return Mixed(
                numeric=mixed.numeric[:, vary[:p]],
                codes=mixed.codes[:, vary[p:]],
                columns=tuple(name for name, kept in zip(mixed.columns, vary, strict=True) if kept),
            )

        return self.shared(VARYING.about(self.real), keep)

    # -- shared work ----------------------------------------------------------------------------

    def neighbours(self, query: Sample, base: Sample, k: int, *, gower: bool = False) -> Neighbours:
        """The ``k`` nearest rows of ``base`` for every row of ``query``; a row is not its own."""

        def search() -> Neighbours:
            if self.parent is not None:
                return self._grown(self.parent, query, base, k, gower=gower)
            if gower and self.varying is not None and self.varying.columns:
                return self._alone(query, base, k, gower=True)
            return self._found(query, base, k) or self._searched(query, base, k)

        return self.shared(NEIGHBOURS.about(query, base, k=k, gower=gower), search)

    def _grown(self, parent: Workbench, query: Sample, base: Sample, k: int, *, gower: bool) -> Neighbours:
        """Neighbours of samples that gained or lost rows, from what the parent found of them as they were."""
        alone = partial(self._alone, gower=gower)
        before = [sample.within(parent.corpus) for sample in (query, base)]
        found = parent.work.find(NEIGHBOURS.about(*before, k=k, gower=gower))
        if found is None and len(self.release) < len(parent.release) and base.content == self.release.content:
            found = parent.work.find(NEIGHBOURS.about(before[0], parent.release, k=k, gower=gower))
            if found is not None and found.distance.shape[1] == k <= len(base):
                return remaining_neighbours(found, query, base, parent.release, alone)
            found = None
        if found is None or found.distance.shape[1] != k:
            return alone(query, base, k)
        return updated_neighbours(found, query, base, (len(before[0]), len(before[1])), alone)

    def _alone(self, query: Sample, base: Sample, k: int, *, gower: bool) -> Neighbours:
        """A search of its own, that reads nothing of the survey."""
        mixed = self.varying if gower else None
        if mixed is None or not mixed.columns:
            return self._searched(query, base, k)
        own = np.arange(len(base)) if query.content == base.content else None
        return gower_neighbours(mixed, query.rows, base.rows, k, own=own, memory=self.memory, device=self.device)

    def _found(self, query: Sample, base: Sample, k: int) -> Neighbours | None:
        """Neighbours that the survey tells; rows it leaves open are searched for."""
        told = self._geometry(K).neighbours(query, base, k)
        if told is None:
            return None
        found, missing = told
        if len(missing):
            some = self._searched(query, base, k, missing)
            found.distance[missing], found.index[missing] = some.distance, some.index
        return found

    def _searched(self, query: Sample, base: Sample, k: int, some: Rows | None = None) -> Neighbours:
        same = query.content == base.content
        some = np.arange(len(query)) if some is None else some
        features = base.features if same and len(some) == len(base) else query.features[some]
        return nearest(features, base.features, k, own=some if same else None, memory=self.memory, device=self.device)

    @property
    def pools_real(self) -> bool:
        """Whether one pass over all real rows costs less than one for each re-split."""
        return len(self.real) ** 2 <= DRAWS * (len(self.reference) + len(self.candidate)) ** 2

    @property
    def _pooled(self) -> bool:
        """Whether this view is a re-split that reads what all real rows share."""
        return self.draw is not None and self.draw >= 0 and self.measured.pools_real

    @property
    def measured(self) -> Workbench:
        """The view of the measurement on this device: what had to leave a full GPU plans its re-splits elsewhere."""
        return self if self.draw is None else self.work.find(MEASURED.about(device=self.device)) or self

    def _geometry(self, k: int) -> SharedPass:
        """What one pass over the rows of this view tells; a re-split may read that of the measurement."""
        measured = self.measured
        sides = [(view.reference.content, view.candidate.content) for view in (self, measured)]
        at = measured if sides[0] == sides[1] or self._pooled else self
        return self.shared(GEOMETRY.about(at.reference, at.candidate, k=k), lambda: SharedPass.of(at._plan(k)))

    @property
    def remark(self) -> str:
        """What a reader should know of how the kernels and neighbours of this view were found."""
        return self._geometry(K).result.remark

    def _plan(self, k: int) -> PassPlan:
        """What the metrics of this view will ask; of any but the usual ``k``, only lists."""
        sides = {"reference": self.reference, "candidate": self.candidate}
        how: dict[str, Any] = {**sides, "memory": self.memory, "device": self.device}
        if self.draw == ANCHOR:
            return PassPlan(**how, within=False)
        if self.draw is not None:
            return PassPlan(**how, depth=k)
        leaks = self.varying is None or self.holdout is not None  # tables are searched for copies with a holdout only
        if not self.pools_real:
            return PassPlan(**how, depth=4 * k + 8, release=None)
        fewer = min(len(self.reference), len(self.candidate), len(self.real) - len(self.reference))
        return PassPlan(
            **how,
            depth=4 * k + 8,
            real=self.real,
            real_depth=_depth(k, min(0.5, max(1, fewer) / len(self.real))),
            release=self.release if leaks else None,
            splits=self.splits(),
        )

    def graph(self, k: int = K) -> tuple[Graph, NDArray[np.int8]]:
        """Neighbour lists among all rows of this view, and each row's side (1 reference, 2 candidate).

        The lists of the measurement reach far enough that a half of the rows finds its ``k``
        neighbours in all but one in 10,000. Where it is the cheaper way, every re-split reads the
        same lists of the real rows, which reach far enough for that: no new pass.
        """
        if self._pooled:
            graph = self.shared(REAL_GRAPH.about(self.real, k=k), lambda: self._geometry(k).among_real())
            reference, candidate = self.splits()[self.draw]
            return graph, (reference + 2 * candidate).astype(np.int8)
        return self.shared(GRAPH.about(self.reference, self.candidate, k=k), lambda: self._geometry(k).pair())

    def kernel(self) -> KernelSums:
        """Mean kernels of the rows of this view; one pass over the real rows serves all re-splits."""
        if self._pooled:
            assert self.draw is not None
            return self.shared(SPLIT_SUMS.about(self.real), lambda: self._geometry(K).split_sums())[self.draw]
        sums = self._geometry(K).sums()
        if self.draw == ANCHOR:
            return replace(sums, reference_within=self.measured.kernel().reference_within)
        return sums

    def forecast(self, learner: str, trained_on: Sample, *, trial: Sample | None = None) -> Forecast:
        """What a learner trained on a sample says of the trial rows: those of ``test`` unless told."""
        rows = self.test if trial is None else trial
        return self.shared(
            FORECAST.about(trained_on, rows, learner=learner),
            lambda: fit_forecast(LEARNERS[learner], trained_on, rows, seed=self.seed),
        )


def _depth(k: int, share: float) -> int:
    """Neighbours among which a random ``share`` holds ``k``, but for about 1 in 10⁹ (48 for 5 and a half)."""
    return math.ceil((k + 19) / share)


__all__ = ["DRAWS", "Floats", "Synthesiser", "Workbench"]
