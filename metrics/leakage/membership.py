"""Can training records be told from records that the generator never saw?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from counterproof.metrics.estimate import Estimate, Evidence, Panel
from counterproof.metrics.leakage._membership.attacked_records import LEAST, MOST, Suspects, line_up
from counterproof.metrics.leakage._membership.attacks import attack_scores, isolation, nearest_made
from counterproof.metrics.leakage._membership.evaluation import Inquest, hold_inquest
from counterproof.metrics.metric import Needs, Tolerance, Value, metric
from counterproof.metrics.sample import MISSING_TEXT, Flags, Floats, Rows
from counterproof.metrics.statistics.auc import area_estimate, smallest_area
from counterproof.metrics.statistics.proportions import clopper_pearson
from counterproof.metrics.workbench import Workbench

RATES = {"tpr_at_1": (0.01, 1_000), "tpr_at_01": (0.001, 10_000)}  # ten false alarms are wanted to know a rate
FEW = 20  # members, and non-members, of a cell
DECILE = 0.1
SHOWN = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class Tried:
    """What is at hand once the attacks have been made."""

    suspects: Suspects
    inquest: Inquest
    attack: str

    @property
    def judged(self) -> Flags:
        """The half that counts."""
        return ~self.inquest.choosing


@metric(
    id="leakage.membership",
    family="leakage",
    title="membership inference",
    unit="AUROC",
    null="membership",
    needs=Needs(holdout=True, smallest_n=100),
    controls=("copies",),
    tolerances=(
        Tolerance(
            "value",
            "<=",
            0.6,
            "six of ten pairs guessed right; fresh rows of three tables scored below 0.54, SMOTE rows above 0.77",
        ),
    ),
)
def membership(bench: Workbench, *, records: int = MOST) -> Iterator[Value]:
    """How well attacks tell training records from holdout records, as AUROC of the best one.

    0.5 is guessing, 1 gives every record away. Six attacks score the known records by the release
    alone: nearest release row (plain, on the scale of the record's neighbourhood, by columns),
    density ratios (broad and narrow), a classifier of release against known rows. One half of the
    records chooses the attack, the other half counts. Averages are blind to few copies: the true
    positive rates at 1 % and 0.1 % false alarms see more, and ``leakage.copies`` most. A value at
    the floor means: no leak found by these attacks at this power.

    Train and holdout must be a random split. ``records`` bounds how many are attacked on each side;
    they are held against every row of the release.

    Sources: DOMIAS, arXiv:2302.12580; rates at few false alarms, Carlini et al., arXiv:2112.03570;
    Synth-MIA, arXiv:2509.18014; intervals by DeLong (1988), Clopper and Pearson (1934).

    Yields:
        ``value`` for the chosen attack, for each attack and in each group, ``isolated`` among the
        tenth of records that stand farthest from others, ``tpr_at_1`` and ``tpr_at_01``.
    """
    suspects = line_up(bench, records)
    if suspects.side < LEAST:
        yield Value(status="not_assessable", reason=too_few(suspects))
        return
    inquest = hold_inquest(bench, suspects, attack_scores(bench, suspects))
    tried = Tried(suspects=suspects, inquest=inquest, attack=inquest.chosen())
    yield _headline(bench, tried)
    for attack in inquest.scores:
        yield _area(bench, tried, tried.judged, attack=attack, group=(("attack", attack),))
    far = suspects.of_units(isolation(bench, suspects))
    yield _area(bench, tried, tried.judged & (far >= np.quantile(far, 1 - DECILE)), field="isolated")
    yield from _groups(bench, tried)
    for field, (share, least) in RATES.items():
        yield _rate(bench, tried, field, share, least)


def too_few(suspects: Suspects) -> str:
    """Why nothing can be told."""
    told = f"{suspects.side} members and as many non-members can be attacked, and {LEAST} of each are needed"
    return f"{told}; {suspects.remark}" if suspects.remark else told


# -- areas ------------------------------------------------------------------------------------------


def _area(
    bench: Workbench,
    tried: Tried,
    where: Flags,
    *,
    field: str = "value",
    attack: str = "",
    group: tuple[tuple[str, str], ...] = (),
) -> Value:
    """The area among some units, if there are enough of them."""
    member = tried.inquest.member[where]
    n = {"members": int(member.sum()), "non-members": int((~member).sum())}
    if min(n.values()) < FEW:
        reason = f"too few to say: {FEW} members and {FEW} non-members are needed"
        return Value(field=field, group=group, status="not_assessable", reason=reason, decidable=False)
    scores = tried.inquest.scores[attack or tried.attack][where]
    return Value(field=field, group=group, estimate=area_estimate(scores, member, bench.level), n=n)


def _groups(bench: Workbench, tried: Tried) -> Iterator[Value]:
    """The chosen attack in every group; cells of few real rows tell nothing of them."""
    suspects = tried.suspects
    first = np.unique(suspects.unit, return_index=True)[1]
    for column, values in bench.corpus.groups.items():
        told, counts = np.unique(values[bench.real.rows], return_counts=True)
        of_unit = values[suspects.sample.rows[first]]
        for value, count in zip(told, counts, strict=True):
            group = ((column, str(value) or MISSING_TEXT),)
            if count < bench.small_cell and not bench.show_real:
                reason = f"too few to say: fewer than {bench.small_cell} real rows"
                yield Value(group=group, status="not_assessable", reason=reason, decidable=False)
            else:
                yield _area(bench, tried, tried.judged & (of_unit == value), group=group)


def _headline(bench: Workbench, tried: Tried) -> Value:
    made = _area(bench, tried, tried.judged)
    if bench.is_null or made.estimate is None:
        return made
    return Value(
        estimate=made.estimate,
        n={**made.n, "release": len(bench.release)},
        reason="; ".join(filter(None, [_reading(tried, made.estimate), tried.suspects.remark])),
        claims={"copies": _claimed(bench, made.estimate)},
        evidence=_evidence(bench, tried) if made.estimate.low > 0.5 else (),
        panels=(_panel(tried),),
    )


def _claimed(bench: Workbench, found: Estimate) -> int:
    """Copies that lift the area well out of its interval: a copied member stands before every non-member."""
    lift = 1.5 * (found.high - found.value)
    return math.ceil(min(1.0, 2 * lift) * len(bench.train or ()))


def _reading(tried: Tried, found: Estimate) -> str:
    told = f"the attack {tried.attack!r}, chosen on the other half"
    if found.low > 0.5:
        return told
    member = tried.inquest.member[tried.judged]
    least = smallest_area(int(member.sum()), int((~member).sum()))
    return f"{told}; no leak found by these attacks at this power: an AUROC of {least:.3f} would have been seen"


def _panel(tried: Tried) -> Panel:
    areas = {attack: tried.inquest.area(attack, tried.judged) for attack in tried.inquest.scores}
    order = sorted(areas, key=lambda attack: -areas[attack])
    data = {"labels": order, "values": [areas[a] - 0.5 for a in order], "value_title": "AUROC above 0.5"}
    return Panel(kind="bars", title="How well each attack tells members", data=data)


def _evidence(bench: Workbench, tried: Tried) -> tuple[Evidence, ...]:
    """The training records that the attack is surest of; names, no contents."""
    suspects, rank = tried.suspects, tried.inquest.rank[tried.attack]
    surest = np.flatnonzero(tried.judged & tried.inquest.member)
    surest = surest[np.argsort(-rank[surest])][:SHOWN]
    others = np.sort(rank[tried.judged & ~tried.inquest.member])
    far, index = nearest_made(bench, suspects)
    distance = far[:, 0]
    rows = [_foremost(suspects, distance, int(unit)) for unit in surest]
    cells = tuple(
        (
            str(suspects.sample.names[row]),
            str(bench.release.names[index[row, 0]]),
            float(distance[row]),
            int(len(others) - np.searchsorted(others, rank[unit])),
        )
        for unit, row in zip(surest, rows, strict=True)
    )
    return (
        Evidence(
            title="Training records that the attack is surest of",
            columns=("training row", "nearest release row", "distance", "non-members it was surer of"),
            rows=cells,
            note=f"Of the {len(others)} non-members in the half that counts.",
        ),
    )


def _foremost(suspects: Suspects, distance: Floats, unit: int) -> int:
    rows: Rows = np.flatnonzero(suspects.unit == unit)
    return int(rows[np.argmin(distance[rows])])


# -- rates ------------------------------------------------------------------------------------------


def _rate(bench: Workbench, tried: Tried, field: str, share: float, least: int) -> Value:
    """True positives at a threshold from the choosing half, with what became of the false ones."""
    others = int((tried.judged & ~tried.inquest.member).sum())
    if others < least:
        reason = (
            f"with {others} non-members, a rate at {share:.1%} false alarms cannot be certified: {least} are needed"
        )
        return Value(field=field, unit="share of members", status="not_assessable", reason=reason, decidable=False)
    attack, threshold = tried.inquest.sharpest(share)
    found = tried.inquest.guesses(attack, threshold, tried.judged)
    estimate = clopper_pearson(found.right, found.members, bench.level)
    if bench.is_null:
        return Value(field=field, estimate=estimate)
    wrong = clopper_pearson(found.wrong, found.others, bench.level)
    return Value(
        field=field,
        estimate=estimate,
        unit="share of members",
        n={"members": found.members, "non-members": found.others},
        reason=f"by the attack {attack!r}; false alarms {wrong.value:.2%} [{wrong.low:.2%}, {wrong.high:.2%}] "
        f"where {share:.1%} was aimed at",
    )
