"""Moments of rows that come in batches, as one float64 tensor that batches and processes add to.

``(groups, d + 2, d)``: per group of rows their number (in all of row 0), their mean (row 1) and the
sum of outer products around it (the rest). Sums around a moving mean lose nothing to cancellation,
however far the rows lie from the origin (Chan, Golub and LeVeque, 1983).
"""

from __future__ import annotations

import torch
from torch import Tensor

from counterproof.metrics.moments import Moments


def empty_sums(groups: int, width: int, device: torch.device) -> Tensor:
    """Of no rows."""
    return torch.zeros(groups, width + 2, width, dtype=torch.float64, device=device)


def with_rows(sums: Tensor, rows: Tensor) -> Tensor:
    """The sums of these rows too, dealt to the groups in turn.

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
