"""Any :class:`torchmetrics.Metric` of two sets as a counterproof metric, with interval and floor.

Metrics of two sets are those with ``update(rows, real=True)``: FID, KID, MiFID and their like.
Metrics of predictions, ``update(preds, target)``, stand in :mod:`counterproof.metrics.integrations.from_predictions`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t as student

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Better, Estimate
from counterproof.metrics.metric import Family, Metric, Needs, Tolerance, Value
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.workbench import Workbench

if TYPE_CHECKING:
    import torch
    import torchmetrics
    from torch import nn


HALVES = 30
AGAIN = 4  # computations more on the same rows: the luck of metrics that draw subsets
Factory = Callable[["nn.Module"], "torchmetrics.Metric"]
Reading = Callable[[Any], float]
NETWORK_FEATURES: Work[Floats] = Work("features by a torchmetric's own network")


def number(result: Any) -> float:
    """The number in what ``compute()`` gives: itself, or the first of a tuple (mean, deviation).

    Raises:
        MetricError: It is a mapping.
    """
    if isinstance(result, Mapping):
        raise MetricError(f"compute() gives {', '.join(map(str, result))}: say which number to take by read=")
    return float(result[0] if isinstance(result, (tuple, list)) else result)


def from_torchmetrics(
    factory: Factory,
    *,
    id: str,
    family: Family,
    better: Better,
    images: bool = False,
    title: str = "",
    unit: str = "",
    read: Reading = number,
    algo: int = 1,
    draws: int = 20,
    anchored: bool = False,
    needs: Needs | None = None,
    tolerances: Iterable[Tolerance] = (),
) -> Metric:
    """A torchmetrics metric of two sets as a counterproof metric.

    The value is what the metric computes of all rows. Its interval is Student's t with the spread over
    random halves of both sides (drawn without replacement; rows of one source stay together) and
    that of computing it again, for metrics that draw subsets. It held the value in 94 % and more of
    200 draws for FID and KID (tests/simulations/simulate_torchmetrics_intervals.py). It speaks of the value at this
    many rows: a bias that the metric has at few rows stays in value and
    floor alike, and out of their difference. The engine makes the floor by re-splits, as for any
    metric. Random steps of the metric are seeded. A metric that raises becomes an ``error``
    measurement, which fails closed and stops no other.

    Args:
        factory: Makes a fresh metric. It is given a module for the metric's ``feature=`` that hands
            encoded rows through: ``lambda feature: FrechetInceptionDistance(feature=feature)``.
        id: ``vendor.name``; see :func:`counterproof.metrics.metric.metric` for what follows.
        family: Which of the five questions it answers.
        better: Which direction is good.
        images: Let the metric's own network (the attribute that its ``feature_network`` names)
            encode the images, as ``(1, 3, h, w)`` of uint8, once each; the default hands it the rows
            that the audit's encoder made.
        title: The name in prose.
        unit: What the numbers are in.
        read: Takes the number out of what ``compute()`` gives.
        algo: Version, raised when numbers change.
        draws: How many re-splits make the floor; each costs one computation.
        anchored: Judge the excess on the scale of column-permuted data, for unbounded metrics.
        needs: What it cannot do without.
        tolerances: Its gates in the default policy.

    Returns:
        The metric; register it under the entry-point group ``counterproof.metrics``, or give it to
        ``counterproof.audit(metrics=[...])``.

    Raises:
        MetricError: ``anchored`` and ``images`` are both set: the images' columns are not the audit's.
    """
    if anchored and images:
        raise MetricError(f"{id}: anchored permutes the audit's features, which images=True does not use; choose one")
    wrapped = Wrapped(id=id, factory=factory, read=read, images=images)
    title = title or id.rpartition(".")[2].replace("_", " ")

    def compared(bench: Workbench, *, halves: int = HALVES) -> Iterator[Value]:
        yield wrapped.measured(bench, halves)

    compared.__doc__ = f"{title[:1].upper()}{title[1:]}, by torchmetrics, of the encoded rows of both sides."
    modalities = Needs(modalities=frozenset({"image"}), smallest_n=500) if images else Needs(smallest_n=500)
    return Metric(
        id=id,
        family=family,
        title=title,
        function=compared,
        algo=algo,
        better=better,
        unit=unit,
        needs=needs or modalities,
        draws=draws,
        anchored=anchored,
        tolerances=tuple(tolerances),
    )


@dataclass(frozen=True, kw_only=True)
class Wrapped:
    """A metric of another library, and how it is called; see :func:`from_torchmetrics`."""

    id: str
    factory: Factory
    read: Reading
    images: bool

    def measured(self, bench: Workbench, halves: int) -> Value:
        """The value of one view, with its interval where it is the measurement."""
        if halves < 2:
            raise MetricError(f"{self.id}: halves = {halves}: give 2 or more")
        if min(len(bench.reference), len(bench.candidate)) < 4:
            reason = f"{self.id} is halved for its interval, which needs 4 rows on each side"
            return Value(status="not_assessable", reason=reason, n=bench.sizes)
        if not bench.is_null and min(bench.reference.sources, bench.candidate.sources) < 4:
            reason = "the rows of one side come from fewer than 4 sources: how far others would differ cannot be told"
            return Value(status="not_assessable", reason=reason, n=bench.sizes)
        rng = bench.generator(self.id)
        reference, candidate = self._rows(bench, bench.reference), self._rows(bench, bench.candidate)
        value = self._computed(reference, candidate, rng)
        if bench.is_null:
            return Value(estimate=Estimate.point(value, level=bench.level), n=bench.sizes)
        spread = self._spread(bench, reference, candidate, halves, rng)
        luck = np.std([value, *(self._computed(reference, candidate, rng) for _ in range(AGAIN))], ddof=1)
        reach = float(student.ppf(0.5 + bench.level / 2, halves - 1) * np.hypot(spread, luck))
        method = f"spread of {halves} half-samples, Student's t"
        estimate = Estimate(value=value, low=value - reach, high=value + reach, level=bench.level, method=method)
        return Value(estimate=estimate, n=bench.sizes)

    def _spread(
        self, bench: Workbench, reference: Floats, candidate: Floats, halves: int, rng: np.random.Generator
    ) -> float:
        drawn = []
        for _ in range(halves):
            left, right = (np.sort(side.half(rng)) for side in (bench.reference, bench.candidate))
            try:
                drawn.append(self._computed(reference[left], candidate[right], rng))
            except Exception as error:
                raise MetricError(
                    f"{self.id} computes on all rows but not on halves of them ({type(error).__name__}); set it up so "
                    f"that {len(left)} and {len(right)} rows do, for instance with a smaller subset_size"
                ) from error
        return float(np.std(drawn, ddof=1))

    def _rows(self, bench: Workbench, sample: Sample) -> Floats:
        if not self.images:
            return sample.features
        known = np.unique(np.concatenate([bench.real.rows, bench.release.rows]))
        features = bench.shared(
            NETWORK_FEATURES.about(bench.real, bench.release, metric=self.id), lambda: self._encoded(bench, known)
        )
        return features[np.searchsorted(known, sample.rows)]

    def _encoded(self, bench: Workbench, rows: Rows) -> Floats:
        """What the metric's own network makes of images."""
        import torch

        pixels = bench.corpus.pixels
        network = getattr(self._fresh(1), getattr(self._fresh(1), "feature_network", ""), None)
        if pixels is None or network is None:
            what = "images" if pixels is None else "feature_network, the name of its network,"
            raise MetricError(f"{self.id}: with images=True the {'audit' if pixels is None else 'metric'} needs {what}")
        with torch.no_grad():
            made = [network.eval()(_picture(pixels(int(row)))).reshape(-1) for row in rows]
        return np.asarray(torch.stack(made).double().cpu().numpy())

    def _fresh(self, width: int) -> torchmetrics.Metric:
        from torch import nn

        through: Any = nn.Identity()
        through.num_features = width  # torchmetrics asks for it, or tries the module on an image
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that features stay in memory: they are there already
            return self.factory(through)

    def _computed(self, reference: Floats, candidate: Floats, rng: np.random.Generator) -> float:
        import torch

        with seeded_torch(int(rng.integers(2**62))):
            metric = self._fresh(reference.shape[1])
            if self.images:
                setattr(metric, str(metric.feature_network), torch.nn.Identity())
            for rows, real in ((reference, True), (candidate, False)):
                metric.update(torch.from_numpy(rows), real=real)
            return self.read(metric.compute())


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Random numbers of torch on the CPU from a seed, for code that takes them from the global state.

    ``torch.manual_seed`` would seed the generators of every GPU too, which ``fork_rng(devices=[])`` does not
    put back: the user's own would start anew.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _picture(pixels: Any) -> torch.Tensor:
    """``(1, 3, h, w)`` of uint8."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(pixels), 2, 0)[None]))
