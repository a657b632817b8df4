"""Gates that no faithful release of this size would surely pass are undecided, told from the real rows alone."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.readings import reading
from hypothesis import given
from hypothesis import strategies as st

from counterproof.judging.decidability import (
    WIDEST,
    decidable_together,
    pass_probability,
    rows_to_decide,
    widened,
)
from counterproof.judging.gates import judge_gates
from counterproof.judging.grammar import Gate, parse_gate
from counterproof.judging.verdict import families_of, verdict_of
from counterproof.metrics.estimate import Better
from counterproof.reports.judgement import Operator, judge
from counterproof.reports.model import ExpectedReading, GateReading, Reading

P, R, U = "fidelity.precision", "coverage.representation", "utility.tstr"
Z = 1.6448536269514722


def gate(text: str, *, source: str = "policy") -> Gate:
    return parse_gate(text, known={P, R, U}, source=source)  # type: ignore[arg-type]


def judged(text: str, *measured: Reading, source: str = "policy", **rules: object) -> GateReading:
    (found,) = judge_gates([gate(text, source=source)], measured, **rules)  # type: ignore[arg-type]
    return found


def faithful(spread: float, *, error: float | None = None, value: float = 0.0) -> ExpectedReading:
    return ExpectedReading(value=value, spread=spread, error=spread if error is None else error)


def excess(value: float, spread: float, **more: object) -> Reading:
    return reading(P, value, error=spread, field="excess", headline=False, expected=faithful(spread), **more)


@pytest.mark.parametrize("better", ["lower", "zero"])
@pytest.mark.parametrize(("spread", "error", "value"), [(0.03, 0.03, 0.0), (0.02, 0.05, 0.01), (0.05, 0.02, -0.02)])
def test_the_probability_is_the_share_of_faithful_releases_that_pass(
    better: Better, spread: float, error: float, value: float
) -> None:
    drawn = np.random.default_rng(0).normal(value, spread, 4000)
    verdicts = [
        judge(
            reading(P, float(x), error=error).estimate,  # type: ignore[arg-type]
            "<=",
            0.1,
            0.1,
            better=better,
            confidence=0.95,
            fail_confidence=0.999,
        )
        for x in drawn
    ]
    share = np.mean([verdict == "pass" for verdict in verdicts])
    expected = faithful(spread, error=error, value=value)
    found = pass_probability(expected, operator="<=", limit=0.1, better=better, confidence=0.95)
    assert found == pytest.approx(share, abs=0.02)


def test_lower_limits_mirror_upper_ones() -> None:
    up = pass_probability(faithful(0.02), operator="<=", limit=0.05, better="lower", confidence=0.95)
    down = pass_probability(faithful(0.02), operator=">=", limit=-0.05, better="higher", confidence=0.95)
    assert up == pytest.approx(down)
    assert pass_probability(faithful(0.0), operator="<=", limit=0.05, better="lower", confidence=0.95) == 1.0
    assert pass_probability(faithful(0.0), operator=">=", limit=0.05, better="lower", confidence=0.95) == 0.0


@given(
    spread=st.floats(1e-4, 1),
    limit=st.floats(0.01, 0.5),
    operator=st.sampled_from(["<=", ">="]),
)
def test_a_limit_widens_to_what_real_data_reach_and_no_further_than_twice(
    spread: float, limit: float, operator: Operator
) -> None:
    sign = 1 if operator == "<=" else -1
    found = sign * widened(sign * limit, faithful(spread), operator=operator, better="lower", confidence=0.95)
    assert limit <= found <= WIDEST * limit * (1 + 1e-12)
    if limit < found < WIDEST * limit * (1 - 1e-9):
        miss = 1 - pass_probability(
            faithful(spread), operator=operator, limit=sign * found, better="lower", confidence=0.95
        )
        assert miss == pytest.approx(0.0002, rel=1e-2)


def test_the_most_cells_that_pass_together_decide() -> None:
    assert decidable_together([0.92]) == [True]
    assert decidable_together([0.89]) == [False]
    assert decidable_together([0.99, 0.995, 0.99, 0.5]) == [True, True, True, False]
    assert decidable_together([0.95, 0.999]) == [False, True]
    assert decidable_together([]) == []


def test_what_real_rows_cannot_decide_is_undecided_whatever_the_release_shows() -> None:
    for value in (0.0, 0.12, 0.25):
        found = judged(f"{P}.excess <= 0.1", excess(value, 0.09))
        assert found.verdict == "undecided"
        assert found.why == f"too few rows to judge: Precision; about {found.n_needed:,} rows a side would decide it"
    assert judged(f"{P}.excess <= 0.1", excess(0.9, 0.09)).verdict == "fail", "it may still fail"
    assert judged(f"{P}.excess <= 0.1", excess(0.12, 0.09), undecided="block").verdict == "inconclusive"


def test_who_asks_for_one_gate_is_not_told_that_it_is_set_aside() -> None:
    assert judged(f"{P}.excess <= 0.1", excess(0.0, 0.09), source="config").verdict == "inconclusive"


def test_a_widened_limit_is_said_and_is_never_the_users() -> None:
    found = judged(f"{P}.excess <= 0.1", excess(0.02, 0.03))
    assert found.verdict == "pass"
    assert found.limit == pytest.approx(Z * 0.03 + 3.540084 * 0.03, rel=1e-4)
    assert found.why == (
        "Precision: 0.0200 [-0.0388, 0.0788]; "
        "the limit is 0.156 (0.1 by policy; widened, as real data of this size differ by as much)"
    )
    assert judged(f"{P}.excess <= 0.1", excess(0.02, 0.03), source="config").limit == 0.1
    assert judged(f"{P}.excess <= 0.1", excess(0.02, 0.01)).limit == 0.1
    assert judged(f"{P}.excess <= 0.1", excess(0.02, 0.03), undecided="block").limit == 0.1


def test_rows_to_decide_shrink_the_error_to_the_limit() -> None:
    rows = rows_to_decide(faithful(0.1), operator="<=", limit=0.1, better="lower", confidence=0.95, rows=1000)
    assert rows is not None
    spread = 0.1 * np.sqrt(1000 / rows)
    assert pass_probability(
        faithful(float(spread)), operator="<=", limit=0.1, better="lower", confidence=0.95
    ) == pytest.approx(0.9, abs=0.01)
    beyond = rows_to_decide(faithful(0.1, value=0.2), operator="<=", limit=0.1, better="lower", confidence=0.95, rows=9)
    assert beyond is None


def test_a_question_none_of_whose_gates_decides_is_inconclusive_and_so_is_the_whole() -> None:
    sure, unsure = excess(0.0, 0.01), reading(U, 0.0, error=0.09, field="gap", expected=faithful(0.09))
    gates = judge_gates([gate(f"{P}.excess <= 0.1"), gate(f"{U}.gap <= 0.02")], [sure, unsure])
    assert [found.verdict for found in gates] == ["pass", "undecided"]
    verdict, because, _ = verdict_of(gates, [sure, unsure])
    assert verdict == "inconclusive"
    assert because.startswith("Utility cannot be judged: too few rows to judge: Tstr, gap; about ")
    assert families_of(gates, [sure, unsure])["utility"].verdict == "inconclusive"
    assert families_of(gates, [sure, unsure])["fidelity"].verdict == "pass"


def test_one_undecided_gate_beside_one_that_passes_blocks_nothing() -> None:
    sure, unsure = excess(0.0, 0.01), reading(P, 0.0, error=0.3, field="other_excess", expected=faithful(0.3))
    gates = judge_gates([gate(f"{P}.excess <= 0.1"), gate(f"{P}.other_excess <= 0.1")], [sure, unsure])
    verdict, _, warnings = verdict_of(gates, [sure, unsure])
    assert (verdict, warnings) == ("pass", [])


@given(spreads=st.lists(st.floats(0.001, 0.3), min_size=1, max_size=8), limit=st.floats(0.02, 0.3))
def test_gates_that_read_the_same_cells_agree_on_what_is_decidable(spreads: list[float], limit: float) -> None:
    cells = [
        reading(R, 0.0, error=spread, field="change", group={"g": str(i)}, better="zero", expected=faithful(spread))
        for i, spread in enumerate(spreads)
    ]
    first, second = judge_gates([gate(f"{R}.change[*] <= {limit!r}"), gate(f"{R}.change[g=*] <= {limit!r}")], cells)
    aside = [{cell.group["g"] for cell in found.too_few} for found in (first, second)]
    assert aside[0] == aside[1]
    assert first.verdict == second.verdict


def test_what_stands_at_its_limit_asks_for_no_rows() -> None:
    found = judged(f"{P}.excess <= 0.1", reading(P, 0.0999, error=0.02, field="excess"))
    assert found.verdict == "inconclusive"
    assert found.n_needed is None
    assert found.why.endswith("; it stands so near its limit that more rows would hardly decide")
