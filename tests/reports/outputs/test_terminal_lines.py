"""The terminal: one screen, whatever the record holds."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from helpers.sample_tables import Whole, census_record, gate_of, reading_of, record_of, record_with
from rich.cells import cell_len
from rich.console import Console

from counterproof.metrics.metric import FAMILIES
from counterproof.reports.gate_lines import LOOKS
from counterproof.reports.model import ColumnExtent, ExtentReading, FamilyReading, Manifest
from counterproof.reports.outputs.terminal import GATES_SHOWN, MOST_LINES, VerdictTable, plain_lines
from counterproof.reports.record import Record

FORGED = "\nVERDICT PASS: every gate passed\r\x1b[2K\x1b[1AVERDICT PASS\u2028VERDICT PASS\u202e"
WIDTHS = (100, 80, 40)
VERDICTS: tuple[Whole, ...] = ("fail", "error", "inconclusive", "pass")


def printed(record: Record, width: int = 100, **colours: Any) -> list[str]:
    out = io.StringIO()
    options = colours or {"force_terminal": False, "color_system": None}
    Console(file=out, width=width, **options).print(VerdictTable(record))
    return out.getvalue().splitlines()


def crowded(verdict: Whole, name: str = "a long name of a column that goes on and on ") -> Record:
    """Sixty gates that did not pass, whose every text is very long, with data in all places where data can be."""
    long = name * 12
    missed = "fail" if verdict == "pass" else verdict
    gates = [
        gate_of(f"{FAMILIES[at % 5]}.metric_{at}", missed, expression=long, group={long: long}, why=f"{at} {long}",
                remedy=f"{at} {long}.", margin=None if at % 2 else -0.1, n_needed=9 * at,
                level="warn" if verdict == "pass" else "fail")
        for at in range(60)
    ]  # fmt: skip
    readings = [reading_of(gate.metric, title=long, group=gate.group) for gate in gates]
    families = {family: FamilyReading(verdict=verdict, because=[f"{long} (a.b)"]) for family in (*FAMILIES, "together")}
    columns = [ColumnExtent(column=f"{long} {at}", kind="text") for at in range(30)]
    return record_of(
        verdict,
        [*gates, gate_of()],
        readings,
        because=long,
        families=families,
        warnings=[f"{at} {long}" for at in range(20)],
        manifest=Manifest(notable=[f"{at} {long}" for at in range(9)], no_labels=long, shows_real=True),
        extent=ExtentReading(columns=columns, rows=9000, compared=300),
    )


def every_record() -> list[Record]:
    return [*(record_with(case) for case in (*VERDICTS, "warn-only")), census_record(), record_of("pass")]


def held(lines: list[str], width: int) -> None:
    """One screen without control characters on which the verdict stands first and once."""
    assert len(lines) <= MOST_LINES < 30
    assert max(map(len, lines)) <= width
    assert not any(re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", line) for line in lines)
    assert [at for at, line in enumerate(lines) if line.startswith("VERDICT")] == [0]
    assert all(line.strip() for line in lines)


def test_every_record_fits_a_screen() -> None:
    for record in every_record():
        held(plain_lines(record), 100)
        for width in WIDTHS:
            shown = printed(record, width)
            assert max(map(len, shown)) <= width
        assert printed(record) == plain_lines(record), "a terminal and a log read alike"


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("name", ["a long name of a column ", "x" * 300, "漢字 と かな ", FORGED])
def test_a_crowded_record_fits_a_screen_and_still_answers(verdict: Whole, name: str) -> None:
    record = crowded(verdict, name)
    lines = plain_lines(record)
    held(lines, 100)
    for width in WIDTHS:
        shown = printed(record, width)
        held(shown, width)
        assert max(map(cell_len, shown)) <= width, "characters that are two columns wide are no excuse"
    word = LOOKS[verdict].word.upper()
    assert lines[0].startswith(f"VERDICT {word}")
    for family in (*FAMILIES, "together"):
        assert sum(bool(re.match(f". {family:<10} ", line)) for line in lines) == 1
    advice = {"fail": 3, "error": 1, "inconclusive": 3, "pass": 2}[verdict]
    assert sum(bool(re.match(r"[123]\. ", line)) for line in lines) == advice
    assert any(line.endswith("more warnings in the report") for line in lines)
    if verdict != "pass":
        assert "60 gates of 61 did not pass:" in lines
        assert f"  … {60 - GATES_SHOWN} more in the report" in lines


@pytest.mark.parametrize("name", [f"x{FORGED}", "VERDICT PASS ", "VERDICT PASS: every gate passed" + " " * 69])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_forged_verdict_never_begins_a_line(verdict: Whole, name: str) -> None:
    record = crowded(verdict, name)
    for lines in (plain_lines(record), *(printed(record, width) for width in (*WIDTHS, 33, 57))):
        assert any("VERDICT PASS" in line for line in lines[1:]), "the data are told"
        assert lines[0].startswith(f"VERDICT {LOOKS[verdict].word.upper()}")
        assert not any(line.startswith("VERDICT") for line in lines[1:])


def test_colours_change_no_word_and_markup_in_data_is_text() -> None:
    record = crowded("fail", "[bold red]name[/bold red] ")
    coloured = printed(record, force_terminal=True, color_system="truecolor")
    assert any("\x1b[" in line for line in coloured)
    assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in coloured] == plain_lines(record)
    assert "[bold red]name[/bold red]" in "\n".join(plain_lines(record))


def test_a_short_text_is_told_whole_and_a_long_one_says_that_it_was_cut() -> None:
    because = "Every word of this sentence is read, as it is no longer than four lines of a hundred columns. " * 3
    record = record_of("fail", [gate_of(verdict="fail")], [reading_of()], because=because.strip())
    told = " ".join(line.strip() for line in plain_lines(record))
    assert because.strip() in told
    assert "…" not in told
    cut = plain_lines(crowded("fail"))
    assert cut[0].endswith("…")


def test_the_gates_that_did_not_pass_are_listed_the_worst_first_and_those_that_only_warn_are_not() -> None:
    gates = [
        gate_of("fidelity.alpha", "inconclusive"),
        gate_of("fidelity.beta", "fail", level="warn"),
        gate_of("fidelity.gamma", "fail", loss=2.0),
        gate_of("fidelity.delta", "fail", loss=5.0),
        gate_of("fidelity.epsilon", "fail", margin=None, why="a fact is told by itself"),
        gate_of("fidelity.zeta", "not_applicable"),
        gate_of("fidelity.eta", "undecided"),
        gate_of("fidelity.theta", "error", value=None, why="it crashed"),
        gate_of("fidelity.iota", "fail", waiver="until 2027-01-31"),
    ]
    lines = plain_lines(record_of("fail", gates))
    at = lines.index("6 gates of 8 did not pass:")
    number = "0.080 [0.050, 0.110], limit ≤ 0.15"
    assert lines[at + 1 : at + 7] == [
        "  ✗ Epsilon: a fact is told by itself",
        f"  ✗ Delta: {number}",
        f"  ✗ Gamma: {number}",
        "  ! Theta: it crashed",
        f"  ? Alpha: {number}",
        "  … 1 more in the report",
    ]
