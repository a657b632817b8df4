"""Private and fair and useful at once: an intersection-union gate, from the configuration to every output."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from helpers.cli import called, rows, saved
from helpers.readings import Z, manifest, reading

from counterproof.config import make_config
from counterproof.judging.gates import judge_gates
from counterproof.judging.grammar import parse_gate
from counterproof.judging.joint_gates import AllOf, joined, leaves
from counterproof.judging.rejudge import rejudged
from counterproof.judging.verdict import exit_code, judged
from counterproof.metrics.estimate import normal_quantile
from counterproof.refusal import Refusal
from counterproof.reports.model import Reading
from counterproof.reports.outputs.html import render
from counterproof.reports.outputs.junit import junit
from counterproof.reports.outputs.markdown import markdown
from counterproof.reports.outputs.terminal import plain_lines
from counterproof.reports.record import Record

NAME = "fair and useful"
PRIVATE, USEFUL = "leakage.membership <= 0.6", "utility.tstr <= 0.02"


def joint(*texts: str, name: str = NAME) -> AllOf:
    return AllOf(name=name, gates=tuple(parse_gate(text) for text in texts))


def made(*readings: Reading, gates: tuple[AllOf, ...] = (joint(PRIVATE, USEFUL),)) -> Record:
    return judged(gates=gates, measurements=readings, manifest=manifest("train", "holdout", "synthetic"))


def membership(value: float, error: float = 0.01) -> Reading:
    return reading("leakage.membership", value, error=error)


def tstr(value: float, error: float = 0.002) -> Reading:
    return reading("utility.tstr", value, error=error)


GONE = reading("utility.tstr", None, status="not_applicable", reason="no label was given")


@pytest.mark.parametrize(
    ("readings", "verdict", "code"),
    [
        ((membership(0.5), tstr(0.01)), "pass", 0),
        ((membership(0.7), tstr(0.01)), "fail", 1),
        ((membership(0.5), tstr(0.05)), "fail", 1),
        ((membership(0.59), tstr(0.01)), "inconclusive", 3),
        ((membership(0.7), tstr(0.02)), "fail", 1),
        ((membership(0.5), reading("utility.tstr", None, status="error", reason="it crashed")), "error", 4),
        ((membership(0.5), GONE), "inconclusive", 3),
    ],
)
def test_it_passes_when_all_pass_and_fails_when_one_fails(
    readings: tuple[Reading, ...], verdict: str, code: int
) -> None:
    record = made(*readings)
    (gate,) = record.gates
    assert (gate.verdict, record.verdict, exit_code(record)) == (verdict, verdict, code)
    assert [member.expression for member in gate.members] == [PRIVATE, USEFUL]
    assert record.families["together"].verdict == verdict
    assert gate.why


def test_a_claim_whose_part_does_not_apply_is_open_and_one_that_does_not_apply_at_all_is_set_aside() -> None:
    gate = made(membership(0.5), GONE).gates[0]
    assert gate.verdict == "inconclusive"
    assert "does not apply" in gate.why
    none = made(reading("leakage.membership", None, status="not_applicable", reason="no rows"), GONE)
    assert none.gates[0].verdict == "not_applicable"
    assert none.verdict == "inconclusive"


def test_a_pass_is_not_adjusted_for_the_members_and_a_fail_is() -> None:
    """Two members pass at the plain bound; one bound between the plain and the adjusted one does not fail."""
    just = 0.6 - normal_quantile(0.95) * 0.01 - 1e-6
    assert made(membership(just), tstr(0.01)).verdict == "pass"
    plainly = 0.6 + normal_quantile(0.95) * 0.01 + 1e-4
    assert plainly < 0.6 + normal_quantile(1 - 0.05 / 2) * 0.01
    record = made(membership(plainly), tstr(0.01))
    assert (record.verdict, record.gates[0].adjusted_for) == ("inconclusive", 2)
    single = judge_gates([parse_gate(PRIVATE)], [membership(plainly)])
    assert single[0].verdict == "fail"


def test_members_count_as_gates_that_can_fail_for_all_others() -> None:
    other = parse_gate("fidelity.precision >= 0.1")
    readings = [reading("fidelity.precision", 0.5), membership(0.5), tstr(0.01)]
    found = judge_gates([other, joint(PRIVATE, USEFUL)], readings)
    assert [gate.adjusted_for for gate in found] == [3, 3]
    assert len(leaves([other, joint(PRIVATE, USEFUL)])) == 3


def test_each_question_hears_of_its_own_member() -> None:
    record = made(membership(0.7), tstr(0.01))
    assert record.families["leakage"].verdict == "fail"
    assert record.families["utility"].verdict == "pass"
    assert record.families["fidelity"].verdict == "not_assessed"
    assert record.because == (f"'{NAME}' fails: Membership: 0.700 [0.680, 0.720]; the limit is 0.6.")


def test_facts_that_a_member_reads_are_heeded() -> None:
    alarmed = membership(0.5).model_copy(update={"alarm": "40 rows are copies"})
    record = made(alarmed, tstr(0.01))
    assert (record.verdict, record.gates[0].why) == ("fail", "40 rows are copies")
    assert record.warnings == []


def test_it_survives_judging_again() -> None:
    record = Record.model_validate_json(made(membership(0.5), tstr(0.01)).to_json())
    again = rejudged(record, fail=["fidelity.precision >= 0.1"], warn=[], keep_policy=True)
    assert [gate.name for gate in again.gates] == [NAME, ""]
    assert [member.expression for member in again.gates[0].members] == [PRIVATE, USEFUL]
    assert again.gates[0].verdict == "pass"


def test_every_output_shows_the_whole_and_its_members() -> None:
    record = made(membership(0.7), tstr(0.01))
    page, summary = render(record), markdown(record)
    for text in (page, summary, "\n".join(plain_lines(record)), junit(record)):
        assert NAME in text
        assert "tstr" in text
    assert "Does it hold all at once?" in page
    assert "an intersection-union test that needs no correction; a fail is adjusted for 2 comparisons" in page
    assert "✗ Fail: `leakage.membership <= 0.6`<br>✓ Pass: `utility.tstr <= 0.02`" in summary
    (case,) = ET.fromstring(junit(record)).findall(".//testcase")
    assert case.get("name") == f'all_of "{NAME}"'
    told = case.find("failure")
    assert told is not None
    assert told.text is not None
    assert "fail: leakage.membership <= 0.6: 0.7" in told.text
    assert "pass: utility.tstr <= 0.02: 0.01" in told.text


def test_a_hostile_name_is_only_text() -> None:
    name = "<script>alert(1)</script>|\n\x1b[2J"
    record = made(membership(0.5), tstr(0.01), gates=(joint(PRIVATE, USEFUL, name=name),))
    assert "<script>alert" not in render(record)
    for text in ("\n".join(plain_lines(record)), junit(record), markdown(record)):
        assert "\x1b" not in text
    assert "<script>" not in markdown(record)


def test_every_gate_states_its_multiplicity() -> None:
    record = judged(
        gates=[parse_gate(PRIVATE), parse_gate("fidelity.precision >= 0.1", level="warn")],
        measurements=[membership(0.5), reading("fidelity.precision", 0.5)],
        manifest=manifest("synthetic"),
    )
    page = render(record)
    assert (
        page.count("A pass is not adjusted, because every cell must pass; a fail is adjusted for one comparison") == 2
    )
    assert "a fail is adjusted for all gates that can fail" in markdown(record)


def test_the_numbers_are_those_of_the_member_that_decides() -> None:
    gate = made(membership(0.5), tstr(0.019, error=0.0001)).gates[0]
    assert (gate.metric, gate.value) == ("utility.tstr", 0.019)
    assert gate.low == pytest.approx(0.019 - Z * 0.0001)
    with pytest.raises(ValueError, match=r"min\(\)"):
        joined("empty", [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('all_of = [["a.b <= 1", "c.d <= 1"]]', "gates.all_of: give a name to each list of gates"),
        ('[gates.all_of]\n"x" = ["fidelity.precision >= 0"]', "'x' has fewer than two gates to hold together"),
        ('[gates.all_of]\n" " = ["a.b <= 1", "c.d <= 1"]', "a joint requirement needs a name"),
        ('[gates.all_of]\n"x" = "fidelity.precision >= 0"', "gates.all_of.x: give a list of texts"),
    ],
)
def test_what_is_written_wrongly_is_one_sentence(text: str, told: str) -> None:
    with pytest.raises(Refusal, match=r"^[^\n]*$") as error:
        make_config(tomllib.loads(f'[data]\nreal = "a"\nsynthetic = "b"\n[gates]\n{text}\n'))
    assert told in str(error.value)


def test_from_the_file_to_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "cache"))
    saved(tmp_path, real=rows(300, 1), synthetic=rows(300, 2))
    (tmp_path / "audit.toml").write_text(
        '[data]\nreal = "real.csv"\nsynthetic = "synthetic.csv"\n[run]\nmetrics = ["fidelity.precision", '
        '"coverage.recall"]\npolicy = "none"\n[gates.all_of]\n"true and whole" = ["fidelity.precision >= 0.2", '
        '"coverage.recall >= 0.2"]\n'
    )
    done = called("run", tmp_path / "audit.toml", "--out", tmp_path / "out")
    assert done.exit_code in (0, 3), done.output
    assert "VERDICT PASS: The gate passed." in done.output
    assert "true and whole" in (tmp_path / "out" / "summary.md").read_text()
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    (gate,) = record["gates"]
    assert gate["name"] == "true and whole"
    assert [member["metric"] for member in gate["members"]] == ["fidelity.precision", "coverage.recall"]
    again = called("gate", tmp_path / "out" / "record.json")
    assert again.exit_code == done.exit_code
    wrong = (tmp_path / "audit.toml").read_text().replace("recall >= 0.2", "recal >= 0.2")
    (tmp_path / "audit.toml").write_text(wrong)
    refused = called("run", tmp_path / "audit.toml")
    assert refused.exit_code == 2
    assert "did you mean coverage.recall" in refused.output
