"""How much privacy loss do the attacks prove: a lower bound on ε."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.stats import beta

from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.leakage._membership.attacked_records import LEAST, MOST, Attacked, select_targets
from counterproof.metrics.leakage._membership.attacks import attack_scores
from counterproof.metrics.leakage._membership.evaluation import Guesses, SplitScores, split_and_score
from counterproof.metrics.leakage.membership import too_few
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Flags
from counterproof.metrics.statistics.proportions import clopper_pearson
from counterproof.metrics.workbench import Workbench

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
GUESSED = 0.05  # of the half that counts, fixed beforehand
METHOD = "one-sided lower bound; the upper end is the most that this audit could show"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One lower bound and how it came about."""

    value: float
    ceiling: float
    words: str

    def estimate(self, level: float) -> Estimate:
        """The bound, up to the most that these sizes could show."""
        return Estimate(
            value=self.value, low=self.value, high=max(self.value, self.ceiling), level=level, method=METHOD
        )


@metric(
    id="leakage.epsilon",
    family="leakage",
    title="empirical lower bound on ε",
    algo=2,
    unit="ε",
    null="membership",
    needs=Needs(holdout=True, smallest_n=100),
    tolerances=(Tolerance("claim", "<=", 0.0, "attacks that prove more than the claimed ε prove the claim false"),),
    quantities={
        "claim": Quantity(
            name="Empirical lower bound above the claimed ε",
            measure="ε higher by {}",
            finding="Attacks prove more leakage than the claimed ε allows",
            means="The claim of differential privacy is false.",
            remedy="Check the privacy accounting of the generator before anything is released.",
        ),
    },
)
def epsilon(
    bench: Workbench,
    *,
    claimed: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None,
    records: Attacked = MOST,
) -> Iterator[Value]:
    """The privacy loss ε that the membership attacks prove, at the confidence of the audit.

    Two methods are used: the rates of true and false positives at a threshold of the other half (``rates``),
    and the one-run audit, which counts how many of the surest guesses are right (``one_run``). ``value`` is the
    one that did better on the half of the records that chooses.

    Formula:
        ε ≥ log(lower bound of the true positive rate / upper bound of the false positive rate), for δ = 0

    How to read it:
        A lower bound on leakage by these attacks: a generator of differential privacy ε cannot exceed its ε
        except by the chance that is left. 0 proves nothing, above all no privacy. The upper end of the interval
        is what a perfect attack would have shown at this size. A ``claimed`` ε is falsified if the bound
        exceeds it, else "not falsified", never confirmed.

    Limits:
        A better attack may prove more. Train and holdout must be a random split (the coin that made a record a
        member). With clusters the loss is that of a source.

    Args:
        bench: The samples.
        claimed: The ε that the generator is said to keep.
        records: Records attacked on each side, at most.

    Yields:
        value: The bound of the method that was chosen.
        rates: The bound by true and false positive rates.
        one_run: The bound of the one-run audit.
        claim: The bound less the claimed ε.

    Source:
        Steinke, Nasr and Jagielski (2023), arXiv:2305.08846; Clopper and Pearson (1934),
        doi:10.1093/biomet/26.4.404.
    """
    if claimed is not None and not (math.isfinite(claimed) and claimed >= 0):
        raise MetricError(f"leakage.epsilon: claimed = {claimed} is no ε: give a number from 0")
    targets = select_targets(bench, records)
    if targets.side < LEAST:
        yield Value(status="not_assessable", reason=too_few(targets))
        yield _claim(bench, claimed, None)
        return
    split = split_and_score(bench, targets, attack_scores(bench, targets))
    made = lower_bounds(split, bench.level)
    n = {"members": int((split.member & ~split.choosing).sum())}
    n["non-members"] = int((~split.member & ~split.choosing).sum())
    best = max(made, key=lambda method: made[method][0])
    chosen = replace(made[best][1], ceiling=max(bound.ceiling for _, bound in made.values()))
    remark = f"; {targets.remark}" if targets.remark else ""
    told = f"{chosen.words}; a perfect attack would have shown {chosen.ceiling:.2f}; a random split is assumed"
    yield Value(estimate=chosen.estimate(bench.level), n=n, reason=told + remark)
    for method, (_, bound) in made.items():
        yield Value(field=method, estimate=bound.estimate(bench.level), n=n, reason=bound.words)
    yield _claim(bench, claimed, chosen)


