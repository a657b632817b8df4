"""The suite as :class:`torchmetrics.Metric` s, to log while a generator trains.

They follow torchmetrics' image metrics: ``update(rows, real=True)`` batch by batch, ``compute()``
for the value, ``reset()``; states reduce over processes, and ``estimate()`` adds the interval.
Their values are those of the audit's metrics on the same rows, without floors: a value to watch,
not a verdict. This module imports torch and torchmetrics when it is imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from counterproof.metrics.coverage.coverage import coverage
from counterproof.metrics.coverage.recall import recall
from counterproof.metrics.engine.mmd import kernel_distance_between
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.fidelity.density import density
from counterproof.metrics.fidelity.precision import precision
from counterproof.metrics.frechet.moments import frechet_of_moments
from counterproof.metrics.integrations.streaming import Comparison, empty_sums, joined, moments_of_sums, with_rows
from counterproof.metrics.metric import Metric, load
from counterproof.metrics.sample import Corpus, Floats, Sample
from counterproof.metrics.statistics.variance import jackknife_estimate
from counterproof.metrics.workbench import Workbench

VALUES_ONLY = -2  # the draw of a view that is neither re-split nor anchor: no interval and no evidence are made


class FrechetDistance(Comparison):
    """Fréchet distance from moments that stream in float64: the rows are not kept.

    ``compute()`` is the plain distance, as
    :func:`counterproof.metrics.fidelity.frechet_distance.frechet_distance_between` and other libraries give it,
    with its O(d²/n) bias. ``estimate()`` is freed of that by a grouped jackknife; its interval is Student's t of
    the groups' pseudo-values. On Inception features this is FID. The state takes ``16 · groups · (d + 2) · d``
    bytes: 336 MB for 5 groups at 2,048 dimensions.

    Args:
        feature: See :class:`~counterproof.metrics.integrations.streaming.Comparison`.
        groups: Groups of rows, assigned in turn, which the jackknife leaves out one by one; 1 saves memory
            and gives no interval.
        reset_real_features: Whether ``reset`` forgets the real rows too.
        **options: ``level``, and those of :class:`torchmetrics.Metric`.

    Raises:
        MetricError: ``groups`` is below 1.

    >>> meter = FrechetDistance()
    >>> x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    >>> meter.update(x, real=True)
    >>> for batch in (x + 2).split(100):
    ...     meter.update(batch, real=False)
    >>> round(float(meter.compute()), 4)
    12.0
    """

    higher_is_better = False

    def __init__(
        self, feature: nn.Module | None = None, *, groups: int = 5, reset_real_features: bool = True, **options: Any
    ) -> None:
        super().__init__(feature, reset_real_features=reset_real_features, **options)
        if groups < 1:
            raise MetricError(f"FrechetDistance: groups = {groups}: give 1 or more")
        self.groups = groups

    def compute(self) -> Tensor:
        """The plain distance.

        Raises:
            MetricError: A side has fewer than two rows.
        """
        return self._scalar(self._distance(self._sums("real"), self._sums("fake")))

    def _keep(self, name: str, rows: Tensor) -> None:
        super()._keep(name, empty_sums(self.groups, rows.shape[1], rows.device)[None])
        sums = joined(torch.cat(getattr(self, name)))  # one until now, and what merge_state brought
        setattr(self, name, [with_rows(sums, rows.double())[None]])

    def _sums(self, name: str) -> Tensor:
        """``(groups, d + 2, d)`` of one side, over all processes."""
        sums = joined(self._side(name))
        if (n := int(sums[:, 0, 0].sum())) < 2:
            word = "real" if name == "real" else "synthetic"
            raise MetricError(f"FrechetDistance: {n} {word} rows so far; a covariance needs two")
        return sums

    def _distance(self, real: Tensor, fake: Tensor) -> float:
        return frechet_of_moments(moments_of_sums(real), moments_of_sums(fake))

    def _estimate(self) -> Estimate:
        real, fake = self._sums("real"), self._sums("fake")
        rows = int(min(real[:, 0, 0].sum(), fake[:, 0, 0].sum()))
        if self.groups < 2 or rows < 2 * self.groups:
            raise MetricError(f"FrechetDistance: {rows} rows a side in {self.groups} groups have no interval")
        whole = self._distance(real, fake)
        kept = [[g for g in range(self.groups) if g != out] for out in range(self.groups)]
        without = np.array([self._distance(real[groups], fake[groups]) for groups in kept])
        return jackknife_estimate(whole, without, level=self.level)


class FeatureMetric(Comparison):
    """Any counterproof metric of feature spaces, over all rows of both sides.

    The rows are kept, the work is done by ``compute()``.

    Args:
        metric: A registered id such as ``coverage.vendi_score``, or a
            :class:`~counterproof.metrics.metric.Metric`.
        feature: See :class:`~counterproof.metrics.integrations.streaming.Comparison`.
        field: Which of its quantities; the headline by default.
        parameters: The metric's options, such as ``{"k": 3}``.
        seed: Of random steps of the metric.
        reset_real_features: Whether ``reset`` forgets the real rows too.
        **options: ``level``, and those of :class:`torchmetrics.Metric`.

    Raises:
        MetricError: No such metric or option, or it needs more than two sets of rows.

    >>> meter = FeatureMetric("fidelity.precision", parameters={"k": 3})
    >>> x = torch.arange(40.0)[:, None]
    >>> meter.update(x, real=True)
    >>> meter.update(x + 0.25, real=False)
    >>> float(meter.compute())
    1.0
    """

    def __init__(
        self,
        metric: str | Metric,
        feature: nn.Module | None = None,
        *,
        field: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        seed: int = 0,
        reset_real_features: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(feature, reset_real_features=reset_real_features, **options)
        self.metric = metric
        if self.asked.family not in ("fidelity", "coverage") or self.asked.needs.label or self.asked.needs.groups:
            raise MetricError(f"{self.asked.id} needs more than two sets of rows: measure it by an audit")
        self.field = field or self.asked.headline
        self.configured = self.asked.configure(parameters or {})
        self.seed = seed

    @property
    def asked(self) -> Metric:
        """The metric; kept by its id, since functions behind a decorator cannot be pickled."""
        return load(self.metric) if isinstance(self.metric, str) else self.metric

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """Which direction is good; None where 0 is best."""
        return {"higher": True, "lower": False, "zero": None}[self.asked.better]

    def compute(self) -> Tensor:
        """The value.

        Raises:
            MetricError: It cannot be computed from these rows; the message says why.
        """
        return self._scalar(self._measured(VALUES_ONLY).value)

    def _estimate(self) -> Estimate:
        return self._measured(None)

    def _measured(self, draw: int | None) -> Estimate:
        bench = two_sides(
            _array(self._side("real")), _array(self._side("fake")), seed=self.seed, draw=draw, level=self.level
        )
        for value in self.asked.values(bench, self.configured):
            if value.field == self.field and not value.group:
                if value.estimate is None:
                    raise MetricError(f"{self.asked.id}: {value.reason}")
                return value.estimate
        raise MetricError(f"{self.asked.id} yielded no field {self.field!r}")


class KernelDistance(Comparison):
    """Kernel distance over all pairs of rows, unbiased; on Inception features KID without subsets.

    See :func:`counterproof.metrics.engine.mmd.kernel_distance_between`; rows are kept, sums are float64.
    """

    higher_is_better = False

    def compute(self) -> Tensor:
        """The value.

        Raises:
            MetricError: A side has fewer than two rows.
        """
        return self._scalar(self._estimate().value)

    def _estimate(self) -> Estimate:
        real, fake = _array(self._side("real")), _array(self._side("fake"))
        if min(len(real), len(fake)) < 2:
            raise MetricError(f"KernelDistance: {len(real)} real and {len(fake)} synthetic rows; it needs two of each")
        return kernel_distance_between(real, fake, level=self.level)


class _Neighbours(FeatureMetric):
    """One of the four of :mod:`counterproof.metrics.prdc.scores`."""

    quantity: ClassVar[str]

    def __init__(self, feature: nn.Module | None = None, *, k: int = 5, **options: Any) -> None:
        super().__init__(self.quantity, feature, parameters={"k": k}, **options)


class Precision(_Neighbours):
    """Share of synthetic rows where real rows lie; see :func:`counterproof.metrics.fidelity.precision.precision`."""

    quantity = "fidelity.precision"


class Recall(_Neighbours):
    """Share of real rows where synthetic rows lie; see :func:`counterproof.metrics.coverage.recall.recall`."""

    quantity = "coverage.recall"


class Density(_Neighbours):
    """Synthetic rows in real neighbourhoods; see :func:`counterproof.metrics.fidelity.density.density`."""

    quantity = "fidelity.density"


class Coverage(_Neighbours):
    """Share of real rows with a synthetic row near; see :func:`counterproof.metrics.coverage.coverage.coverage`."""

    quantity = "coverage.coverage"


class ManifoldMetrics(Comparison):
    """Precision, recall, density and coverage from one search, at the cost of one of them.

    ``compute()`` gives a dict by name, which a ``MetricCollection`` flattens.

    Args:
        feature: See :class:`~counterproof.metrics.integrations.streaming.Comparison`.
        k: Which neighbour gives the radius.
        **options: ``reset_real_features``, ``level``, and those of :class:`torchmetrics.Metric`.
    """

    higher_is_better = True

    def __init__(self, feature: nn.Module | None = None, *, k: int = 5, **options: Any) -> None:
        super().__init__(feature, **options)
        self.k = k

    def compute(self) -> dict[str, Tensor]:
        """The four values.

        Raises:
            MetricError: A side has too few rows.
        """
        return {name: self._scalar(found.value) for name, found in self._four(VALUES_ONLY).items()}

    def estimates(self) -> dict[str, Estimate]:
        """The four with their intervals, over all processes."""
        with self._together():
            return self._four(None)

    def _four(self, draw: int | None) -> dict[str, Estimate]:
        bench = two_sides(_array(self._side("real")), _array(self._side("fake")), draw=draw, level=self.level)
        found = {}
        for quantity in (precision, recall, density, coverage):
            (value,) = quantity.values(bench, {"k": self.k})
            if value.estimate is None:
                raise MetricError(value.reason)
            found[quantity.id.rpartition(".")[2]] = value.estimate
        return found


def two_sides(
    reference: Floats, candidate: Floats, *, seed: int = 0, draw: int | None = None, level: float = 0.95
) -> Workbench:
    """A workbench over two arrays of rows: enough for metrics that compare two sets of rows.

    Args:
        reference: ``(n, d)`` real rows.
        candidate: ``(m, d)`` synthetic rows.
        seed: Of random steps.
        draw: ``VALUES_ONLY`` for values without intervals.
        level: Confidence of two-sided intervals.
    """
    features = np.concatenate([reference, candidate])
    corpus = Corpus(
        features=features,
        protocol="features",
        modality="features",
        digests=np.array([hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in features], dtype="S16"),
        names=np.arange(len(features)).astype(str),
    )
    real = Sample("reference", np.arange(len(reference)), corpus)
    release = Sample("synthetic", np.arange(len(reference), len(features)), corpus)
    return Workbench(
        reference=real,
        candidate=release,
        real=real,
        release=release,
        learning=real,
        test=real,
        synthetic_train=release,
        seed=seed,
        draw=draw,
        level=level,
    )


def _array(rows: Tensor) -> Floats:
    return rows.double().cpu().numpy()


__all__ = [
    "Coverage",
    "Density",
    "FeatureMetric",
    "FrechetDistance",
    "KernelDistance",
    "ManifoldMetrics",
    "Precision",
    "Recall",
]
