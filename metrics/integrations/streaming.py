"""Real rows against synthetic rows that come in batches: what all meters share.

A meter is a :class:`torchmetrics.Metric`. This module imports torch and torchmetrics; nothing but
:mod:`counterproof.metrics.integrations.meters` imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torchmetrics import Metric as Meter
from torchmetrics.utilities.data import dim_zero_cat

from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.frechet.moments import Moments


def empty_sums(groups: int, width: int, device: torch.device) -> Tensor:
    """Of no rows."""
    return torch.zeros(groups, width + 2, width, dtype=torch.float64, device=device)


def with_rows(sums: Tensor, rows: Tensor) -> Tensor:
    """The sums including these rows, which are assigned to the groups in turn.

    Args:
        sums: ``(groups, d + 2, d)``.
        rows: ``(n, d)`` in float64.
    """
    groups, turn = len(sums), int(sums[:, 0, 0].sum())
    made = sums.clone()
    for first in range(min(groups, len(rows))):
        _take_in(made[(turn + first) % groups], rows[first::groups])
    return made


def _take_in(sums: Tensor, rows: Tensor) -> None:
    """Add rows to the sums of one group, in place."""
    before, n = sums[0, 0].clone(), len(rows)
    mean = rows.mean(0)
    shift = (mean - sums[1]) * torch.sqrt(before * n / (before + n))
    parts = torch.cat([rows - mean, shift[None]])
    sums[2:].addmm_(parts.T, parts)
    sums[1] += (mean - sums[1]) * (n / (before + n))
    sums[0] += n


def joined(sums: Tensor) -> Tensor:
    """Sums of several sets of rows as those of their union: ``(sets, …)`` to ``(…)``.

    Works along the first axis: sets of groups, or the groups of one set.

    >>> rows = torch.arange(12.0, dtype=torch.float64).reshape(6, 2)
    >>> start = empty_sums(1, 2, rows.device)
    >>> two = torch.stack([with_rows(start, rows[:1]), with_rows(start, rows[1:])])
    >>> torch.allclose(joined(two), with_rows(start, rows))
    True
    """
    count = sums[..., 0, :]
    total = count.sum(0)
    mean = (count * sums[..., 1, :]).sum(0) / total.clamp(min=1)
    made = sums.sum(0)
    made[..., 1, :] = mean
    for one, n in zip(sums, count, strict=True):
        shift = (one[..., 1, :] - mean) * n.sqrt()
        made[..., 2:, :] += shift[..., :, None] * shift[..., None, :]
    return made


def moments_of_sums(sums: Tensor) -> Moments:
    """The moments of all groups together.

    Args:
        sums: ``(groups, d + 2, d)`` of two rows or more.
    """
    whole = joined(sums).cpu()
    n = int(whole[0, 0])
    return Moments(n, whole[1].numpy(), (whole[2:] / (n - 1)).numpy())


WITHOUT_DOUBLE = ("mps",)  # devices without float64: states stay on the CPU


class Comparison(Meter):
    """Real rows compared with synthetic rows that come in batches; the base of the meters.

    Args:
        feature: Encodes what ``update`` is given (images, as the module wants them) as ``(n, d)``
            features; it is run in evaluation mode and without gradients. None: rows are features
            already. torchmetrics' ``FeatureShare`` shares it among meters.
        reset_real_features: Whether ``reset`` forgets the real rows too. False keeps them, for one
            reference and many checkpoints.
        level: Confidence of the interval that ``estimate()`` gives.
        **options: Of :class:`torchmetrics.Metric` (``sync_on_compute``, ``process_group``, …).
    """

    is_differentiable = False
    full_state_update = False
    feature_network = "feature"

    real: list[Tensor] | Tensor
    fake: list[Tensor] | Tensor

    def __init__(
        self,
        feature: nn.Module | None = None,
        *,
        reset_real_features: bool = True,
        level: float = 0.95,
        **options: Any,
    ) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows, **options})
        if not 0 < level < 1:
            raise MetricError(f"{type(self).__name__}: level = {level}: give a confidence between 0 and 1")
        self.level = level
        self.feature = feature
        self.reset_real_features = reset_real_features
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("fake", [], dist_reduce_fx="cat")

    def update(self, rows: Tensor, real: bool) -> None:
        """Take a batch in.

        Args:
            rows: ``(n, d)`` features, or whatever ``feature`` encodes.
            real: Whether they are real rows, or synthetic ones.

        Raises:
            MetricError: The features are not ``(n, d)`` and finite, or of another width than before.
        """
        name = "real" if real else "fake"
        self._keep(name, self._encoded(rows))

    def estimate(self) -> Estimate:
        """The value with its interval, over all processes.

        Raises:
            MetricError: There are too few rows for it.
        """
        with self._together():
            return self._estimate()

    def reset(self) -> None:
        """Forget the synthetic rows, and the real ones unless ``reset_real_features`` is False."""
        kept = list(self.real)  # torchmetrics empties the list itself
        super().reset()
        if not self.reset_real_features:
            self.real = kept

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Not defined: a batch of one side has no distance.

        Raises:
            MetricError: Always.
        """
        raise MetricError(f"{type(self).__name__}: call update(rows, real=...) for batches and compute() at the end")

    def _encoded(self, rows: Tensor) -> Tensor:
        if self.feature is not None:
            with torch.no_grad():
                rows = self.feature.eval()(rows)
        rows = rows.detach()
        title = type(self).__name__
        if rows.ndim != 2:
            raise MetricError(f"{title}: features are (n, d), not {tuple(rows.shape)}; give rows, or feature=a module")
        if not rows.is_floating_point():
            raise MetricError(f"{title}: features are floating-point, not {rows.dtype}; encode images by feature=")
        wrong = (~torch.isfinite(rows).all(1)).nonzero()
        if len(wrong):
            raise MetricError(f"{title}: row {int(wrong[0])} of the batch holds a value that is not finite")
        return rows.to(self._home)

    @property
    def _home(self) -> torch.device:
        """Where states live."""
        return torch.device("cpu") if self.device.type in WITHOUT_DOUBLE else self.device

    def _keep(self, name: str, rows: Tensor) -> None:
        kept: list[Tensor] = getattr(self, name)
        if kept and kept[-1].shape[-1] != rows.shape[-1]:
            now, before = rows.shape[-1], kept[-1].shape[-1]
            raise MetricError(f"{type(self).__name__}: this batch has {now} features a row, those before {before}")
        kept.append(rows)

    def _estimate(self) -> Estimate:
        raise NotImplementedError

    def _together(self) -> AbstractContextManager[None]:
        """The states of all processes, within."""
        synced: AbstractContextManager[None] = self.sync_context(
            dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync, should_unsync=self._should_unsync
        )
        return synced

    def _scalar(self, value: float) -> Tensor:
        dtype = torch.float32 if self.device.type in WITHOUT_DOUBLE else torch.float64
        return torch.tensor(value, dtype=dtype, device=self.device)

    def _side(self, name: str) -> Tensor:
        """One side, batches and processes together."""
        kept: list[Tensor] | Tensor = getattr(self, name)
        word = "real" if name == "real" else "synthetic"
        if len(kept) == 0 or (found := dim_zero_cat(kept)).numel() == 0:
            raise MetricError(f"{type(self).__name__}: no {word} rows yet: call update(rows, real={name == 'real'})")
        return found

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = ()) -> nn.Module:
        """Move the module; states follow it where the device has float64, and never change their dtype."""
        super()._apply(fn, exclude_state=("real", "fake"))
        for name in ("real", "fake"):
            kept: Sequence[Tensor] | Tensor = getattr(self, name)
            setattr(self, name, kept.to(self._home) if isinstance(kept, Tensor) else [t.to(self._home) for t in kept])
        return self


def gather_rows(rows: Tensor, group: Any = None) -> list[Tensor]:
    """The rows of every process, in the order of ranks; torchmetrics' ``dist_sync_fn``.

    Unlike torchmetrics' own it holds where a process has no rows yet, and so knows neither their
    width nor their dtype.
    """
    told: list[Any] = [None] * distributed.get_world_size(group)
    distributed.all_gather_object(told, (tuple(rows.shape), rows.dtype) if rows.numel() else None, group=group)
    full = [said for said in told if said is not None]
    if not full:
        return [rows]
    if len({(shape[1:], dtype) for shape, dtype in full}) > 1:
        raise MetricError(f"processes hold rows of different width or dtype: {full}")
    (_, *width), dtype = full[0]
    padded = torch.zeros(max(shape[0] for shape, _ in full), *width, dtype=dtype, device=rows.device)
    if rows.numel():
        padded[: len(rows)] = rows
    gathered = [torch.empty_like(padded) for _ in told]
    distributed.all_gather(gathered, padded, group=group)
    return [found[: said[0][0]] for found, said in zip(gathered, told, strict=True) if said is not None]
