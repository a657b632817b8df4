"""Can training records be told from records that the generator never saw?"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from counterproof.metrics.estimate import Estimate, Evidence, Panel
from counterproof.metrics.leakage._membership.attacked_records import LEAST, MOST, Attacked, Targets, select_targets
from counterproof.metrics.leakage._membership.attacks import attack_scores, isolation, nearest_made
from counterproof.metrics.leakage._membership.evaluation import REVERSED, SplitScores, split_and_score
from counterproof.metrics.metric import Needs, Plant, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import MISSING_TEXT, Flags, Floats, Rows
from counterproof.metrics.statistics.auc import area_estimate, smallest_area
from counterproof.metrics.statistics.exact_tests import ALARM, p_in_words
from counterproof.metrics.statistics.proportions import clopper_pearson
from counterproof.metrics.statistics.ranking_scan import Ranking, Threshold, fewest_ahead, most_extreme, most_extreme_of
from counterproof.metrics.workbench import Workbench

RATES = {"tpr_at_1": (0.01, 1_000), "tpr_at_01": (0.001, 10_000)}  # ten false alarms are wanted to know a rate
FEW = 20  # members, and non-members, of a cell
DECILE = 0.1
SHOWN = 20
NEAREST = "nearest"  # the attack that copies always stand first in
LISTED = 200
FALSE_ALARMS = 0.01  # share of the other side above a threshold up to which few exposed records are looked for
SCANNED = 0.75  # of the level, for the tops of rankings; the rest is for the area of a reversed attack
FARTHER = (
    "training records lie farther from the release than others do: the release was filtered by distance to them, "
    "which gives membership away"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class AttackResult:
    """The attacked records, their scores, and the attack that the choosing half prefers."""

    targets: Targets
    split: SplitScores
    attack: str

    @property
    def farther(self) -> bool:
        """Whether the attack takes records for members that stand *far* from the release."""
        return self.attack.endswith(REVERSED)

    @property
    def judged(self) -> Flags:
        """The half that counts."""
        return ~self.split.choosing


@metric(
    id="leakage.membership",
    family="leakage",
    title="membership inference",
    algo=2,
    unit="AUROC",
    null="membership",
    needs=Needs(holdout=True, smallest_n=100),
    controls=("copies", "filtered"),
    tolerances=(
        Tolerance(
            "value",
            "<=",
            0.6,
            "six of ten pairs guessed right; fresh rows of three tables scored below 0.54, SMOTE rows above 0.77",
            widest=0.6,
        ),
    ),
    quantities={
        "value": Quantity(
            name="Membership inference",
            measure="AUROC {}",
            finding="An attacker can tell which records the generator learned from (membership inference)",
            means="That a person is in the training data is no longer secret.",
            remedy="Train with fewer epochs, with more data, or with differential privacy, then audit again.",
        ),
    },
)
def membership(bench: Workbench, *, records: Attacked = MOST) -> Iterator[Value]:
    """How well attacks tell training records from holdout records, as AUROC of the best attack.

    Six attacks score the known records by the release alone: the nearest release row (plain, on the scale of
    the record's neighbourhood, by columns), density ratios (broad and narrow), and a classifier of release
    against known rows. One half of the records chooses the attack and its direction, the other half counts.
    Training records that lie farther from the release than others are given away as surely as nearer ones, by a
    filter that drops rows near to them.

    Averages are blind to few leaked records. So the ranking of every attack is also read at its top: the
    threshold, at 1 % of false alarms or less, at which members exceed their share most, against the exact
    chance of any such excess if membership is random.

    Formula:
        AUROC = P(score of a training record > score of a holdout record) + ½ P(equal scores)

    How to read it:
        0.5 is guessing, 1 gives every record away. A value at the floor means: no leak found by these attacks
        at this power. Alarms, for few exposed records and for a filtered release, come in 1 honest release of
        500 at most, and fail it whatever the AUROC.

    Limits:
        Train and holdout must be a random split. A better attack may exist.

    Args:
        bench: The samples.
        records: Records attacked on each side, at most; they are held against every row of the release.

    Yields:
        value: AUROC of the chosen attack, of each attack, and in each group.
        isolated: AUROC among the tenth of records that stand farthest from others.
        tpr_at_1: Share of training records found at 1 % of false alarms.
        tpr_at_01: The same at 0.1 % of false alarms.

    Source:
        DOMIAS, arXiv:2302.12580; rates at few false alarms, Carlini et al., arXiv:2112.03570; filters give
        membership away, Ganev and De Cristofaro, arXiv:2312.05114; Synth-MIA, arXiv:2509.18014; intervals by
        DeLong (1988), doi:10.2307/2531595, and Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404.
    """
    targets = select_targets(bench, records)
    if targets.side < LEAST:
        yield Value(status="not_assessable", reason=too_few(targets))
        return
    split = split_and_score(bench, targets, attack_scores(bench, targets))
    result = AttackResult(targets=targets, split=split, attack=split.chosen())
    yield _headline(bench, result)
    for attack in split.attacks:
        yield _area(bench, result, result.judged, attack=attack, group=(("attack", attack),))
    far = targets.of_units(isolation(bench, targets))
    yield _area(bench, result, result.judged & (far >= np.quantile(far, 1 - DECILE)), field="isolated")
    yield from _groups(bench, result)
    for field, (share, least) in RATES.items():
        yield _rate(bench, result, field, share, least)


def too_few(targets: Targets) -> str:
    """Why nothing can be told."""
    told = f"{targets.side} members and as many non-members can be attacked, and {LEAST} of each are needed"
    return f"{told}; {targets.remark}" if targets.remark else told


# -- areas ------------------------------------------------------------------------------------------


def _area(
    bench: Workbench,
    result: AttackResult,
    where: Flags,
    *,
    field: str = "value",
    attack: str = "",
    group: tuple[tuple[str, str], ...] = (),
) -> Value:
    """The area among some units, if there are enough of them."""
    member = result.split.member[where]
    n = {"members": int(member.sum()), "non-members": int((~member).sum())}
    if min(n.values()) < FEW:
        reason = f"too few rows: {FEW} members and {FEW} non-members are needed"
        return Value(field=field, group=group, status="not_assessable", reason=reason, decidable=False)
    scores = result.split.scores[attack or result.attack][where]
    return Value(field=field, group=group, estimate=area_estimate(scores, member, bench.level), n=n)


def _groups(bench: Workbench, result: AttackResult) -> Iterator[Value]:
    """The chosen attack in every group; cells of few real rows tell nothing of them."""
    targets = result.targets
    first = np.unique(targets.unit, return_index=True)[1]
    for column, values in bench.corpus.groups.items():
        told, counts = np.unique(values[bench.real.rows], return_counts=True)
        of_unit = values[targets.sample.rows[first]]
        for value, count in zip(told, counts, strict=True):
            group = ((column, str(value) or MISSING_TEXT),)
            if count < bench.small_cell and not bench.show_real:
                reason = f"too few rows: fewer than {bench.small_cell} real rows"
                yield Value(group=group, status="not_assessable", reason=reason, decidable=False)
            else:
                yield _area(bench, result, result.judged & (of_unit == value), group=group)


def _headline(bench: Workbench, result: AttackResult) -> Value:
    made = _area(bench, result, result.judged)
    if bench.is_null or made.estimate is None:
        return made
    exposed = exposed_records(result.split)
    least = fewest_copies(result.split, exposed)
    ahead = fewest_ahead(result.split.sizes, exposed.level, **exposed.reach)
    claims: dict[Plant, int] = {"copies": _claimed(bench, made.estimate) if least is None else least}
    if ahead is not None:
        claims["filtered"] = 2 * ahead  # others are as near as training records were, give or take their root
    return Value(
        estimate=made.estimate,
        n={**made.n, "release": len(bench.release)},
        alarm=exposed.alarm(result.split) or filter_alarm(result),
        reason="; ".join(filter(None, [_reading(result, made.estimate, least), result.targets.remark])),
        claims=claims,
        evidence=_evidence(bench, result, exposed) if made.estimate.low > 0.5 or exposed.found else (),
        panels=(_panel(result),),
    )


def _claimed(bench: Workbench, found: Estimate) -> int:
    """Copies that lift the area well out of its interval: a copied member stands before every non-member."""
    lift = 1.5 * (found.high - found.value)
    return math.ceil(min(1.0, 2 * lift) * len(bench.train or ()))


def _reading(result: AttackResult, found: Estimate, least: int | None) -> str:
    named = f"the attack {result.attack!r}, chosen on the other half"
    if found.low > 0.5:
        return f"{named}; {FARTHER}" if result.farther else named
    member = result.split.member[result.judged]
    area = smallest_area(int(member.sum()), int((~member).sum()))
    few = "" if least is None else f", and {least} copied records"
    return f"{named}; no leak found by these attacks at this power: an AUROC of {area:.3f} would have been seen{few}"


def _panel(result: AttackResult) -> Panel:
    areas = {attack: result.split.area(attack, result.judged) for attack in result.split.attacks}
    order = sorted(areas, key=lambda attack: -abs(areas[attack] - 0.5))
    data = {"labels": order, "values": [areas[a] - 0.5 for a in order], "value_title": "AUROC above 0.5"}
    return Panel(kind="bars", title="How well each attack tells members", data=data)


# -- few records ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Exposed:
    """The top of a ranking at which one side exceeds its share most, over all attacks.

    Attributes:
        attack: By whose ranking.
        filtered: Whether others than members stand there: no release row is left near to members.
        threshold: Where.
        level: Below it the threshold is an alarm: its part of the level of all tests.
        reach: How deep was looked.
        top: Positions of the records up to the threshold.
    """

    attack: str
    filtered: bool
    threshold: Threshold
    level: float
    reach: Mapping[str, int]
    top: Rows

    @property
    def found(self) -> bool:
        """Whether chance does not explain it."""
        return self.threshold.p < self.level

    def alarm(self, split: SplitScores) -> str:
        """The sentence that fails a release."""
        if not self.found:
            return ""
        depth, inside = self.threshold.depth, self.threshold.members
        p = self.threshold.p * ALARM / self.level
        if self.filtered:
            return (
                f"{FARTHER}: of the {depth} real records nearest to it by the attack {self.attack!r} only "
                f"{depth - inside} are training records ({p_in_words(p)})"
            )
        return (
            f"of the {depth} records that the attack {self.attack!r} is surest of, {inside} are training records and "
            f"{depth - inside} are others ({p_in_words(p)}): these training records are exposed"
        )


def exposed_records(split: SplitScores) -> Exposed:
    """The most telling top of any attack's ranking, of members and of others.

    Exact for each ranking, whatever the release, as long as train and holdout are a random split;
    Bonferroni's inequality over the rankings.
    """
    tests = 2 * len(split.attacks)
    members, others = split.sizes
    few = max(1, math.floor(FALSE_ALARMS * min(members, others)))
    reach = {"deepest": members + others, "others": few}
    tried = [(attack, filtered) for attack in split.attacks for filtered in (False, True)]
    rankings = [Ranking.of(-split.scores[attack], split.member ^ filtered) for attack, filtered in tried]
    best, found = most_extreme_of(rankings, **reach)
    return Exposed(
        attack=tried[best][0],
        filtered=tried[best][1],
        threshold=found,
        level=SCANNED * ALARM / tests,
        reach=reach,
        top=rankings[best].order[: found.depth],
    )


def fewest_copies(split: SplitScores, exposed: Exposed) -> int | None:
    """How many more members at distance 0 the test of :func:`exposed_records` would tell; None if no number.

    They are put there, beside those whom chance put there, and the very test is asked.
    """
    score = split.scores[NEAREST]
    free = np.flatnonzero(split.member & (score < score.max()))

    def shown(count: int) -> bool:
        moved = score.copy()
        moved[free[:count]] = max(0.0, float(score.max()))
        return most_extreme(Ranking.of(-moved, split.member), **exposed.reach).p < exposed.level

    every = range(1, len(free) + 1)
    at = bisect_left(every, True, key=shown)
    return every[at] if at < len(every) else None


def filter_alarm(result: AttackResult) -> str:
    """What the half that counts says of training records that lie farther away, if that is what the other half saw.

    The direction is no quality of a generator: what learns from records comes nearer to them. So
    here chance alone is the measure, not the tolerance of the gate.
    """
    if not result.farther:
        return ""
    member = result.split.member[result.judged]
    members, others = int(member.sum()), int((~member).sum())
    value = result.split.area(result.attack, result.judged)
    p = float(norm.sf((value - 0.5) / math.sqrt((members + others + 1) / (12 * members * others))))
    if p >= (1 - SCANNED) * ALARM:
        return ""
    return f"{FARTHER} (AUROC {value:.3f} for being far by {result.attack.removesuffix(REVERSED)!r}, {p_in_words(p)})"


def _evidence(bench: Workbench, result: AttackResult, exposed: Exposed) -> tuple[Evidence, ...]:
    """The training records that an attack is surest of; names, no contents.

    Where the top of a ranking exposes some, these; else those that the chosen attack is surest of,
    of the half that counts.
    """
    targets, split = result.targets, result.split
    few = exposed.found and not exposed.filtered
    attack = exposed.attack if few else result.attack
    rank, counted = split.rank[attack], np.full(len(split.member), True) if few else result.judged
    surest = exposed.top[split.member[exposed.top]] if few else np.flatnonzero(counted & split.member)
    surest = surest[np.argsort(-rank[surest], kind="stable")][: LISTED if few else SHOWN]
    others = np.sort(rank[counted & ~split.member])
    far, index = nearest_made(bench, targets)
    distance = far[:, 0]
    rows = [_foremost(targets, distance, int(unit)) for unit in surest]
    cells = tuple(
        (
            str(targets.sample.names[row]),
            str(bench.release.names[index[row, 0]]),
            float(distance[row]),
            int(len(others) - np.searchsorted(others, rank[unit])),
        )
        for unit, row in zip(surest, rows, strict=True)
    )
    return (
        Evidence(
            title=f"Training records that the attack {attack!r} {'exposes' if few else 'is surest of'}",
            columns=("training row", "nearest release row", "distance", "non-members it was surer of"),
            rows=cells,
            note=f"Of {len(others)} non-members{'' if few else ' in the half that counts'}.",
        ),
    )


def _foremost(targets: Targets, distance: Floats, unit: int) -> int:
    rows: Rows = np.flatnonzero(targets.unit == unit)
    return int(rows[np.argmin(distance[rows])])


# -- rates ------------------------------------------------------------------------------------------


def _rate(bench: Workbench, result: AttackResult, field: str, share: float, least: int) -> Value:
    """True positives at a threshold from the choosing half, with what became of the false ones."""
    others = int((result.judged & ~result.split.member).sum())
    if others < least:
        reason = (
            f"with {others} non-members, a rate at {share:.1%} false alarms cannot be certified: {least} are needed"
        )
        return Value(field=field, unit="share of members", status="not_assessable", reason=reason, decidable=False)
    attack, threshold = result.split.sharpest(share)
    found = result.split.guesses(attack, threshold, result.judged)
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
