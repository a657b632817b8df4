from __future__ import annotations

import math
from typing import Any

import pytest
from helpers.readings import floor, reading, record
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from counterproof.judging.gates import judge_gates, resolve_gate
from counterproof.judging.grammar import Gate, parse_gate
from counterproof.judging.tokens import GateError
from counterproof.reports.model import GateReading, Reading

P = "fidelity.precision"
R = "coverage.representation"


def gate(text: str, **more: Any) -> Gate:
    return parse_gate(text, known={P, R, "leakage.copies", "utility.tstr"}, **more)


def judged(text: str, *measured: Reading, **rules: Any) -> GateReading:
    (found,) = judge_gates([gate(text)], measured, **rules)
    return found


@given(
    value=st.floats(-2, 2),
    error=st.floats(0.001, 1),
    limit=st.floats(-2, 2),
    slack=st.floats(0, 1),
    confidence=st.floats(0.6, 0.999),
    gates=st.integers(1, 20),
    cells=st.integers(1, 5),
    upper=st.booleans(),
)
def test_verdicts_follow_the_two_bounds(
    value: float, error: float, limit: float, slack: float, confidence: float, gates: int, cells: int, upper: bool
) -> None:
    operator, fail = ("<=", limit + slack) if upper else (">=", limit - slack)
    measured = [reading(R, value, error=error, group={"g": str(i)}) for i in range(cells)]
    asked = [gate(f"{R}[g=*] {operator} {limit!r} fail {fail!r}")] * gates
    found = judge_gates(asked, measured, confidence=confidence)[0]

    toward = 1 if upper else -1
    pass_bound = value + toward * norm.ppf(confidence) * error
    fail_bound = value - toward * norm.ppf(1 - (1 - confidence) / (gates * cells)) * error
    expected = "inconclusive"
    if toward * (fail_bound - fail) > 0:
        expected = "fail"
    elif toward * (pass_bound - limit) <= 0:
        expected = "pass"
    if min(abs(fail_bound - fail), abs(pass_bound - limit)) < 1e-6:
        return  # on the line, rounding decides
    assert found.verdict == expected
    assert found.bound == pytest.approx(pass_bound)
    assert found.adjusted_for == gates * cells
    assert {cell.verdict for cell in found.cells} == {expected}


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.0, "pass"), (0.05, "pass"), (-0.05, "pass"), (0.3, "fail"), (-0.3, "fail"), (-0.1, "inconclusive")],
)
def test_a_signed_change_is_judged_on_both_sides(value: float, verdict: str) -> None:
    found = judged(f"{P} <= 0.1", reading(value=value, better="zero"))
    assert found.verdict == verdict
    assert found.margin == pytest.approx(0.1 - abs(value))


def test_the_rows_that_would_decide() -> None:
    found = judged(f"{P} <= 0.1", reading(value=0.09, error=0.01))
    exact = 2000 * (norm.ppf(0.95) * 0.01 / 0.01) ** 2
    assert found.verdict == "inconclusive"
    assert exact <= found.n_needed <= exact * 1.1
    assert found.why == (
        "Precision: 0.090 [0.070, 0.110]; the limit is 0.1; but these data leave 0.106 possible "
        f"(n = 2,000; about {found.n_needed:,} rows would decide)"
    )


def test_between_the_two_limits_no_number_of_rows_decides() -> None:
    found = judged(f"{P} <= 0.1 fail 0.3", reading(value=0.2, error=0.001))
    assert (found.verdict, found.n_needed, found.fail_limit) == ("inconclusive", None, 0.3)
    assert found.why == (
        "Precision: 0.200 [0.198, 0.202]; the limit is 0.1, and 0.3 fails; between what passes and what fails"
    )


def test_too_few_rows_never_pass_but_may_fail() -> None:
    small = {"n": {"reference": 5000, "candidate": 40}, "smallest_n": 500}
    passing, failing = reading(value=0.01, **small), reading(value=0.5, **small)
    found = judged(f"{P} <= 0.1", passing)
    assert (found.verdict, found.n_needed) == ("inconclusive", 500)
    assert "at least 500 rows a side, and there are 40" in found.why
    assert judged(f"{P} <= 0.1", failing).verdict == "fail"


