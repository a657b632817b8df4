"""The one builder of sentences: amounts, templates, scales, limits, and which failure is told first."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from helpers.readings import Z, floor, manifest, reading
from helpers.records import normal_rows, three
from hypothesis import assume, given
from hypothesis import strategies as st

import counterproof as cp
from counterproof.judging.cells import Terms, judge_cell
from counterproof.judging.gates import judge_gates
from counterproof.judging.grammar import parse_gate
from counterproof.judging.verdict import judged
from counterproof.metrics.estimate import Better, Telling
from counterproof.metrics.metric import Metric, Tolerance, installed, load
from counterproof.reports.gate_lines import line_of
from counterproof.reports.judgement import Operator, holds
from counterproof.reports.model import (
    QUESTIONS,
    ColumnExtent,
    ExpectedReading,
    ExtentReading,
    GateReading,
    QuantityReading,
    Reading,
)
from counterproof.reports.record import Record
from counterproof.reports.sentences import (
    OF_SHUFFLED,
    Openness,
    Shown,
    amount,
    amount_within,
    filled,
    measured,
    most_telling,
    on_own_scale,
    place_in_words,
    quantity_of,
    sentence,
)
from counterproof.reports.wording import MOST_TO_DO, UNKNOWN_REMEDY, to_do, warnings_by_question
from counterproof.run import words_of

P = "fidelity.precision"
HOSTILE = ["{0}", "{column.__class__}", "{column!r:>9999999}", "{}", "{{", "}", "{group}", "{unit}", "%s", "{column}"]
PLAIN = QuantityReading(name="Precision")


@cache
def metrics() -> tuple[Metric, ...]:
    return tuple(load(name) for name in installed())


@cache
def words() -> Mapping[str, QuantityReading]:
    """What the installed metrics say of their fields, as an audit puts it into its record."""
    return words_of(metrics())


def shown(value: float | None = 0.2, reach: float = 0.02, **more: Any) -> Shown:
    ends: dict[str, Any] = {} if value is None else {"low": value - reach, "high": value + reach}
    plain: dict[str, Any] = {"quantity": PLAIN, "operator": "<=", "better": "lower", "value": value, "limit": 0.1}
    given = plain | ends | more
    return Shown(**{"fail_limit": given["limit"], **given})


# -- amounts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown_as", "told"),
    [
        (None, "percent", "–"),
        (0.0, "number", "0"),
        (-0.0, "percent", "0 %"),
        (0.65, "number", "0.65"),
        (0.0213, "percent", "2.1 %"),
        (0.000213, "percent", "0.021 %"),
        (1.0, "percent", "100 %"),
        (-0.32, "points", "-32 points"),
        (0.005, "points", "0.5 points"),
        (123456.0, "number", "123000"),
        (2.5e12, "number", "2.5e+12"),
        (3.2e-7, "number", "3.2e-07"),
    ],
)
def test_an_amount_has_its_unit(value: float | None, shown_as: Any, told: str) -> None:
    assert amount(value, shown_as) == told


@pytest.mark.parametrize(
    ("numbers", "shown_as", "least", "told"),
    [
        ((None, None, None), "number", None, "–"),
        ((0.0, 0.0, 0.0), "number", None, "0 [0, 0]"),
        ((1.0, 0.998, 1.0), "number", None, "1.00 [1.00, 1.00]"),
        ((0.5, None, None), "number", None, "0.500 [0.500, 0.500]"),
        ((0.0213, 0.017, 0.025), "percent", None, "2.1 % [1.7, 2.5]"),
        ((0.99, 0.97, 1.01), "percent", None, "99 % [97, 100]"),
        ((0.01, -0.005, 0.025), "percent", None, "1.0 % [0, 2.5]"),
        ((-0.01, -0.03, 0.01), "percent", None, "-1.0 % [-3.0, 1.0]"),
        ((-0.32, -0.331, -0.309), "points", None, "-32 points [-33, -31]"),
        ((-0.002, -0.01, 0.006), "number", 0.0, "0 within its error [0, 0.0060]"),
        ((-0.002, -0.01, -0.001), "number", 0.0, "0 within its error [0, 0]"),
        ((12345.6, 12000.0, 12700.0), "number", None, "12,346 [12,000, 12,700]"),
        ((4e12, 3e12, 5e12), "number", None, "4e+12 [3e+12, 5e+12]"),
        ((3.2e-7, -1e-8, 5e-7), "number", None, "3.2e-07 [-1e-08, 5e-07]"),
    ],
)
def test_a_number_and_its_interval_have_as_many_decimals(
    numbers: tuple[float, float, float], shown_as: Any, least: float | None, told: str
) -> None:
    assert amount_within(*numbers, shown_as, least) == told


@given(st.floats(-1e15, 1e15), st.floats(0, 1e15), st.sampled_from(["number", "percent", "points"]))
def test_every_number_is_told_on_one_line_without_a_negative_nought(value: float, reach: float, shown_as: Any) -> None:
    told = amount_within(value, value - reach, value + reach, shown_as)
    assert re.fullmatch(r"[-\d.,e+]+( %| points)? \[[-\d.,e+]+, [-\d.,e+]+\]", told)
    assert not re.search(r"-0(\.0*)?(?![\d.e])", told)


# -- templates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("template", ["Distribution of {column}", "{group} is thin", "Accuracy"])
def test_braces_in_a_value_are_only_text(template: str, value: str) -> None:
    told = filled(template, {"column": value})
    assert value in told
    assert "class" not in told.replace(value, "")
    assert len(told) < 80
    assert place_in_words({"column": value}) == value
    words = QuantityReading(name=template, finding=template, measure="{} of {unit}")
    for verdict in ("fail", "pass"):
        assert value in sentence(shown(quantity=words, unit=value), {"column": value}, verdict)  # type: ignore[arg-type]


@pytest.mark.parametrize("title", HOSTILE)
def test_a_title_is_no_template(title: str) -> None:
    about = quantity_of({}, reading("acme.rate", title=title))
    assert filled(about.name, {"column": "age"}) == f"{title}, for column = age"


@pytest.mark.parametrize("template", ["{", "}", "{0.real}", "{column!r}", "{column:>99}", "{column.__class__}"])
def test_a_template_reads_names_of_parts_and_nothing_else(template: str) -> None:
    assert filled(template, {"column": "age"}, rest=False) == template


def test_a_template_is_filled_with_the_parts_of_its_group() -> None:
    assert filled("Rows with {column} = {cell}", {"column": "job", "cell": "cook"}) == "Rows with job = cook"
    assert filled("A classifier ({learner})", {"learner": "boosting"}) == "A classifier (gradient boosting)"
    assert filled("A classifier ({learner})", {"column": "x", "learner": None}) == "A classifier, for column = x"
    assert filled("{group} is thin", {"sex": "F", "race": "*"}) == "sex = F, each race is thin"
    assert filled("{group} is thin", None) == "each group is thin"
    assert filled("Accuracy", {"sex": "F\n\x1b[2J"}) == "Accuracy, for sex = F [2J"
    assert filled("Distribution of {column}", {"column": "age"}, rest=False) == "Distribution of age"


# -- the metric's own scale ------------------------------------------------------------------------


def pair(value: float, error: float, real: float, better: Better, **more: Any) -> tuple[Reading, Reading]:
    """A reading with its floor, and its excess over the floor."""
    base = reading(P, value, error=error, better=better, floor=floor(real, 0.0), title="precision", **more)
    loss = real - value if better == "higher" else value - real
    return base, reading(P, loss, error=error, field="excess", title="precision")


@given(
    value=st.floats(-1, 1),
    error=st.floats(0.001, 0.3),
    real=st.floats(-1, 1),
    limit=st.floats(-0.5, 0.5),
    better=st.sampled_from(["lower", "higher", "zero"]),
    operator=st.sampled_from(["<=", "<", ">=", ">"]),
)
def test_an_excess_keeps_its_side_of_the_limit_on_the_metrics_own_scale(
    value: float, error: float, real: float, limit: float, better: Better, operator: Operator
) -> None:
    base, excess = pair(value, error, real, better)
    gate = parse_gate(f"{P}.excess {operator} {limit!r}", known={P})
    (found,) = judge_gates([gate], [base, excess])
    record = judged(gates=[gate], measurements=[base, excess], manifest=manifest("synthetic"))
    line = line_of(record, record.gates[0])
    own = line.gate
    assert found.bound is not None
    assert None not in (own.value, own.low, own.high, own.limit, own.bound, own.floor)
    assume(abs(found.bound - limit) > 1e-9)
    assert own.floor == real
    assert own.value == pytest.approx(value)
    assert own.low == pytest.approx(value - Z * error)
    assert own.high == pytest.approx(value + Z * error)
    inside = holds(own.bound, own.operator, own.limit)  # type: ignore[arg-type]
    assert inside == holds(found.bound, operator, limit)
    assert inside == (found.verdict == "pass") or found.verdict == "fail"
    assert not line.two_sided, "an excess is judged on one side, whatever the metric is"
    if found.verdict == "fail":  # then the whole one-sided interval lies outside, so at least its better end does
        value, limit = own.value, own.limit
        assert not holds(value, own.operator, limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("better", "value", "told"),
    [
        ("higher", 0.71, "Precision: 0.710 [0.690, 0.730]; real against real 0.83; at least 0.73 is required"),
        ("lower", 0.95, "Precision: 0.950 [0.930, 0.970]; real against real 0.83; the limit is 0.93"),
        ("zero", 0.95, "Precision: 0.950 [0.930, 0.970]; real against real 0.83; the limit is 0.93"),
    ],
)
def test_an_excess_is_told_on_the_metrics_own_scale(better: Better, value: float, told: str) -> None:
    base, excess = pair(value, 0.01, 0.83, better)
    (found,) = judge_gates([parse_gate(f"{P}.excess <= 0.1", known={P})], [base, excess])
    assert found.why.startswith(told)


def test_an_excess_of_a_metric_with_an_anchor_is_told_as_a_share_of_it() -> None:
    base, excess = pair(0.9, 0.01, 0.1, "lower", anchor=1.1)
    moved = on_own_scale(shown(0.8, limit=0.15), excess, base)
    assert (moved.value, moved.limit, moved.floor, moved.operator) == (0.8, 0.15, 0.0, "<=")
    assert measured(moved) == OF_SHUFFLED.format("0.800 [0.780, 0.820]")
    below = on_own_scale(shown(-0.01, limit=0.15), excess, base)
    assert measured(below) == OF_SHUFFLED.format("0 within its error [0, 0.0100]")


def test_no_auroc_is_shown_above_one_and_no_share_outside_a_hundred_percent() -> None:
    base, excess = pair(0.99, 0.02, 0.5, "lower", unit="AUROC")
    moved = on_own_scale(shown(0.49, 0.04, limit=0.15), excess, base)
    assert (moved.value, moved.high) == (0.99, 1.0)
    share = QuantityReading(name="Precision", shown_as="percent")
    opened = Openness(n=100, n_needed=200)
    told = sentence(shown(0.05, 0.02, limit=0.02, fail_limit=0.02, operator=">=", bound=-0.01, quantity=share), {},
                    "inconclusive", opened=opened)  # fmt: skip
    assert "but these data leave 0 % possible" in told


# -- sentences -------------------------------------------------------------------------------------


def test_limits_are_told_with_their_sides() -> None:
    assert sentence(shown(), {}, "fail") == "Precision: 0.200 [0.180, 0.220]; the limit is 0.1"
    least = sentence(shown(operator=">="), {}, "pass")
    assert least == "Precision: 0.200 [0.180, 0.220]; at least 0.1 is required"
    signed = shown(-0.32, 0.011, better="zero", quantity=QuantityReading(name="Change", shown_as="points"))
    assert sentence(signed, {}, "fail") == "Change: -32 points [-33, -31]; the limit is ±10 points"
    assert signed.limit_told == "within ±10 points"
    assert shown().limit_told == "at most 0.1"
    assert shown(operator=">").limit_told == "more than 0.1"


def test_a_widened_limit_and_a_limit_to_fail_are_said() -> None:
    told = sentence(shown(limit=0.15, stated=0.1), {}, "fail")
    assert told.endswith("; the limit is 0.15 (0.1 by policy; widened, as real data of this size differ by as much)")
    assert "widened" not in sentence(shown(limit=0.15, stated=0.15), {}, "fail")
    assert sentence(shown(fail_limit=0.3), {}, "pass").endswith("; the limit is 0.1, and 0.3 fails")
    real = sentence(shown(floor=0.02), {}, "pass")
    assert real == "Precision: 0.200 [0.180, 0.220]; real against real 0.02; the limit is 0.1"
    assert sentence(shown(), {}, "pass", reason="of 30 columns").endswith("; the limit is 0.1; of 30 columns")
    assert sentence(shown(None), {}, "error") == "Precision: no value; the limit is 0.1"


def test_a_finding_is_told_of_a_failure_alone() -> None:
    words = QuantityReading(name="Detectability ({learner})", measure="AUROC {}", finding="{learner} tells them apart")
    group = {"learner": "linear"}
    assert sentence(shown(0.9, quantity=words), group, "fail").startswith("linear model tells them apart: AUROC 0.9")
    for verdict in ("pass", "inconclusive"):
        told = sentence(shown(0.9, quantity=words), group, verdict)  # type: ignore[arg-type]
        assert told.startswith("Detectability (linear model): AUROC 0.9")


OPEN = Openness(n=2000, n_needed=5500)


@pytest.mark.parametrize(
    ("seen", "opened", "told"),
    [
        (shown(0.05, bound=0.2), Openness(n=90, too_small=500),
         "but a pass needs at least 500 rows a side, and there are 90"),
        (shown(0.09, bound=0.11), OPEN,
         "but these data leave 0.11 possible (n = 2,000; about 5,500 rows would decide)"),
        (shown(-0.09, bound=0.11, better="zero"), OPEN,
         "but these data leave -0.11 possible (n = 2,000; about 5,500 rows would decide)"),
        (shown(0.11), OPEN, "outside the limit, but by less than its error (n = 2,000; about 5,500 rows would decide)"),
        (shown(-0.11, better="zero"), OPEN,
         "outside the limit, but by less than its error (n = 2,000; about 5,500 rows would decide)"),
        (shown(0.13), Openness(n=2000, n_needed=5500, adjusted_for=40),
         "outside the limit, but not once its error is adjusted for 40 comparisons"
         " (n = 2,000; about 5,500 rows would decide)"),
        (shown(-0.13, better="zero"), OPEN,
         "outside the limit, but not once its error is adjusted (n = 2,000; about 5,500 rows would decide)"),
        (shown(0.2, fail_limit=0.3), Openness(n=2000), "between what passes and what fails"),
        (shown(0.29, fail_limit=0.3), Openness(n=2000), "between what passes and what fails"),
        (shown(0.05, operator=">=", fail_limit=0.0), Openness(n=2000), "between what passes and what fails"),
        (shown(0.31, fail_limit=0.3), OPEN,
         "outside the limit, but by less than its error (n = 2,000; about 5,500 rows would decide)"),
        (shown(0.0999, bound=0.11), Openness(n=2000),
         "but these data leave 0.11 possible; it stands so near its limit that more rows would hardly decide"),
        (shown(0.09, bound=0.11), Openness(), "but these data leave 0.11 possible"),
    ],
)  # fmt: skip
def test_what_leaves_a_gate_open_is_said(seen: Shown, opened: Openness, told: str) -> None:
    whole = sentence(seen, {}, "inconclusive", opened=opened)
    assert whole == f"{sentence(seen, {}, 'pass')}; {told}"
    assert told not in sentence(seen, {}, "pass", opened=opened)


@given(value=st.floats(-0.5, 0.5), error=st.floats(0.001, 0.1), better=st.sampled_from(["lower", "zero"]),
       fail=st.sampled_from(["", " fail 0.3"]), others=st.integers(0, 5))  # fmt: skip
def test_an_open_sentence_says_what_the_gate_found(
    value: float, error: float, better: Better, fail: str, others: int
) -> None:
    gate = parse_gate(f"{P} <= 0.1{fail}", known={P})
    adjusted = Terms(confidence=0.95, fail_confidence=1 - 0.05 / (others + 1), adjusted_for=others + 1)
    cell = judge_cell(gate, reading(P, value, error=error, better=better), adjusted)
    assert cell.verdict in ("pass", "fail", "inconclusive")
    size = abs(value) if better == "zero" else value
    told = cell.why
    if cell.verdict != "inconclusive":
        assert not re.search("possible|outside|between", told)
        return
    assert ("possible" in told) == (size <= 0.1)
    assert ("between what passes" in told) == (0.1 < size <= 0.3 and bool(fail))
    assert ("by less than its error" in told or "adjusted" in told) == (size > (0.3 if fail else 0.1))
    if "adjusted" in told and others:
        assert f"for {others + 1} comparisons" in told


# -- what is told first ----------------------------------------------------------------------------


def failing(metric: str, value: float | None = 0.5, *, alarm: str = "", **more: Any) -> Reading:
    return reading(metric, value, error=0.001, alarm=alarm, **more)


def told_first(*measurements: Reading) -> list[str]:
    """The metrics whose gates fail, in the order in which a headline would name them."""
    gates = [
        parse_gate(f"{r.metric}.{r.field}{'[*]' if r.group else ''} <= 0.1", known=set(installed()))
        for r in measurements
    ]
    record = judged(gates=gates, measurements=measurements, manifest=manifest("synthetic"), words=words())
    ordered = most_telling("fail", record.gates, record.about)
    assert record.because.startswith(ordered[0].why[:1].upper() + ordered[0].why[1:].removesuffix("."))
    assert record.because.endswith(f" {len(ordered) - 1} more gates fail.")
    return [f"{gate.metric}.{gate.field}" for gate in ordered]


def test_schema_then_copies_then_what_is_missing_then_the_largest_loss_then_details() -> None:
    facts = [
        failing("fidelity.schema", field="mismatches", alarm="column 'a' is missing from the release"),
        failing("leakage.copies", alarm="12 rows are copies"),
        failing("coverage.rare", field="lost", alarm="no row with sex = F"),
        failing("fidelity.marginals", 0.9, field="invented", group={"column": "age"}),
        failing("fidelity.marginals", 0.3, field="excess", group={"column": "age"}, headline=False),
        failing("fidelity.density", 90.0),
        failing("coverage.rare", field="tails", group={"column": "age", "cell": "high"}, alarm="no row with age ≥ 74"),
    ]
    expected = [f"{one.metric}.{one.field}" for one in facts]
    assert told_first(*facts) == expected
    assert told_first(*reversed(facts)) == expected
    assert get_args(Telling) == ("schema", "copies", "missing", "column", "loss", "detail")


def test_of_losses_the_largest_beside_its_tolerance_comes_first_and_a_fact_before_all_numbers() -> None:
    small = failing("fidelity.density", 0.2)
    large = failing("utility.tstr", 0.5, field="gap", headline=True)
    fact = failing("fidelity.kernel_distance", 0.0, alarm="a fact")
    names = ["fidelity.kernel_distance.value", "utility.tstr.gap", "fidelity.density.value"]
    assert told_first(small, large, fact) == names
    assert told_first(fact, large, small) == names


def test_a_constant_column_is_named_and_not_its_tails() -> None:
    tables = three(normal_rows, 1000, 0)
    tables["synthetic"] = tables["synthetic"].assign(b=0.25)
    record = cp.audit(**tables, metrics=["fidelity.marginals", "coverage.rare"], policy="standard")
    assert record.verdict == "fail"
    tails = [gate for gate in record.gates if gate.field == "tails" and gate.verdict == "fail"]
    assert tails, "the tails of the column are gone too"
    first = record.because.partition(";")[0]
    assert re.search(r"\bb\b", first)
    assert "tail" not in first
    assert "[*]" not in record.because


# -- what to do, and warnings ----------------------------------------------------------------------


def gate(verdict: Any, metric: str = P, **more: Any) -> GateReading:
    plain = {"expression": f"{metric} <= 1", "metric": metric, "field": "value", "family": metric.partition(".")[0]}
    return GateReading.model_validate(plain | {"verdict": verdict, "operator": "<=", "why": "w"} | more)


def advice(verdict: Any, *gates: GateReading, roles: tuple[str, ...] = ("holdout",), **more: Any) -> list[str]:
    families = {"leakage": {"verdict": "pass"}} | more.pop("families", {})
    plain: dict[str, Any] = {"measurements": [], "manifest": manifest(*roles), "gates": list(gates)}
    made = Record.model_validate(plain | {"verdict": verdict, "families": families} | more)
    told = to_do(made)
    assert len(told) <= MOST_TO_DO
    return told


def test_what_to_do_about_a_failure_is_the_remedy_of_the_most_telling_gates() -> None:
    gates = [gate("fail", loss=at, remedy=f"remedy {at}") for at in range(1, 6)]
    assert advice("fail", *gates) == ["remedy 5", "remedy 4", "remedy 3"]
    assert advice("fail", gate("fail", remedy="same"), gate("fail", remedy="same")) == ["same"]
    assert advice("fail", gate("fail", remedy="x"), gate("fail", level="warn", remedy="no")) == ["x"]
    joint = gate("fail", name="both", members=[gate("fail", remedy="of a member"), gate("pass", remedy="not this")])
    assert advice("fail", joint) == ["of a member"]
    assert advice("fail", gate("fail")) == [UNKNOWN_REMEDY], "a plugin may have no remedy"
    assert advice("fail", gate("fail", remedy="a\n\x1b[2Jb")) == ["a [2Jb"]


def test_what_to_do_about_every_other_verdict() -> None:
    assert advice("error", gate("error")) == [
        "Run the audit again; if the metric crashes again, report it as a defect."
    ]
    keep = "Nothing here stands against the release; keep record.json with it."
    every = {family: {"verdict": "pass"} for family in QUESTIONS}
    assert advice("pass", gate("pass"), families=every) == [keep]
    unasked = "Not judged: coverage, fairness and utility."
    assert advice("pass", gate("pass"), families={"fidelity": {"verdict": "pass"}}) == [keep, unasked]
    columns = [ColumnExtent(column=f"c{at}", kind="text") for at in range(5)]
    extent = ExtentReading(columns=columns, rows=9, compared=9)
    assert advice("pass", gate("pass"), extent=extent, families=every) == [
        keep,
        "Look at 'c0', 'c1', 'c2' and 2 more columns yourself: no gate judged it.",
    ]
    more = "Audit about 5,500 rows a side: that would decide what is open."
    open_one = gate("inconclusive", n_needed=5500)
    assert advice("inconclusive", open_one, gate("inconclusive", n_needed=90, level="warn")) == [more]
    unknown = {"leakage": {"verdict": "inconclusive"}}
    holdout = "Give real rows that the generator never saw, with --holdout: without them leakage cannot be judged."
    assert advice("inconclusive", open_one, roles=("real",), families=unknown) == [holdout, more]
    assert advice("inconclusive", open_one, families=unknown) == [more], "there is a holdout"
    few = gate("undecided", n_needed=800)
    assert advice("inconclusive", few, families={"fidelity": {"verdict": "inconclusive"}}) == [
        "Audit about 800 rows a side: that would decide what has too few rows."
    ]
    assert advice("inconclusive", gate("inconclusive", remedy="do this")) == ["do this"]


def test_warnings_stand_under_their_question_the_worst_first() -> None:
    told = [
        "b (coverage.rare; only warns)",
        "a (fidelity.marginals; only warns)",
        "c (coverage.recall; no gate judges it)",
        "d (acme.own; only warns)",
        "e (leakage.copies; nothing passes it)",
        "of no metric (really)",
        "(coverage.fake; x) inside",
    ]
    record = Record(verdict="pass", families={}, measurements=[], gates=[], manifest=manifest(), warnings=told)
    found = warnings_by_question(record)
    assert list(found) == ["", "fidelity", "coverage", "leakage"]
    assert found == {"": [told[3], told[5], told[6]], "fidelity": [told[1]], "coverage": [told[0], told[2]],
                     "leakage": [told[4]]}  # fmt: skip
    assert sorted(text for texts in found.values() for text in texts) == sorted(told), "none is lost"


# -- what the installed metrics say ----------------------------------------------------------------


@pytest.fixture(scope="module")
def flawed() -> Record:
    """An audit of tables with label and groups whose release lacks a group, has a constant column and holds copies."""

    def table(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(2, n))
        y = np.where(a + b + rng.normal(size=n) > 0, "yes", "no")
        sex, job = rng.choice(["F", "M"], n), rng.choice(list("uvwxyz"), n, p=[0.3, 0.3, 0.2, 0.12, 0.06, 0.02])
        return pd.DataFrame({"a_size": a, "b_size": b + a / 2, "sex": sex, "job": job, "y": y})

    tables = three(table, 700, 0)
    bad = tables["synthetic"].assign(a_size=0.25)
    bad = bad[bad["job"].isin(list("uvw"))]
    tables["synthetic"] = pd.concat([bad, tables["train"].iloc[:80]], ignore_index=True)
    return cp.audit(**tables, label="y", groups=["sex", "job"])


def gated_fields(metric: Metric) -> list[tuple[str, Tolerance]]:
    return [
        (metric.headline if one.field == "excess" else one.field.removesuffix("_excess"), one)
        for one in metric.tolerances
    ]


@pytest.mark.parametrize("name", sorted(installed()))
def test_every_gate_of_the_policy_has_its_words(name: str) -> None:
    metric = load(name)
    for field, quantity in metric.quantities.items():
        assert quantity.name, f"{name}.{field}"
        assert quantity.measure.count("{}") == 1
        for text in (quantity.name, quantity.finding, quantity.means, quantity.remedy):
            places = set(re.findall(r"\{(.*?)\}", text))
            assert places <= {"column", "cell", "form", "learner", "group"}, f"{name}.{field}: {text}"
            assert "_" not in text
        for text in (quantity.means, quantity.remedy):
            assert not text or text.endswith("."), f"{name}.{field}: {text}"
        assert not quantity.finding.endswith(".")
    for field, _ in gated_fields(metric):
        quantity = metric.quantities[field]
        assert quantity.finding, f"{name}.{field}"
        assert quantity.means, f"{name}.{field}"
        assert quantity.remedy, f"{name}.{field}"


@pytest.mark.slow
def test_templates_fill_with_the_groups_of_their_metric(flawed: Record) -> None:
    seen = set()
    for one in flawed.measurements:
        about = flawed.about.get(f"{one.metric}.{one.field.removesuffix('_excess')}")
        if about is None:
            continue
        seen.add(f"{one.metric}.{one.field}")
        for text in (about.name, about.finding, about.means, about.remedy):
            told = filled(text, one.group)
            assert not set("{}") & set(told)
            assert not re.search(r"\(\s*\)|  | ,", told)
            for column, value in one.group.items():
                assert not text or value in (None, "*") or column == "learner" or str(value) in told
    gated = {f"{gate.metric}.{gate.field}" for gate in flawed.gates if gate.verdict != "not_applicable"}
    assert {name for name in gated if not name.endswith("excess")} <= seen
    assert len(gated) > 20


@pytest.mark.slow
def test_no_sentence_of_a_gate_speaks_in_ids(flawed: Record) -> None:
    columns = set(flawed.manifest.columns)
    assert flawed.verdict == "fail"
    texts = [text for one in flawed.gates for text in (one.why, one.means, one.remedy)]
    for text in [*texts, flawed.because, *to_do(flawed)]:
        raw = {word for word in re.findall(r"\w*_\w+", text) if word not in columns}
        assert not raw, text
        assert not re.search(r"\bexcess\b|\[\*\]|\b(fidelity|coverage|leakage|fairness|utility)\.\w", text), text
        assert "None" not in text
        assert text == text.strip()
        assert ".." not in text.replace("...", "")
    assert any(one.verdict == "fail" and one.remedy for one in flawed.gates)


def test_a_widened_limit_is_read_from_the_reading() -> None:
    faithful = ExpectedReading(value=0.0, spread=0.03, error=0.03)
    measurement = reading(P, 0.02, error=0.03, field="excess", headline=False, expected=faithful)
    (found,) = judge_gates([parse_gate(f"{P}.excess <= 0.1", known={P}, source="policy")], [measurement])
    assert found.limit is not None
    assert math.isclose(found.limit, 1.645 * 0.03 + 3.54 * 0.03, rel_tol=1e-3)
    assert f"the limit is {amount(found.limit)} (0.1 by policy; widened" in found.why
