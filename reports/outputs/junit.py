"""JUnit XML: one test case per gate, and never a green file for a record that did not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal
from xml.etree import ElementTree as ET

from counterproof.reports.gate_lines import LOOKS, Line, family_of, gates_by_family
from counterproof.reports.model import RecordData
from counterproof.reports.sentences import group_in_words
from counterproof.reports.text import printable, sentence
from counterproof.reports.wording import extent_told, headline, multiplicity, overall, warned

Outcome = Literal["passed", "failures", "errors", "skipped"]
CELLS_TOLD = 20


def junit(record: RecordData) -> str:
    """The gates as JUnit XML.

    A failed gate is a ``<failure>``; an inconclusive or crashed one an ``<error>``; a warn-level
    gate passes and puts its account into ``<system-out>``; not applicable and waived gates are
    ``<skipped>``. Where no test case explains the verdict of the whole, one more does.
    """
    cases = [(_outcome(line), _case(line)) for lines in gates_by_family(record).values() for line in lines]
    cases += _whole(record, {outcome for outcome, _ in cases})
    counts = Counter(outcome for outcome, _ in cases)
    totals = {
        "tests": str(len(cases)),
        "failures": str(counts["failures"]),
        "errors": str(counts["errors"]),
        "skipped": str(counts["skipped"]),
        "time": f"{record.manifest.seconds:.3f}",
    }
    root = ET.Element("testsuites", {"name": "counterproof", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": "counterproof", **totals})
    properties = ET.SubElement(suite, "properties")
    for name, value in _facts(record):
        ET.SubElement(properties, "property", {"name": name, "value": value})
    suite.extend(case for _, case in cases)
    told = [*extent_told(record), *(f"{LOOKS['warn'].word}: {printable(text)}" for text in warned(record))]
    if told:
        ET.SubElement(suite, "system-out").text = "\n".join(told)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _facts(record: RecordData) -> Iterator[tuple[str, str]]:
    """What stands above the test cases: the verdict, and how much of the release was judged."""
    yield "verdict", headline(record)
    extent = record.extent
    if extent is None:
        return
    if extent.columns:
        yield "columns", str(len(extent.columns))
        yield "columns not judged", ", ".join(printable(one.column) for one in extent.unjudged) or "none"
    yield f"{extent.unit}s", str(extent.rows)
    yield f"{extent.unit}s compared", str(extent.compared)


def _outcome(line: Line) -> Outcome:
    if line.state in ("waived", "undecided", "not_applicable"):
        return "skipped"
    if line.state == "pass" or line.gate.level == "warn":
        return "passed"
    return "failures" if line.state == "fail" else "errors"


def _case(line: Line) -> ET.Element:
    name = printable(line.gate.expression)
    case = ET.Element("testcase", {"classname": printable(family_of(line.gate)), "name": name})
    outcome, told = _outcome(line), "\n".join(_account(line))
    if outcome == "passed":
        if line.state != "pass":
            ET.SubElement(case, "system-out").text = told
        return case
    why = f"waived: {line.gate.waiver}" if line.state == "waived" else sentence(line.gate.why)
    message = printable(why or line.look.word)
    tag = {"failures": "failure", "errors": "error", "skipped": "skipped"}[outcome]
    told_by = ET.SubElement(case, tag, {"message": message})
    if outcome != "skipped":
        told_by.set("type", line.state)
        told_by.text = told
    return case


def _account(line: Line) -> Iterator[str]:
    """The account of a gate for a build log."""
    gate = line.gate
    yield f"{line.look.word.upper()}: {line.named or line.title}"
    yield f"{printable(gate.expression)}: {line.value}, limit {line.limit}"
    yield sentence(gate.why)
    if line.state not in ("pass", "undecided"):
        yield from (printable(text) for text in (gate.means, gate.remedy) if text)
    for member in line.members:
        told = f"{member.gate.expression}: {member.value}, limit {member.limit}; {member.gate.why}"
        yield f"{member.look.word.lower()}: {printable(told)}"
    yield multiplicity(gate)
    if gate.n_needed:
        yield f"about {gate.n_needed} rows would decide it"
    for cell in gate.cells[:CELLS_TOLD]:
        yield f"{cell.verdict}: {group_in_words(cell.group)}: {printable(cell.why)}"


def _whole(record: RecordData, seen: set[Outcome]) -> list[tuple[Outcome, ET.Element]]:
    """A test case for the verdict of the whole, where no other explains it."""
    verdict, because = overall(record)
    outcome: Outcome = "failures" if verdict == "fail" else "errors"
    if verdict == "pass" or outcome in seen:
        return []
    case = ET.Element("testcase", {"classname": "counterproof", "name": "verdict"})
    tag = "failure" if verdict == "fail" else "error"
    message = because or f"the audit's verdict is {verdict}"
    ET.SubElement(case, tag, {"message": message, "type": verdict}).text = message
    return [(outcome, case)]
