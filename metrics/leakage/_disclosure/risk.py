"""Success rates of attacks on members, on non-members and by guessing; the risk between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from counterproof.metrics.estimate import Estimate, Evidence, Group, Panel
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.proportions import wilson
from counterproof.metrics.statistics.ratios import excess_risk
from counterproof.metrics.workbench import Workbench


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one attack reached.

    Attributes:
        hits: Successes on members and on non-members; expectations need not be whole.
        sizes: Attacks on members and on non-members.
        baseline: What guessing reaches on members.
        remark: What a reader should know of this attack.
        records: Members and non-members behind the attacks, where an attack is not on one record.
    """

    hits: tuple[float, float]
    sizes: tuple[int, int]
    baseline: Estimate
    remark: str = ""
    records: tuple[int, int] | None = None

    def attack(self, level: float) -> Estimate:
        """The success rate on members."""
        return wilson(self.hits[0], self.sizes[0], level)

    def control(self, level: float) -> Estimate:
        """The success rate on non-members."""
        return wilson(self.hits[1], self.sizes[1], level)

    @property
    def saturated(self) -> bool:
        """Whether the control always succeeds: nothing is left that a leak could add."""
        return self.hits[1] >= self.sizes[1]

    def risk(self, level: float) -> Estimate:
        """What the release tells of members that it does not tell of everyone."""
        return excess_risk(self.attack(level), self.control(level))


def worst_risk(rates: Mapping[Group, Rates], level: float) -> tuple[Group, Estimate]:
    """The largest risk of several attacks, simultaneous over all of them, and where it is.

    Every attack gets its interval at the Šidák level of all; the largest risk lies between the
    largest lower and the largest upper end. The value is that of the attack with the largest lower
    end: the one that is shown to be worst, not the one that is known worst. Conservative, since
    attacks on the same rows go together.
    """
    risks = {group: found.risk(level ** (1 / len(rates))) for group, found in rates.items()}
    group = max(risks, key=lambda at: risks[at].low)
    return group, Estimate(
        value=risks[group].value,
        low=risks[group].low,
        high=max(r.high for r in risks.values()),
        level=level,
        method="MOVER-R of Wilson scores" + (f", Šidák over {len(rates)} attacks" if len(rates) > 1 else ""),
    )


def told(
    bench: Workbench,
    rates: Mapping[Group, Rates],
    *,
    remark: str,
    evidence: Callable[[Group], tuple[Evidence, ...]],
    failures: Mapping[Group, str] | None = None,
) -> Iterator[Value]:
    """The values of a metric of attacks: the worst attack, then every attack as a cell.

    Args:
        bench: The view.
        rates: What each attack reached.
        remark: How the attacks were made.
        evidence: Makes the rows behind an attack.
        failures: Attacks that could not be made, and why.
    """
    judged = {group: found for group, found in rates.items() if not found.saturated}
    if not judged:
        yield Value(status="not_assessable", reason=_nothing(rates, failures or {}))
        return
    worst, risk = worst_risk(judged, bench.level)
    if bench.is_null:
        yield Value(estimate=risk)
        for group, found in judged.items():
            yield Value(estimate=found.risk(bench.level), group=group)
        return
    reason = f"{_sentence(judged[worst], risk, worst)}; {remark}"
    panels = _panels(judged, bench.level)
    yield Value(estimate=risk, n=_sizes(judged[worst]), reason=reason, evidence=evidence(worst), panels=panels)
    yield from _fields(judged[worst], (), bench.level)
    for group, found in rates.items():
        yield from _cell(found, group, bench.level)
    for group, why in (failures or {}).items():
        yield Value(group=group, status="not_assessable", reason=why)


def _cell(found: Rates, group: Group, level: float) -> Iterator[Value]:
    if found.saturated:
        yield Value(group=group, n=_sizes(found), status="not_assessable", reason=SATURATED)
        return
    own = found.risk(level)
    yield Value(estimate=own, group=group, n=_sizes(found), reason=_sentence(found, own, group))
    yield from _fields(found, group, level)


SATURATED = "the attack always succeeds on records that the generator never saw, so there is no excess to measure"


def _nothing(rates: Mapping[Group, Rates], failures: Mapping[Group, str]) -> str:
    return SATURATED if rates else next(iter(failures.values()), "no attack could be made on these columns")


def _sizes(found: Rates) -> dict[str, int]:
    train, holdout = found.records or found.sizes
    return {"train": train, "holdout": holdout}


def _fields(found: Rates, group: Group, level: float) -> Iterator[Value]:
    """The three rates behind a risk."""
    for field, estimate in (
        ("attack", found.attack(level)),
        ("control", found.control(level)),
        ("baseline", found.baseline),
    ):
        yield Value(field=field, group=group, estimate=estimate, n=_sizes(found), unit="share of attacks")


def _sentence(found: Rates, risk: Estimate, group: Group) -> str:
    """The rates in words, and how much the interval leaves open."""
    attack, control = (hit / size for hit, size in zip(found.hits, found.sizes, strict=True))
    where = f" ({', '.join(str(value) for _, value in group)})" if group else ""
    rates = f"success {attack:.3g} on train, {control:.3g} on holdout, {found.baseline.value:.3g} by guessing{where}"
    if risk.low > 0:
        outcome = "members are easier to attack than others"
    else:
        outcome = f"no leak found by this attack at this power: a risk of {risk.high:.2g} is not excluded"
    return f"{rates}; {outcome}" + (f"; {found.remark}" if found.remark else "")


def _panels(rates: Mapping[Group, Rates], level: float) -> tuple[Panel, ...]:
    if len(rates) < 2:
        return ()
    found = sorted(((r.risk(level).value, str(group[0][1])) for group, r in rates.items()), reverse=True)
    data = {
        "labels": [label for _, label in found],
        "values": [value for value, _ in found],
        "value_title": "risk: (attack - control) / (1 - control)",
    }
    return (Panel(kind="bars", title="Risk by attack", data=data, note="About 0 where nothing leaks."),)
