"""The HTML report: one self-contained offline file, readable without JavaScript.

Nothing that came from data can run: templates escape everything, embedded JSON has no ``<``, and
the page's content security policy admits two scripts alone, by their SHA-256. Whatever the record
holds, the page stays under ``MOST_BYTES``: what it leaves to record.json, it says.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from functools import cache
from importlib import resources

from markupsafe import Markup

from counterproof.reports import wording
from counterproof.reports.figures.draw import Figure
from counterproof.reports.group_view.table import group_table
from counterproof.reports.model import RecordData
from counterproof.reports.outputs import evidence_matrix
from counterproof.reports.outputs.chapters import Chapter, chapters_of
from counterproof.reports.outputs.glossary import quantities
from counterproof.reports.outputs.page_size import LEVELS, Limits
from counterproof.reports.outputs.page_templates import LISTED, security_policy, template, text_of
from counterproof.reports.outputs.side_by_side import Side, columns_of, rows_of

BUNDLE = "plotly-cartesian.min.js.gz"
MOST_BYTES = 8_000_000


def render(record: RecordData) -> str:
    """The full report as one HTML page without any external resource."""
    page = ""
    for limits in LEVELS:
        page = _page(record, limits)
        if len(page.encode("utf-8")) <= MOST_BYTES:
            break
    return page


def _page(record: RecordData, limits: Limits) -> str:
    chapters = chapters_of(record, limits)
    columns, rows = columns_of(record, limits), rows_of(record, limits)
    plotted = any(figure.plot for chapter in chapters for figure in _figures(chapter))
    verdict, because = wording.overall(record)
    loader = text_of("report.js")
    scripts = [loader, _bundle()[0]] if plotted else [loader]
    groups = group_table(record)
    return template("report.html.j2").render(
        record=record,
        manifest=record.manifest,
        limits=limits,
        verdict=verdict,
        because=because,
        headline=wording.headline(record),
        to_do=wording.to_do(record),
        extent=wording.extent_told(record),
        warnings=_warnings(record),
        chapters=chapters,
        families=[(chapter.family, chapter.family) for chapter in chapters if chapter.readings],
        columns=columns,
        rows=rows,
        images=record.manifest.modality == "image",
        groups=groups,
        controls=wording.planted_controls(record.measurements),
        blind=wording.blind_searches(record),
        floors=_floors(record),
        judged=_judged(record),
        undecided=[line for chapter in chapters for line in chapter.lines if line.state == "undecided"],
        matrix=evidence_matrix.question_rows(record),
        clauses=evidence_matrix.clause_rows(record),
        missing=evidence_matrix.missing_by_reason(record),
        quantities=quantities(record),
        thinned=_thinned(record, chapters, columns, limits),
        shows_real=wording.shows_real(record),
        style=Markup(text_of("style.css")),
        loader=Markup(loader),
        bundle=Markup(_bundle()[1] if plotted else ""),
        policy=security_policy(scripts),
    )  # fmt: skip


def render_summary(record: RecordData) -> str:
    """A strip for notebooks: verdict, families and gates; inline styles, no scripts."""
    verdict, because = wording.overall(record)
    return template("summary.html.j2").render(
        record=record,
        verdict=verdict,
        because=because,
        headline=wording.headline(record),
        extent=wording.extent_told(record),
        warned=wording.warned(record),
        chapters=chapters_of(record),
    )  # fmt: skip


def _figures(chapter: Chapter) -> list[Figure]:
    return [*(finding.figure for finding in chapter.findings), *chapter.figures]


def _warnings(record: RecordData) -> list[tuple[str, str]]:
    """Warnings with their family, in the order of the questions; those of none first."""
    return [(family, text) for family, texts in wording.warnings_by_question(record).items() for text in texts][:LISTED]


def _judged(record: RecordData) -> tuple[int, int]:
    """How many gates were judged, and on how many cells; one that judges the whole has one."""
    judged = [gate for gate in record.gates if gate.verdict not in ("undecided", "not_applicable")]
    return len(judged), sum(max(1, len(gate.cells)) for gate in judged)


def _floors(record: RecordData) -> tuple[int, int, int]:
    """How many measurements there are, how many of them have a floor, and the re-splits behind each."""
    measured = [reading for reading in record.measurements if reading.status == "measured"]
    floors = [reading.floor for reading in measured if reading.floor is not None]
    return len(measured), len(floors), max((floor.draws for floor in floors), default=0)


def _thinned(record: RecordData, chapters: Sequence[Chapter], columns: Side | None, limits: Limits) -> list[str]:
    """What the page leaves to the record, in words."""
    gates = sum(max(0, len(chapter.gates) - limits.gates) for chapter in chapters)
    counts = {
        "measurement": len(record.measurements) - limits.readings,
        "figure": sum(chapter.figures_left for chapter in chapters),
        "evidence table": sum(chapter.evidence_left for chapter in chapters),
        "column": columns.left_out if columns else 0,
        "list of details under a gate": gates,
    }
    plural = {"list of details under a gate": "lists of details"}
    return [f"{n:,} {what if n == 1 else plural.get(what, what + 's')}" for what, n in counts.items() if n > 0]


@cache
def _bundle() -> tuple[str, str]:
    """plotly.js as text, and packed for embedding."""
    packed = resources.files("counterproof.reports").joinpath("templates", BUNDLE).read_bytes()
    return gzip.decompress(packed).decode("utf-8"), base64.b64encode(packed).decode("ascii")
