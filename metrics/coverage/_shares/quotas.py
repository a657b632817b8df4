"""Quotas: declared shares of a column's values, that a release is held to instead of its real shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from counterproof.metrics.coverage._shares.shares import Cell, independent
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Group
from counterproof.metrics.sample import RARE_TEXT, Sample
from counterproof.metrics.shared.partitions import Partition, partition_by
from counterproof.metrics.statistics.proportions import clopper_pearson, wilson
from counterproof.metrics.workbench import Workbench
from counterproof.refusal import did_you_mean

Target = Mapping[str, Mapping[str, float]]
ROUNDING = 1e-9
NAMED = 8  # values that a message lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One value with a declared share.

    Attributes:
        group: The value.
        share: What was declared.
        made: Rows of the candidate here.
        n_made: Rows of the candidate.
        weight: Independent rows in a row.
        unheard: Why no row at all may have this value; empty where some real or synthetic row has.
        pooled: Whether rare values were pooled, so that the value may be among them.
    """

    group: Group
    share: float
    made: int
    n_made: int
    weight: float = 1.0
    unheard: str = ""
    pooled: bool = False

    def __str__(self) -> str:
        return ", ".join(f"{column} = {value}" for column, value in self.group)

    @property
    def ratio(self) -> float:
        """Share in the candidate over the declared share."""
        return self.made / self.n_made / self.share

    def estimate(self, level: float) -> Estimate:
        """The ratio with Wilson's interval of the share; where no row is here, with the exact bound."""
        n = max(1, math.floor(self.n_made * self.weight))
        e = wilson(self.made / self.n_made * n, n, level) if self.made else clopper_pearson(0, n, level)
        return replace(e, value=self.ratio, low=e.low / self.share, high=e.high / self.share)

    def faithful_error(self, n: float) -> float:
        """Standard deviation of the log ratio of a release of ``n`` independent rows that keeps to the quota."""
        return math.sqrt((1 - self.share) / (self.share * n))

    def empty_by_chance(self) -> float:
        """Probability that a release that keeps to the quota has no row here."""
        return float((1 - self.share) ** (self.n_made * self.weight))


def quotas_of(bench: Workbench, target: Target, made: Sample) -> Iterator[Quota]:
    """The declared values, with the rows that the candidate has of them.

    Raises:
        MetricError: No such column, or shares that are none.
    """
    weight = 1.0 if bench.is_null else independent(made)
    for column, shares in target.items():
        _check(bench, column, shares)
        part = partition_by(bench, (column,))
        counts = dict(zip(part.names, part.counts(made).tolist(), strict=True))
        for value, share in shares.items():
            yield Quota(
                group=((column, value),),
                share=share,
                made=counts.get(value, 0),
                n_made=len(made),
                weight=weight,
                unheard="" if value in counts else _unheard(column, value, part),
                pooled=value not in counts and RARE_TEXT in counts,
            )


def given_quotas(bench: Workbench, part: Partition, cells: list[Cell], target: Target, made: Sample) -> list[Cell]:
    """Cells as they stand beside a target: combinations are judged within the declared values.

    Who declares half of the rows to be women changes the share of old women with it; what real data
    tell is how old women are. Columns that are declared, alone or with one another, have no cells.
    """
    declared = [name for name in part.columns if name in target]
    if not declared:
        return cells
    if len(declared) == len(part.columns):
        return []
    whole = partition_by(bench, tuple(declared))
    n_made = dict(zip(whole.groups, whole.counts(made).tolist(), strict=True))
    n_real: dict[Group, int] = dict.fromkeys(whole.groups, 0)
    inside = [tuple(pair for pair in cell.group if pair[0] in target) for cell in cells]
    for cell, within in zip(cells, inside, strict=True):
        n_real[within] += cell.real
    return [
        replace(cell, n_real=n_real[within], n_made=n_made[within]) for cell, within in zip(cells, inside, strict=True)
    ]


def _check(bench: Workbench, column: str, shares: Mapping[str, float]) -> None:
    corpus = bench.corpus
    known = [*corpus.groups, *([corpus.label] if corpus.labels is not None else [])]
    if column not in known:
        hint = did_you_mean(column, known, limit=NAMED)
        raise MetricError(f"option target: {column!r} is neither group nor label{hint}")
    for value, share in shares.items():
        if not 0 < share <= 1:
            raise MetricError(f"option target: {column}={value} has the share {share:g}: give one above 0, at most 1")
    total = math.fsum(shares.values())
    if total > 1 + ROUNDING:
        raise MetricError(f"option target: the shares of {column} sum to {total:g}, more than 1")


def _unheard(column: str, value: str, part: Partition) -> str:
    return f"no row, real or synthetic, has {column}={value}{did_you_mean(value, list(part.names), limit=NAMED)}"
