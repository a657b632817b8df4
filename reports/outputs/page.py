"""Pages beside the report, of one or several records: the report's style and security, and no script at all."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from counterproof.reports import wording
from counterproof.reports.model import RecordData
from counterproof.reports.outputs.page_templates import security_policy, template, text_of
from counterproof.reports.text import printable


def page(name: str, *, title: str, **values: Any) -> str:
    """A page from its template; everything that comes from data is escaped."""
    return template(name).render(
        title=title,
        policy=security_policy([]),
        style=Markup(text_of("style.css") + text_of("pages.css")),
        release=release_name,
        verdict_of=wording.overall,
        headline_of=wording.headline,
        answer=wording.answer,
        state_of_family=wording.family_state,
        question=wording.question,
        date=date_of,
        **values,
    )  # fmt: skip


def release_name(record: RecordData) -> str:
    """The audited release by the name of its file or folder."""
    sources = [role.source for role in record.manifest.roles if role.role == "synthetic"]
    return printable(PurePath(sources[0]).name or sources[0]) if sources and sources[0] else "the release"


def date_of(record: RecordData) -> str:
    """When the audit began, to the minute."""
    return printable(record.manifest.started[:16].replace("T", " "))
