"""``counterproof metrics list`` and ``show``: every installed metric is described to its users, not to its authors."""

from __future__ import annotations

import re

import pytest
from helpers.cli import called, refused

from counterproof.cli.metric_catalogue import find
from counterproof.cli.metric_page import in_words, page_of
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.metric import FAMILIES, Value, installed, load, metric

OURS = sorted(name for name in installed() if name.partition(".")[0] in FAMILIES)
TITLES = ("What it measures", "Formula", "How to read it", "What it cannot see", "Default gates", "Fields", "Options")
TITLES += ("Needs", "Floor", "Source")
# The syntax of docstrings and of Python, and the roles of reST.
RAW = re.compile(r"``|:\w+:`|\b(Args|Yields|Raises|Attributes|Example|Limits):|Annotated|FieldInfo|Literal|\bbench\b")


def shown(name: str) -> list[str]:
    done = called("metrics", "show", name)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.mark.parametrize("name", OURS)
def test_a_page_has_every_part_and_no_source_text(name: str) -> None:
    lines = shown(name)
    assert [line for line in lines if line in TITLES] == list(TITLES)
    assert max(map(len, lines)) <= 100
    assert [line for line in lines if RAW.search(line)] == []
    for at, line in enumerate(lines):
        if line in TITLES:
            assert lines[at + 1].startswith("  "), f"{line} is empty"


@pytest.mark.parametrize("name", OURS)
def test_every_option_field_and_gate_is_explained(name: str) -> None:
    page, found = find(name), load(name)
    assert [option.name for option in page.options] == list(found.parameters())
    for entry in (*page.options, *page.fields):
        assert entry.text.endswith("."), f"{name}: {entry.name} is not explained"
    described = {entry.name for entry in page.fields}
    gated = {t.field for t in found.tolerances} | {found.headline} | set(found.controls.values())
    assert {field if field == "excess" else field.removesuffix("_excess") for field in gated} <= described
    assert len(page.gates) == len(found.tolerances)
    assert all(gate.reason for gate in page.gates)


def test_papers_can_be_found() -> None:
    """A source is a DOI, an arXiv id, or a named book, code or standard; two metrics are plain comparisons."""
    without = {name for name in OURS if not re.search(r"doi:10\.|arXiv:\d{4}\.\d{4,5}", " ".join(find(name).source))}
    assert without == {"coverage.effective_samples", "fidelity.marginals", "fidelity.schema", "fidelity.text_profiles"}


def test_an_unknown_metric_names_the_nearest() -> None:
    told = refused("metrics", "show", "fidelty.precison")
    assert told.startswith("no metric is called 'fidelty.precison'; nearest: fidelity.precision")


def test_the_list_is_grouped_by_question() -> None:
    lines = called("metrics", "list").output.splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line.partition(":")[0] for line in lines if re.match(r"\w+: ", line)]
    assert heads == list(FAMILIES)
    assert [line.split()[0] for line in lines if re.match(r"  \w+\.\w+ ", line)] == [
        name for family in FAMILIES for name in OURS if name.startswith(f"{family}.")
    ]


def test_a_metric_from_outside_without_a_word_has_a_page_too() -> None:
    @metric(id="acme.rows", family="coverage", better="higher", unit="rows")
    def rows(bench: object, *, k: int = 3) -> list[Value]:
        return [Value(estimate=Estimate(value=1.0, low=1.0, high=1.0))]

    page = page_of(rows)
    assert page.summary == "rows."
    assert (page.options[0].name, page.options[0].kind, page.options[0].default) == ("k", "whole number", "3")
    assert (page.formula, page.limits, page.source) == ((), (), ())


def test_types_are_said_in_words() -> None:
    assert in_words(dict[str, dict[str, float]] | None) == "number by column and value, or nothing"
    assert in_words(tuple[tuple[str, ...], ...]) == "list of lists of texts"
