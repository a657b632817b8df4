"""What a verdict says of the columns, rows and questions that no gate judged."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from helpers.readings import reading

from counterproof.judging.grammar import parse_gate
from counterproof.judging.rejudge import rejudged
from counterproof.judging.verdict import judged
from counterproof.reports.model import Manifest, Reading, RoleReading
from counterproof.reports.outputs.html import render, render_summary
from counterproof.reports.outputs.junit import junit
from counterproof.reports.outputs.markdown import markdown
from counterproof.reports.outputs.terminal import plain_lines
from counterproof.reports.record import Record
from counterproof.reports.wording import extent_told, headline

COLUMNS = {"age": "number", "job": "category", "patient": "identifier", "note": "text"}
MARGINALS = [reading("fidelity.marginals", 0.01, field="excess", group={"column": name}) for name in ("age", "job")]
JOINT = reading("fidelity.precision", 0.01, title="precision")
LEAK = reading("leakage.rare_values", 0.0)
READ = {
    "fidelity.marginals": ["age", "job"],
    "fidelity.precision": ["age"],
    "leakage.rare_values": [*COLUMNS],
}
GATES = {
    "columns": "fidelity.marginals.excess[column=*] <= 0.1",
    "joint": "fidelity.precision <= 0.1",
    "leak": "leakage.rare_values <= 0.1",
}


def audited(
    *names: str, measured: list[Reading] | None = None, run: dict[str, Any] | None = None, **facts: Any
) -> Record:
    given = {"data": facts.pop("data", {}), "run": {"policy": "standard", **(run or {})}}
    manifest = Manifest(
        roles=[RoleReading(role="synthetic", source="s", rows=900, digest="0")],
        config=given,
        **{"columns": COLUMNS, "released": [*COLUMNS], "compared": 900, "read_by": READ, "modality": "table", **facts},
    )
    gates = [parse_gate(GATES[name]) for name in names]
    return judged(gates=gates, measurements=measured or [*MARGINALS, JOINT, LEAK], manifest=manifest)


def unjudged(record: Record) -> set[str]:
    assert record.extent is not None
    return {one.column for one in record.extent.unjudged}


def test_a_column_is_judged_by_its_own_cell_or_by_a_gate_on_the_whole_that_looked_at_it() -> None:
    assert unjudged(audited("columns", "joint", "leak")) == {"patient", "note"}
    assert unjudged(audited("joint", "leak")) == {"job", "patient", "note"}
    assert unjudged(audited("leak")) == set()  # without a gate of fidelity, any question does
    few = [reading("fidelity.marginals", 0.01, field="excess", group={"column": "age"}), MARGINALS[1], JOINT, LEAK]
    few[1] = few[1].model_copy(update={"decidable": False})
    assert unjudged(audited("columns", "leak", measured=few)) == {"job", "patient", "note"}


def test_a_pass_says_how_many_columns_no_gate_judged_and_who_looked_at_them() -> None:
    record = audited("columns", "leak", run={"unjudged": 0.5})
    assert record.verdict == "pass"
    assert headline(record) == "Pass, 2 columns not judged"
    (columns, rows) = extent_told(record)
    assert columns == (
        "2 of 4 columns judged (fidelity 2, leakage 4); 'patient': identifier, only leakage looks at it; "
        "'note': free text, only leakage looks at it"
    )
    assert rows == "all 900 rows of the release judged"
    for text in (markdown(record), render(record), render_summary(record), junit(record)):
        assert "2 columns not judged" in text
        assert "only leakage looks at it" in text
    lines = plain_lines(record)
    told = " ".join(line.strip() for line in lines)
    assert told.endswith(f"{columns} {rows}")
    assert lines[0].startswith("VERDICT PASS, 2 columns not judged: All 2 gates passed")
    assert "1. Nothing here stands against the release" in told
    assert "3. Look at 'patient', 'note' yourself: no gate judged it." in told
    properties = {one.get("name"): one.get("value") for one in ET.fromstring(junit(record)).iter("property")}
    assert properties["columns not judged"] == "patient, note"
    assert properties["columns"] == "4"


def test_more_than_a_tenth_unjudged_or_a_column_that_was_named_is_no_pass() -> None:
    assert audited("columns", "leak").verdict == "inconclusive"
    assert "No gate judged 2 of 4 columns, and a PASS may leave 10% unjudged" in audited("columns", "leak").because
    many = {**COLUMNS, **{f"x{at}": "number" for at in range(20)}}
    wide: dict[str, Any] = {"columns": many, "released": [*many]}
    wide["read_by"] = {**READ, "fidelity.precision": [name for name in many if name not in ("patient", "note")]}
    assert audited("joint", "leak", **wide).verdict == "pass"
    for data in ({"kinds": {"note": "text"}}, {"groups": ["note"]}, {"label": "note"}):
        named = audited("joint", "leak", data=data, **wide)
        assert named.verdict == "inconclusive"
        assert "No gate judged 'note', named as" in named.because
    assert audited("joint", "leak", data={"kinds": {"note": "text"}}, run={"unjudged": 1.0}, **wide).verdict == "pass"
    # whoever asks for single gates by a policy of their own has said what is to be judged
    assert audited("joint", run={"policy": "none"}).verdict == "pass"
    assert audited("joint", run={"metrics": ["fidelity.precision"]}).verdict == "pass"
    assert audited("joint", run={"metrics": ["fidelity", "leakage"]}).verdict == "inconclusive"
    assert audited("joint", run={"policy": "none"}).extent is not None


def test_columns_that_were_left_out_are_named_and_the_column_of_sources_needs_no_likeness() -> None:
    record = audited(
        "columns", "leak", released=[*COLUMNS, "extra"], data={"cluster": "patient"}, run={"unjudged": 0.9}
    )
    assert unjudged(record) == {"note", "extra"}
    assert "'extra': left out of the audit" in extent_told(record)[0]


def test_a_record_without_these_facts_says_nothing_of_them() -> None:
    record = audited("joint", released=[], compared=0)
    assert record.extent is None
    assert extent_told(record) == []
    assert headline(record) == "Pass"


def test_rows_that_were_drawn_and_images_are_told() -> None:
    some = audited("joint", released=[], compared=300)
    assert extent_told(some)[0].startswith("300 of 900 rows of the release, drawn at random, were held against")
    images = audited("joint", released=[], compared=900, modality="image")
    assert extent_told(images) == ["all 900 images of the release judged"]


def test_the_extent_is_judged_again_with_other_gates() -> None:
    record = audited("columns", "leak", run={"unjudged": 0.5})
    again = rejudged(record, fail=[GATES["joint"]], warn=(), keep_policy=True)
    assert again.extent == record.extent
    assert Record.model_validate_json(record.to_json()).extent == record.extent


def test_leakage_that_was_let_pass_by_reads_not_assessed() -> None:
    cannot = reading("leakage.copies", None, status="not_assessable", reason="without holdout rows, nobody can tell")
    facts = reading("leakage.identifiers", 0.0, field="real", headline=False)
    gates = [parse_gate(text) for text in (GATES["joint"], "leakage.copies <= 0.01", "leakage.identifiers.real <= 0.1")]
    measured = [JOINT, cannot, facts]

    def verdict(*others: Reading) -> Record:
        return judged(
            gates=gates,
            measurements=[*(others or measured)],
            manifest=Manifest(roles=[RoleReading(role="real", source="r", rows=9, digest="0")]),
            without_holdout="allow",
        )

    record = verdict()
    assert record.verdict == "pass"
    assert record.families["leakage"].verdict == "not_assessed"
    assert record.families["leakage"].because == [
        "1 gate could not be judged: without holdout rows, nobody can tell; 1 gate that needs none passed"
    ]
    assert headline(record) == "Pass, leakage not assessed"
    assert "No leak found" not in markdown(record)
    leaked = facts.model_copy(update={"alarm": "3 addresses of real records stand in the release"})
    assert verdict(JOINT, cannot, leaked).families["leakage"].verdict == "fail"


def test_a_label_without_classes_is_said_beside_the_verdict() -> None:
    record = audited("joint", no_labels="pay is a number, not a class", released=[])
    assert record.because.endswith("Utility and fairness were not judged: pay is a number, not a class.")


@pytest.mark.parametrize("count", [2, 5])
def test_the_worst_findings_stand_beside_the_verdict_with_a_count_of_the_others(count: int) -> None:
    found = [f"finding {at}" for at in range(count)]
    record = audited("joint", notable=found, findings=[*found, "a remark"], released=[])
    page = render(record).partition('<nav class="chips"')[0]  # the first screen
    for text in (markdown(record), junit(record), "\n".join(plain_lines(record)), render_summary(record), page):
        assert all(f"finding {at}" in text.lower() for at in range(min(count, 3)))
        assert ("2 more findings about the data" in text) == (count == 5)
    assert "finding 4" not in markdown(record)


def test_a_distance_below_nought_reads_nought_within_its_error_and_the_record_holds_the_number() -> None:
    below = reading("fidelity.frechet_distance", -0.004, error=0.003, least=0.0, title="Fréchet distance")
    gates = [parse_gate("fidelity.frechet_distance <= 0.1")]
    record = judged(gates=gates, measurements=[below], manifest=Manifest())
    assert record["fidelity.frechet_distance"].value == -0.004
    for text in (markdown(record), render(record), "\n".join(plain_lines(record)), record.because):
        assert "-0.004" not in text
    assert "0 within its error [0, 0.00188]" in markdown(record)


def test_a_pass_shows_bound_and_limit_and_a_fact_shows_no_value_inside_the_limit() -> None:
    fact = reading("leakage.copies", 0.0, alarm="12 rows are copies", title="copies")
    gates = [parse_gate(GATES["joint"]), parse_gate("leakage.copies <= 0.05")]
    record = judged(gates=gates, measurements=[JOINT, fact], manifest=Manifest())
    (shown,) = [line for line in plain_lines(record) if line.startswith("  ✗ ")]
    assert shown == "  ✗ Copies: 12 rows are copies", "neither a value nor a limit, inside which it would lie"
    rows = markdown(record).splitlines()
    assert any(
        "`fidelity.precision <= 0.1` | 0.0100 [-0.0096, 0.0296], bound 0.0264 |  | ≤ 0.1 |" in row for row in rows
    )
    assert any("| a fact |  | – | 12 rows are copies |" in row for row in rows)
    assert "a fact, whatever the value" in render(record)


def test_the_counts_beside_the_verdict_are_those_of_the_cards() -> None:
    warned = parse_gate("fidelity.precision <= 0.2", level="warn")
    record = judged(gates=[parse_gate(GATES["joint"]), warned], measurements=[JOINT], manifest=Manifest())
    assert record.because == "All 2 gates passed."
    assert "2 pass" in render(record)
    missed = parse_gate("fidelity.precision <= 0.001", level="warn")
    record = judged(gates=[parse_gate(GATES["joint"]), missed], measurements=[JOINT], manifest=Manifest())
    assert record.because == "The gate that can fail passed."