def test_a_comparison_of_too_few_rows_says_what_the_gate_says() -> None:
    small = reading(value=0.01, n={"reference": 5000, "candidate": 40}, smallest_n=500, better="lower")
    found = small <= 0.1
    assert (found.verdict, found.n_needed) == ("inconclusive", 500)
    words = "a pass needs at least 500 rows a side, and there are 40"
    assert words in found.sentence
    assert words in judged(f"{P} <= 0.1", small).why
    with pytest.raises(AssertionError, match=words):
        assert small <= 0.1
    assert (reading(value=0.5, n={"candidate": 40}, smallest_n=500) <= 0.1).verdict == "fail"
    assert (reading(value=0.01, n={"candidate": 500}, smallest_n=500) <= 0.1).verdict == "pass"


def test_a_place_read_twice_is_judged_by_the_worse_reading() -> None:
    alarming, fine = reading(P, 0.0, alarm="12 rows are copies"), reading(P, 0.0)
    for order in ((alarming, fine), (fine, alarming)):
        found = judged(f"{P} <= 0.1", *order)
        assert (found.verdict, found.why) == ("fail", "12 rows are copies")


def test_an_alarm_fails_whatever_the_interval_says() -> None:
    found = judged("leakage.copies <= 0.01", reading("leakage.copies", 0.0, error=0.0001, alarm="12 rows are copies"))
    assert (found.verdict, found.why, found.limit) == ("fail", "12 rows are copies", 0.01)
    unmeasured = reading("utility.tstr", None, field="gap", status="not_assessable", reason="-", alarm="one class")
    assert judged("utility.tstr.gap[*] <= 0.02", unmeasured).why == "one class"
    base = reading(value=0.9, title="precision", alarm="nothing is left")
    assert judged(f"{P}.excess <= 0.1", base, reading(value=0.0, field="excess")).why == "nothing is left"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [("error", "error"), ("not_applicable", "not_applicable"), ("not_assessable", "inconclusive")],
)
def test_states_of_what_was_not_measured(status: str, verdict: str) -> None:
    state = reading(value=None, status=status, reason="the dog ate it")
    for text in (f"{P} <= 1", f"{P}.excess <= 1", f"{P}[*] <= 1", f"{P}.excess[sex=F] <= 1"):
        found = judged(text, state)
        assert found.verdict == verdict
        assert "the dog ate it" in found.why


def test_an_excess_of_what_does_not_apply_does_not_apply() -> None:
    state = reading(value=None, field="missing", status="not_applicable", reason="nothing is missing")
    found = judged(f"{P}.missing_excess[*] <= 0.1", reading(), state)
    assert (found.verdict, found.why) == (
        "not_applicable",
        "Precision, missing does not apply here: nothing is missing",
    )
    blind = reading(value=None, status="not_assessable", reason="no scale")
    assert judged(f"{P}.missing_excess[*] <= 0.1", blind, state).verdict == "not_applicable"
    assert judged(f"{P}.excess <= 0.1", blind, state).verdict == "inconclusive"


def test_leakage_without_holdout_is_inconclusive_unless_allowed() -> None:
    state = reading("leakage.copies", None, status="not_assessable", reason="without holdout rows")
    assert judged("leakage.copies <= 0.01", state).verdict == "inconclusive"
    assert judged("leakage.copies <= 0.01", state, without_holdout="allow").verdict == "not_applicable"
    other = reading("utility.tstr", None, status="not_assessable", reason="no model")
    assert judged("utility.tstr <= 0.01", other, without_holdout="allow").verdict == "inconclusive"


