from __future__ import annotations

import itertools

import pytest
from helpers.readings import manifest, reading

from counterproof.judging.grammar import Gate, parse_gate
from counterproof.judging.rejudge import rejudged
from counterproof.judging.verdict import EXIT, exit_code, judged
from counterproof.metrics.metric import FAMILIES
from counterproof.reports.model import Reading
from counterproof.reports.record import Record

METRIC = {
    "pass": "fidelity.precision",
    "fail": "coverage.recall",
    "inconclusive": "utility.tstr",
    "error": "fairness.worst_group_accuracy",
    "not_applicable": "leakage.copies",
}
MEASURED = {
    "pass": reading(METRIC["pass"], 0.0, title="precision"),
    "fail": reading(METRIC["fail"], 0.5, title="recall"),
    "inconclusive": reading(METRIC["inconclusive"], 0.1, title="tstr"),
    "error": reading(METRIC["error"], None, status="error", reason="IndexError in fairness.py"),
    "not_applicable": reading(METRIC["not_applicable"], None, status="not_applicable", reason="no label was given"),
}
ORDER = ("fail", "error", "inconclusive", "pass", "not_applicable")


def gates(*verdicts: str, level: str = "fail") -> list[Gate]:
    known = set(METRIC.values())
    return [parse_gate(f"{METRIC[verdict]} <= 0.1", known=known, level=level) for verdict in verdicts]  # type: ignore[arg-type]


def audited(*asked: Gate, measured: tuple[Reading, ...] | None = None) -> Record:
    if measured is None:  # what the gates look at
        measured = tuple(r for r in MEASURED.values() if r.metric in {gate.metric for gate in asked})
    return judged(gates=asked, measurements=measured, manifest=manifest("train", "holdout", "synthetic"))


@pytest.mark.parametrize("verdicts", [c for n in range(1, 6) for c in itertools.combinations(ORDER, n)], ids="-".join)
def test_the_worst_decides_and_families_exit_code_and_sentence_agree(verdicts: tuple[str, ...]) -> None:
    found = audited(*gates(*reversed(verdicts)))
    expected = verdicts[0] if verdicts[0] != "not_applicable" else "inconclusive"
    assert found.verdict == expected
    assert exit_code(found) == {"pass": 0, "fail": 1, "inconclusive": 3, "error": 4}[expected]
    assert list(found.families) == list(FAMILIES)
    for verdict in ORDER:
        family = found.families[METRIC[verdict].partition(".")[0]]
        shown = verdict if verdict in verdicts and verdict != "not_applicable" else "not_assessed"
        assert family.verdict == shown
        assert family.because
    assert not found.warnings


@pytest.mark.parametrize("verdict", ["pass", "inconclusive", "fail"])
def test_a_metric_that_crashed_is_a_crash_though_no_gate_looks_at_it(verdict: str) -> None:
    found = audited(*gates(verdict), measured=(MEASURED[verdict], MEASURED["error"]))
    assert exit_code(found) == (1 if verdict == "fail" else 4)
    assert found.families["fairness"].verdict == "error"
    assert "IndexError in fairness.py" in found.families["fairness"].because[0]
    if verdict != "fail":
        assert found.because == (
            "A metric crashed, and no gate looks at it: IndexError in fairness.py (fairness.worst_group_accuracy)."
        )


def test_a_metric_that_crashed_is_a_crash_though_its_gate_only_warns() -> None:
    found = audited(*gates("pass"), *gates("error", level="warn"))
    assert (found.verdict, exit_code(found)) == ("error", 4)
    assert len(found.warnings) == 1


def test_a_schema_that_does_not_match_is_said_before_copies_and_before_what_misses_its_limit() -> None:
    facts = (
        reading("coverage.recall", 0.5, title="recall"),
        reading("leakage.copies", 1.0, alarm="12 rows are copies"),
        reading("fidelity.schema", 1.0, alarm="column 'tenure' is missing from the release"),
    )
    asked = [parse_gate(f"{one.metric} <= 0", known={fact.metric for fact in facts}) for one in facts]
    found = audited(*asked, measured=facts)
    assert found.because == "Column 'tenure' is missing from the release. 2 more gates fail."


