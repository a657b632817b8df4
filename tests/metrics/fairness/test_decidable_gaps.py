"""Gates on gaps between groups: fresh rows with small groups never fail; what is planted in a large one is found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from helpers.staged_models import bench_of, table

from counterproof.judging.gates import judge_gates
from counterproof.judging.policy import policy_gates
from counterproof.measuring.measure import measure
from counterproof.metrics.fairness.group_gaps import (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    worst_group_accuracy,
)
from counterproof.metrics.metric import Metric
from counterproof.metrics.workbench import Workbench
from counterproof.reports.model import GateReading, Reading

GATED = (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    worst_group_accuracy,
)


def world(seed: int, n: int, *, flipped: float = 0.0) -> Workbench:
    """Rows a role of one population: 40 % women, of whose "yes" some are "no" in the release; two races are rare."""
    rng = np.random.default_rng(seed)
    sex, race = (
        rng.choice(["F", "M"], 3 * n, p=[0.4, 0.6]),
        rng.choice(list("abcde"), 3 * n, p=[0.6, 0.2, 0.15, 0.03, 0.02]),
    )
    x = rng.normal(size=(3 * n, 4)) + 0.3 * (sex == "F")[:, None]
    log_odds = 1.2 * x[:, 0] - x[:, 1] + 0.8 * x[:, 2] * x[:, 3] - 0.8 - 0.5 * (sex == "F") + 0.4 * (race == "b")
    label = rng.random(3 * n) < 1 / (1 + np.exp(-log_odds))
    release = np.arange(3 * n) // n == 1
    label &= ~(release & (sex == "F") & (rng.random(3 * n) < flipped))
    labels = np.where(label, "yes", "no")
    return bench_of(table(x, labels, groups={"sex": sex, "race": race}), learning=n, synthetic_train=n)


def judged(bench: Workbench) -> dict[str, GateReading]:
    gates = {}
    for metric in GATED:
        (gates[metric.id],) = judge_gates(policy_gates([metric]), readings(metric, bench))
    return gates


def readings(metric: Metric, bench: Workbench) -> list[Reading]:
    made = measure(metric, bench, metric.configure({"models": ("linear",)}))
    assert not [m.reason for m in made if m.status == "error"]
    return [Reading.of(m, family=metric.family, title=metric.title) for m in made]


def true_positive_cells(cells: list[Mapping[str, str | None]]) -> set[tuple[tuple[str, str | None], ...]]:
    return {
        tuple(sorted((name, value) for name, value in cell.items() if name != "rate"))
        for cell in cells
        if cell.get("rate", "true positive rate") == "true positive rate"
    }


@pytest.mark.parametrize("n", [60, 1000])
def test_fresh_rows_with_small_groups_pass_or_are_undecided(n: int) -> None:
    for seed in range(3):
        for gate in judged(world(seed, n)).values():
            assert gate.verdict in ("pass", "undecided"), gate.why
            if gate.verdict == "undecided":
                assert gate.why.startswith("too few rows to judge: ")
                assert "rows a side would decide" in gate.why


def test_gates_that_read_the_same_cells_agree_on_what_is_decidable() -> None:
    for seed in (4, 5):
        gates = judged(world(seed, 800))
        opportunity, odds = gates[equal_opportunity_difference.id], gates[equalized_odds_difference.id]
        assert opportunity.cells
        assert opportunity.too_few
        for which in ("cells", "too_few"):
            one, other = (
                true_positive_cells([cell.group for cell in getattr(gate, which)]) for gate in (opportunity, odds)
            )
            assert one == other


def test_flips_in_a_large_group_are_found_at_3000_rows() -> None:
    gates = judged(world(0, 3000, flipped=0.75))
    for metric in (demographic_parity_difference, equal_opportunity_difference, equalized_odds_difference):
        assert gates[metric.id].verdict == "fail", gates[metric.id].why
        assert "F – M" in gates[metric.id].why


@pytest.mark.slow
def test_fresh_rows_pass_what_is_decidable() -> None:
    """Of 40 audits of four gates at 1,000 rows none fails, and at most one gate in twelve is left open."""
    verdicts = [gate.verdict for seed in range(10, 50) for gate in judged(world(seed, 1000)).values()]
    assert "fail" not in verdicts
    assert verdicts.count("inconclusive") <= len(verdicts) / 12
    assert verdicts.count("pass") > len(verdicts) / 2