def test_a_known_metric_that_was_not_measured_fails_closed() -> None:
    (found,) = judge_gates([gate("leakage.copies <= 0.01")], [reading()])
    assert (found.verdict, found.family) == ("error", "leakage")
    assert found.why == "leakage.copies was not measured in this audit"


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(GateError, match=r"no metric is called fidelity.precison; did you mean fidelity.precision"):
        judge_gates([parse_gate("fidelity.precison <= 1", known=())], [reading()])
    with pytest.raises(GateError, match=r"has no field exces; did you mean fidelity.precision.excess"):
        judged(f"{P}.exces <= 1", reading(), reading(field="excess"))
    with pytest.raises(GateError, match="did you mean"):
        resolve_gate(parse_gate("leakage.copes <= 1", known=()), {"leakage.copies"})


def test_a_group_that_is_not_there_is_an_error_that_names_the_nearest() -> None:
    found = judged(f"{R}[sex=Femal] >= 0.8", reading(R), reading(R, group={"sex": "Female"}))
    assert found.verdict == "error"
    assert found.why.endswith("was not measured at [sex=Femal]; did you mean sex=Female?")


def test_a_mistake_of_the_policy_is_an_error_and_no_exception() -> None:
    for text in (f"{P}.exces <= 1", f"{P} <= baseline", "nobody.knows <= 1"):
        (found,) = judge_gates([gate(text, source="policy")], [reading()])
        assert found.verdict == "error"
        assert found.why


def cells(**values: float) -> list[Reading]:
    """Undecidable where the name is in lower case."""
    return [
        reading(R, value, group={"g": name}, decidable=name.isupper(), better="higher")
        for name, value in values.items()
    ]


def test_every_decidable_cell_must_pass() -> None:
    assert judged(f"{R}[*] >= 0.8", *cells(A=0.9, B=0.95)).verdict == "pass"
    assert judged(f"{R}[*] >= 0.8", *cells(A=0.9, B=0.81)).verdict == "inconclusive"
    found = judged(f"{R}[*] >= 0.8", *cells(A=0.9, B=0.81, C=0.5))
    assert found.verdict == "fail"
    assert [cell.group["g"] for cell in found.cells] == ["C", "B", "A"]
    assert (found.value, found.group) == (0.5, None)


def test_small_cells_stand_aside_but_may_fail() -> None:
    found = judged(f"{R}[*] >= 0.8", *cells(A=0.9, b=0.81))
    assert found.verdict == "pass"
    assert [cell.group for cell in found.too_few] == [{"g": "b"}]
    assert [cell.group for cell in found.cells] == [{"g": "A"}]
    assert judged(f"{R}[*] >= 0.8", *cells(A=0.9, b=0.81), undecided="block").verdict == "inconclusive"
    assert judged(f"{R}[*] >= 0.8", *cells(A=0.9, b=0.95), undecided="block").verdict == "pass"
    failing = judged(f"{R}[*] >= 0.8", *cells(A=0.9, b=0.2))
    assert failing.verdict == "fail"
    assert not failing.too_few


def test_a_gate_of_small_cells_alone_says_nothing() -> None:
    found = judged(f"{R}[*] >= 0.8", *cells(a=0.81, b=0.95))
    assert (found.verdict, found.why) == ("undecided", "too few rows to judge: Representation, at 2 groups")
    assert len(found.too_few) == 2


def test_who_names_one_small_group_asks_about_it() -> None:
    assert judged(f"{R}[g=a] >= 0.8", *cells(a=0.81)).verdict == "inconclusive"


def test_what_could_not_be_assessed_stays_in_sight_of_a_gate_on_every_cell() -> None:
    blind = reading(R, None, group={"race": None}, status="not_assessable", reason="one predicted class")
    found = judged(f"{R}[*] >= 0.8", *cells(A=0.9), blind)
    assert found.verdict == "inconclusive"
    assert "one predicted class" in found.why


def test_a_blind_spot_of_one_field_does_not_touch_the_gate_of_another() -> None:
    blind = reading(R, None, group={"g": "B"}, status="not_assessable", reason="-")
    lost = reading(R, 0.0, field="lost", group={"g": "B"})
    assert judged(f"{R}.lost[*] <= 0.1", *cells(A=0.9), blind, lost).verdict == "pass"
    assert judged(f"{R}[*] >= 0.8", *cells(A=0.9), blind, lost).verdict == "inconclusive"