def _claim(bench: Workbench, claimed: float | None, found: Bound | None) -> Value:
    """Whether what is claimed is false; it cannot be shown to be true."""
    if claimed is None:
        return Value(field="claim", status="not_applicable", reason="no ε was claimed")
    if found is None:
        return Value(field="claim", status="not_assessable", reason="too few records to try the claimed ε")
    over = found.value - claimed
    estimate = Estimate.point(over, level=bench.level, method="lower bound less the claim")
    alarm = f"the claimed ε = {claimed:g} is falsified: these attacks prove at least {found.value:.2f}"
    reason = f"the claimed ε = {claimed:g} is not falsified, which does not confirm it"
    if found.ceiling <= claimed:
        reason += f": at this size no attack could have shown more than {found.ceiling:.2f}"
    return Value(
        field="claim",
        estimate=estimate,
        alarm=alarm if over > 0 and not bench.is_null else "",
        reason="falsified" if over > 0 else reason,
    )


def lower_bounds(split: SplitScores, level: float) -> dict[str, tuple[float, Bound]]:
    """By method: the bound on the choosing half, which only serves to choose, and the bound that counts."""
    return {"rates": _by_rates(split, level), "one_run": _by_one_run(split, level)}


# -- two rates --------------------------------------------------------------------------------------


def rate_bound(found: Guesses, level: float) -> float:
    """``ln(TPR / FPR)`` at the pessimistic ends of their exact intervals; nothing is shown below 0.

    >>> round(rate_bound(Guesses(right=100, members=100, wrong=0, others=100), 0.95), 2)
    3.28
    """
    right = clopper_pearson(found.right, found.members, level).low
    wrong = clopper_pearson(found.wrong, found.others, level).high
    return math.log(right / wrong) if right > 0 else -math.inf


def _by_rates(split: SplitScores, level: float) -> tuple[float, Bound]:
    tried = [
        (rate_bound(split.guesses(attack, threshold, split.choosing), level), attack, share, threshold)
        for attack in split.scores
        for share in SHARES
        for threshold in [split.threshold(attack, share)]
    ]
    beforehand, attack, _, threshold = max(tried, key=lambda t: t[0])
    found = split.guesses(attack, threshold, ~split.choosing)
    perfect = Guesses(right=found.members, members=found.members, wrong=0, others=found.others)
    words = (
        f"{found.right} of {found.members} members called so and {found.wrong} of {found.others} non-members, "
        f"by the attack {attack!r}"
    )
    return beforehand, Bound(value=max(0.0, rate_bound(found, level)), ceiling=rate_bound(perfect, level), words=words)


# -- one run ----------------------------------------------------------------------------------------


def one_run_bound(right: int, guessed: int, level: float) -> float:
    """The largest ε at which so many right guesses are rarer than ``1 - level``; nothing is shown below 0.

    A guess about a record of an ε-private generator is right with probability e^ε / (1 + e^ε) at most.

    >>> round(one_run_bound(100, 100, 0.95), 2), round(one_run_bound(50, 100, 0.95), 2)
    (3.49, -0.35)
    """
    if right == 0:
        return -math.inf
    least = float(beta.ppf(1 - level, right, guessed - right + 1))  # binom.sf(right - 1, guessed, least) = 1 - level
    return math.log(least / (1 - least))


def surest(split: SplitScores, attack: str, where: Flags) -> tuple[int, int]:
    """Of the surest guesses: how many were right, and how many there were."""
    at = np.flatnonzero(where)
    guessed = math.ceil(GUESSED * len(at))
    top = at[np.argsort(-split.rank[attack][at])[:guessed]]
    return int(split.member[top].sum()), guessed


def _by_one_run(split: SplitScores, level: float) -> tuple[float, Bound]:
    right = {attack: surest(split, attack, split.choosing) for attack in split.scores}
    attack = max(right, key=lambda name: (right[name][0], split.area(name, split.choosing)))
    found, guessed = surest(split, attack, ~split.choosing)
    words = f"{found} of the {guessed} surest guesses right, by the attack {attack!r}"
    ceiling = one_run_bound(guessed, guessed, level)
    return one_run_bound(*right[attack], level), Bound(
        value=max(0.0, one_run_bound(found, guessed, level)), ceiling=ceiling, words=words
    )
