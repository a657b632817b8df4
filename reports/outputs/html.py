"""The HTML report: one self-contained offline file, readable without JavaScript.

Nothing that came from data can run: templates escape everything, embedded JSON has no ``<``, and
the page's content security policy admits two scripts alone, by their SHA-256.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from counterproof.reports import wording
from counterproof.reports.figures.draw import Figure, draw
from counterproof.reports.figures.gate_scale import cell_scale, gate_scale
from counterproof.reports.group_view.cells import FAR
from counterproof.reports.group_view.table import group_table
from counterproof.reports.judgement import number
from counterproof.reports.model import ControlReading, EvidenceReading, PanelReading, Reading, RecordData
from counterproof.reports.sentences import group_in_words
from counterproof.reports.serialise import rounded
from counterproof.reports.text import cell_text, clipped, interval, printable, sentence

BUNDLE = "plotly-cartesian.min.js.gz"
CELLS_SHOWN, EVIDENCE_SHOWN, READINGS_SHOWN = 20, 100, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One question of the report.

    Attributes:
        family: Its name.
        question: Its words.
        state: Its verdict.
        answer: The answer in plain language.
        because: The sentences behind it.
        lines: Its gates, worst first.
        figures: Its drawn panels.
        evidence: Tables with the name of their measurement.
        readings: Every measurement.
        controls: Leaks that were planted as a control.
    """

    family: str
    question: str
    state: wording.State
    answer: str
    because: list[str]
    lines: list[wording.Line]
    figures: list[Figure]
    evidence: list[tuple[str, EvidenceReading]]
    readings: list[Reading]
    controls: list[tuple[str, ControlReading]]

    @property
    def tally(self) -> str:
        """How many gates have which verdict: ``1 fail, 4 pass``."""
        states = [line.state for line in self.lines]
        counted = {state: states.count(state) for state in wording.LOOKS if state in states}
        return ", ".join(f"{n} {wording.LOOKS[state].word.lower()}" for state, n in counted.items()) or "no gate"


def render(record: RecordData) -> str:
    """The full report as one HTML page without any external resource."""
    chapters = list(_chapters(record))
    plotted = any(figure.plot for chapter in chapters for figure in chapter.figures)
    verdict, because = wording.overall(record)
    loader = _text("report.js")
    scripts = [loader, _bundle()[0]] if plotted else [loader]
    return _environment().get_template("report.html.j2").render(
        record=record,
        verdict=verdict,
        because=because,
        headline=wording.headline(record),
        extent=wording.extent_told(record),
        chapters=chapters,
        groups=group_table(record),
        not_assessed=wording.not_assessed(record),
        warned=wording.warned(record),
        shows_real=wording.shows_real(record),
        style=Markup(_text("style.css")),
        loader=Markup(loader),
        bundle=_bundle()[1] if plotted else "",
        policy=_policy(scripts),
    )  # fmt: skip


def render_summary(record: RecordData) -> str:
    """A strip for notebooks: verdict, families and gates; inline styles, no scripts."""
    verdict, because = wording.overall(record)
    return _environment().get_template("summary.html.j2").render(
        record=record,
        verdict=verdict,
        because=because,
        headline=wording.headline(record),
        extent=wording.extent_told(record),
        warned=wording.warned(record),
        chapters=list(_chapters(record, figures=False)),
    )  # fmt: skip


def _chapters(record: RecordData, *, figures: bool = True) -> Iterator[Chapter]:
    gates_by_family = wording.gates_by_family(record)
    for family, lines in gates_by_family.items():
        readings = [reading for reading in record.measurements if reading.family == family]
        panels = [(reading, panel) for reading in readings for panel in reading.panels] if figures else []
        found = record.families.get(family)
        yield Chapter(
            family=family,
            question=wording.question(family) or family,
            state=wording.family_state(record, family),
            answer=wording.answer(record, family),
            because=found.because if found else [],
            lines=lines,
            figures=[_drawn(record, reading, panel) for reading, panel in panels],
            evidence=[(wording.subject_of(reading), table) for reading in readings for table in reading.evidence],
            readings=readings,
            controls=wording.planted_controls(readings),
        )


def _drawn(record: RecordData, reading: Reading, panel: PanelReading) -> Figure:
    """A figure whose note names its measurement, as every table of evidence does."""
    figure = draw(panel, shows_real=record.manifest.shows_real)
    return replace(figure, note=" · ".join(part for part in (wording.subject_of(reading), figure.note) if part))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("counterproof.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "cell": cell_text, "clipped": clipped, "pretty": _pretty}
    made.filters |= {
        "rounded": rounded,
        "place": group_in_words,
        "subject": wording.subject_of,
        "multiplicity": wording.multiplicity,
        "sentence": sentence,
    }
    made.globals |= {"LOOKS": wording.LOOKS, "interval": interval, "gate_scale": gate_scale, "cell_scale": cell_scale}
    made.globals |= {"CELLS": CELLS_SHOWN, "EVIDENCE": EVIDENCE_SHOWN, "READINGS": READINGS_SHOWN, "FAR": FAR}
    return made


def _final(value: object) -> object:
    """Values in the page: markup unchanged, everything else without control characters."""
    return value if isinstance(value, Markup) else printable("" if value is None else value)


def _pretty(value: object) -> Markup:
    """JSON to read, escaped here because its line breaks are meant to stay."""
    text = json.dumps(rounded(value), indent=2, ensure_ascii=False, sort_keys=True)
    return Markup("\n").join(printable(line) for line in text.split("\n"))


@cache
def _text(name: str) -> str:
    return resources.files("counterproof.reports").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _bundle() -> tuple[str, str]:
    """plotly.js as text, and packed for embedding."""
    packed = resources.files("counterproof.reports").joinpath("templates", BUNDLE).read_bytes()
    return gzip.decompress(packed).decode("utf-8"), base64.b64encode(packed).decode("ascii")


def _policy(scripts: list[str]) -> str:
    """The content security policy: these scripts, no others; no network at all."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") for text in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; img-src data: blob:; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