def test_selectors_pick_exactly_their_groups() -> None:
    groups: list[dict[str, str | None]] = [
        {},
        {"sex": None},
        {"sex": "F"},
        {"sex": "M"},
        {"sex": "F", "income": ">50K"},
        {"income": ">50K", "sex": "M"},
        {"race": "*"},
    ]
    measured = [reading(R, 0.1 * (i + 1), error=1, group=group) for i, group in enumerate(groups)]

    def values(where: str) -> list[float]:
        found = judged(f"{R}{where} <= 0", *measured)
        return sorted(round(10 * (cell.value or math.nan)) for cell in found.cells) or [round(10 * (found.value or 0))]

    assert values("") == [1]
    assert values("[sex]") == [2]
    assert values("[sex=F]") == [3]
    assert values("[sex=*]") == [3, 4]
    assert values('[sex=*, income=">50K"]') == [5, 6]
    assert values('[income=">50K", sex=F]') == [5]
    assert values('[race="*"]') == [7]
    assert values("[*]") == [3, 4, 5, 6, 7]


def test_a_gate_without_a_field_means_the_headline() -> None:
    measured = [
        reading("utility.tstr", 0.9, field="auroc", headline=False),
        reading("utility.tstr", 0.01, field="gap", headline=True, error=0.001),
    ]
    found = judged("utility.tstr <= 0.02", *measured)
    assert (found.field, found.verdict) == ("gap", "pass")


def test_limits_in_terms_of_the_floor() -> None:
    measured = reading(value=0.9, floor=floor(0.8, 0.01))
    assert judged(f"{P} >= floor - 0.05", measured).limit == pytest.approx(0.75)
    assert judged(f"{P} >= 0.9 * floor", measured).limit == pytest.approx(0.72)
    with pytest.raises(GateError, match=r"lies about 0.*gate fidelity.precision.excess instead"):
        judged(f"{P} <= 1.25 * floor", reading(floor=floor(-0.0002, 0.0007)))
    with pytest.raises(GateError, match="has no floor"):
        judged(f"{P} <= floor + 1", reading())
    with pytest.raises(GateError, match="stricter"):
        judged(f"{P} >= floor - 0.05 fail 0.9", measured)


def test_limits_in_terms_of_a_baseline() -> None:
    now = reading(value=0.9, protocol="p", params={"k": 5})
    old = record(reading(value=0.8, protocol="p", params={"k": 5}))
    found = judged(f"{P} >= baseline - 0.02", now, baseline=old)
    assert (found.verdict, found.limit) == ("pass", pytest.approx(0.78))
    with pytest.raises(GateError, match="no baseline record"):
        judged(f"{P} >= baseline - 0.02", now)
    with pytest.raises(GateError, match=r"has no value of fidelity\.precision\.value.sex=F"):
        judged(f"{P}[sex=F] >= baseline", reading(group={"sex": "F"}), baseline=old)
    for change in ({"algo": 2}, {"params": {"k": 3}}, {"protocol": "q"}):
        other = record(reading(value=0.8, **({"protocol": "p", "params": {"k": 5}} | change)))
        with pytest.raises(GateError, match="baseline has another"):
            judged(f"{P} >= baseline", now, baseline=other)


def test_why_reads_as_a_sentence() -> None:
    base = reading(value=0.71, title="precision", better="higher", floor=floor(0.83, 0.01))
    found = judged(f"{P}.excess <= 0.10", base, reading(value=0.12, field="excess", title="precision", error=0.001))
    assert found.why == "Precision: 0.710 [0.708, 0.712]; real against real 0.83; at least 0.73 is required"
    many = judged(f"{R}[*] >= 0.8", *cells(A=0.5, B=0.4, c=0.9))
    assert many.why == (
        "Representation, for g = B: 0.400 [0.380, 0.420]; at least 0.8 is required; the same for 1 more of 2 groups"
    )
    assert judged(f"{P} <= 0.1", reading(value=0.01, better="zero")).why == (
        "Precision: 0.0100 [-0.0096, 0.0296]; the limit is ±0.1"
    )
