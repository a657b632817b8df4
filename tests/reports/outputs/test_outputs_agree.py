"""Page, JUnit, Markdown and terminal say the same of every record."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

import pytest
from helpers.sample_tables import census_record, gate_of, reading_of, record_of, record_with
from rich.console import Console

from counterproof.reports.gate_lines import LOOKS
from counterproof.reports.model import CellReading, GateReading
from counterproof.reports.outputs.html import render, render_summary
from counterproof.reports.outputs.junit import junit
from counterproof.reports.outputs.markdown import markdown
from counterproof.reports.outputs.terminal import VerdictTable, plain_lines
from counterproof.reports.record import Record

CASES = ["pass", "fail", "inconclusive", "error", "warn-only"]
COUNTS = {  # failures, errors, skipped of two gates
    "pass": (0, 0, 0),
    "fail": (1, 0, 0),
    "inconclusive": (0, 1, 0),
    "error": (0, 1, 0),
    "warn-only": (0, 0, 0),
}


def printed(record: Record, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False, color_system=None).print(VerdictTable(record))
    return out.getvalue()


def suite_of(record: Record) -> ET.Element:
    root = ET.fromstring(junit(record).encode())
    suite = root.find("testsuite")
    assert suite is not None
    return suite


def counts_of(suite: ET.Element) -> tuple[int, int, int]:
    """What is really there, held against the totals that stand on the suite."""
    found = tuple(len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "error", "skipped"))
    stated = tuple(int(suite.attrib[name]) for name in ("failures", "errors", "skipped"))
    assert found == stated
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    return found[0], found[1], found[2]


def headline(page: str) -> str:
    found = re.search(r'<h1 id="verdict">(.*?)</h1>', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("case", CASES)
def test_every_output_tells_the_same_verdict(case: str) -> None:
    record = record_with(case)
    word = LOOKS[record.verdict].word
    page = render(record)
    assert headline(page) == word
    assert f"<title>counterproof: {word}</title>" in page
    assert markdown(record).startswith(f"# {LOOKS[record.verdict].icon} counterproof: {word}\n")
    for text in (printed(record), "\n".join(plain_lines(record))):
        assert text.startswith(f"VERDICT {word.upper()}: the sentence behind {record.verdict}")
        assert text.count("VERDICT") == 1
    assert counts_of(suite_of(record)) == COUNTS[case]
    assert f"{LOOKS[record.verdict].icon} {word}</span>" in render_summary(record)


def test_a_failed_gate_that_only_warns_stays_green_and_is_told_everywhere() -> None:
    record = record_with("warn-only")
    case = next(c for c in suite_of(record).findall("testcase") if c.find("system-out") is not None)
    assert case.attrib["name"] == "fidelity.kernel_distance <= 0.15"
    assert "Too far" in str(case.findtext("system-out"))
    for text in (render(record), markdown(record), render_summary(record)):
        assert "Warning" in text
        assert "too far" in text.lower()
    warning = "▲ Too far (fidelity.kernel_distance; only warns)"
    assert warning in plain_lines(record)
    assert warning in printed(record).splitlines()
    assert "did not pass" not in printed(record), "what only warns is no gate that did not pass"


@pytest.mark.parametrize("verdict", ["pass", "inconclusive", "error", "fail"])
def test_a_record_without_gates_is_green_nowhere(verdict: str) -> None:
    record = record_of(verdict)  # type: ignore[arg-type]
    failures, errors, _ = counts_of(suite_of(record))
    assert failures + errors == 1
    for text in (headline(render(record)), plain_lines(record)[0], markdown(record).splitlines()[0]):
        assert "pass" not in text.lower().replace("nothing has passed", "")


def test_gates_that_do_not_apply_pass_nothing() -> None:
    record = record_of("pass", [gate_of(verdict="not_applicable", why="no label was given")])
    assert counts_of(suite_of(record)) == (0, 1, 1)
    assert headline(render(record)) == "Inconclusive"


def test_a_verdict_that_no_gate_explains_gets_a_test_case_of_its_own() -> None:
    suite = suite_of(record_of("error", [gate_of()], because="the engine stopped"))
    own = suite.find("testcase[@name='verdict']")
    assert own is not None
    assert own.find("error").attrib == {"message": "the engine stopped", "type": "error"}  # type: ignore[union-attr]


def test_a_waived_gate_is_skipped_with_its_waiver_and_an_unneeded_waiver_is_no_skip() -> None:
    waived = gate_of(verdict="fail", waiver="until 2027-01-31 by ana: #41")
    needless = gate_of("leakage.copies", waiver="until 2027-01-31")
    suite = suite_of(record_of("pass", [waived, needless]))
    assert counts_of(suite) == (0, 0, 1)
    skipped = suite.find("testcase/skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "waived: until 2027-01-31 by ana: #41"
    assert "Waived" in markdown(record_of("pass", [waived, needless]))


def test_junit_holds_the_whole_reason_and_the_cells() -> None:
    cells = [CellReading(group={"sex": "F"}, verdict="fail", why="F is thin"), CellReading(group={}, verdict="pass")]
    gate = gate_of(verdict="fail", why="x" * 2000, cells=cells, n_needed=8000)
    failure = suite_of(record_of("fail", [gate])).find("testcase/failure")
    assert failure is not None
    assert "X" + "x" * 1999 in str(failure.text)
    assert "fail: sex = F: F is thin" in str(failure.text)
    assert "about 8000 rows would decide it" in str(failure.text)
    assert failure.attrib["type"] == "fail"


def order_in(text: str, *needles: str) -> list[int]:
    found = [text.index(needle) for needle in needles]
    assert found == sorted(found)
    return found


def test_the_worst_stands_first_inside_its_family() -> None:
    gates: list[GateReading] = [
        gate_of(f"fidelity.{name}", verdict)  # type: ignore[arg-type]
        for name, verdict in [("alpha", "pass"), ("beta", "inconclusive"), ("gamma", "fail"), ("delta", "error")]
    ]
    record = record_of("fail", gates)
    names = ("fidelity.gamma", "fidelity.delta", "fidelity.beta", "fidelity.alpha")
    for text in (render(record), markdown(record)):
        order_in(text, *names)
    for text in (printed(record), "\n".join(plain_lines(record))):
        order_in(text, "3 gates of 4 did not pass:", "✗ Gamma", "! Delta", "? Beta")
        assert "Alpha" not in text, "what passed stands in the report"


def test_the_table_fits_a_hundred_columns() -> None:
    record = census_record()
    assert max(len(line) for line in printed(record).splitlines()) <= 100
    wide = gate_of("fidelity." + "x" * 150, expression="y" * 300, value=-1234567.5, low=-9e8, high=9e8)
    assert max(len(line) for line in printed(record_of("pass", [wide])).splitlines()) <= 100


def test_the_table_cuts_no_verdict_and_no_heading() -> None:
    gates = [gate_of(verdict=verdict) for verdict in ("inconclusive", "error", "fail", "pass")]  # type: ignore[arg-type]
    record = record_of("fail", gates)
    for word in ("? Inconclusive |", "! Error |", "✗ Fail |", "✓ Pass |", "| value [low, high] |"):
        assert word in markdown(record)
    text = printed(record)
    assert text.startswith("VERDICT FAIL: ")
    for icon in "✗!?":
        assert f"  {icon} Kernel distance: 0.080 [0.050, 0.110], limit ≤ 0.15\n" in text
    assert "…" not in text


def test_limits_are_told_with_both_numbers_and_both_sides() -> None:
    both = gate_of(limit=0.1, fail_limit=0.25)
    change = gate_of("fairness.gap", field="change", limit=0.1, fail_limit=0.25)
    reading = reading_of("fairness.gap", field="change", better="zero")
    record = record_of("pass", [both, change], [reading_of(), reading])
    told = render(record)
    assert "≤ 0.1, fail &gt; 0.25" in told
    assert "within ±0.1, fail beyond ±0.25" in told


def test_what_was_measured_at_a_gate_stands_in_every_output() -> None:
    record = record_of("pass", [gate_of(value=0.12345, low=0.11, high=0.142)], [reading_of()])
    failing = record_of("fail", [record.gates[0].model_copy(update={"verdict": "fail"})])
    for text in (
        printed(failing),
        "\n".join(plain_lines(failing)),
        markdown(record),
        markdown(failing),
        junit(failing),
    ):
        assert "0.123 [0.110, 0.142]" in text
    assert "0.123 [0.110, 0.142]" in render(record)


def test_leakage_is_never_promised_away() -> None:
    record = record_of("pass", [gate_of("leakage.copies")], families={"leakage": {"verdict": "pass"}})
    for text in (render(record), render_summary(record), markdown(record)):
        assert "No leak found by these attacks at this power" in text
        assert not re.search(r"\b(anonymous|private|safe)\b", text, re.IGNORECASE)