def test_nothing_required_or_nothing_decided_is_never_a_pass() -> None:
    nothing = "Nothing was required: there is no gate that could fail."
    assert (audited().verdict, audited().because) == ("inconclusive", nothing)
    assert audited(*gates("not_applicable")).because == "Nothing could be decided: no gate applies to these data."
    assert audited(*gates("pass", level="warn")).verdict == "inconclusive"


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_warnings_change_nothing_but_are_listed(verdict: str) -> None:
    found = audited(*gates("pass"), *gates(verdict, level="warn"))
    assert (found.verdict, exit_code(found)) == ("pass", EXIT["pass"])
    (warning,) = found.warnings
    only = {"fail": "only warns", "inconclusive": "only warns, and is open"}[verdict]
    assert warning == f"{found.gates[-1].why} ({METRIC[verdict]}; {only})"
    assert found.families[METRIC[verdict].partition(".")[0]].verdict == "not_assessed"


def test_the_whole_in_one_sentence() -> None:
    copies = reading("leakage.copies", 0.05, alarm="329 release rows equal training rows against 63 for the holdout")
    (gate,) = gates("not_applicable")
    assert audited(*gates("fail", "pass"), gate, measured=(*list(MEASURED.values())[:2], copies)).because == (
        "329 release rows equal training rows against 63 for the holdout. 1 more gate fails."
    )
    assert audited(*gates("pass")).because == "The gate passed."
    assert audited(*gates("error")).because == (
        "Worst group accuracy could not be measured: IndexError in fairness.py."
    )
    assert audited(*gates("inconclusive", "pass")).because == (
        "Tstr: 0.100 [0.080, 0.120]; the limit is 0.1; but these data leave 0.116 possible; "
        "it stands so near its limit that more rows would hardly decide."
    )


def test_an_alarm_that_no_gate_looks_at_is_a_warning() -> None:
    copies = reading("leakage.copies", 0.05, alarm="329 rows are copies")
    found = audited(*gates("pass"), measured=(MEASURED["pass"], copies))
    assert found.warnings == ["329 rows are copies (leakage.copies; no gate judges it)"]


def test_an_alarm_of_one_field_is_not_heeded_by_the_gate_of_another() -> None:
    metric = METRIC["pass"]
    near = reading(metric, 0.0, field="near", alarm="9 rows are near copies")
    warning = f"9 rows are near copies ({metric}; no gate judges it)"
    assert audited(*gates("pass"), measured=(MEASURED["pass"], near)).warnings == [warning]
    inside = reading(metric, 0.0, group={"sex": "F"}, alarm="9 rows are near copies")
    assert audited(*gates("pass"), measured=(MEASURED["pass"], inside)).warnings == [warning]
    same = reading(metric, 0.0, alarm="9 rows are near copies")
    found = audited(*gates("pass"), measured=(same, near))
    assert (found.verdict, found.warnings) == ("fail", [])


def test_a_missing_holdout_is_only_excused_where_there_is_none() -> None:
    blind = reading("leakage.copies", None, status="not_assessable", reason="cannot be told")

    def verdict(*roles: str) -> str:
        return judged(
            gates=gates("not_applicable", "pass"),
            measurements=[blind, MEASURED["pass"]],
            manifest=manifest(*roles),
            without_holdout="allow",
        ).verdict

    assert verdict("real", "synthetic") == "pass"
    assert verdict("train", "holdout", "synthetic") == "inconclusive"


def test_the_record_of_a_verdict_is_the_same_after_writing_and_reading() -> None:
    found = audited(*gates(*ORDER))
    assert Record.model_validate_json(found.to_json()).to_json() == found.to_json()
    assert rejudged(found, fail=(), warn=(), keep_policy=True).to_json() == found.to_json()
    lenient = rejudged(found, fail=[f"{METRIC['fail']} <= 0.9"], warn=(), keep_policy=False)
    assert [gate.verdict for gate in lenient.gates][-1] == "pass"
