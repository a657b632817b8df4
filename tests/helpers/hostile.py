"""Audits whose every word attacks the reader, and what a page is made of."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from counterproof.reports.model import CellReading, FamilyReading, RoleReading
from counterproof.reports.record import Record
from helpers.sample_tables import gate_of, manifest_of, reading_of

MARK = "xyzzy"
ATTACKS = {
    "script": f"</script><script>window.{MARK}=1;alert(1)</script>",
    "image": f'<img src=x onerror="window.{MARK}=1">',
    "attribute": f'" onmouseover="window.{MARK}=1" x="\' onfocus=\'{MARK}',
    "svg": f"</title></svg><svg onload=window.{MARK}=1>",
    "style": f"</style><style>body{{display:none}}</style>url(http://evil.example/{MARK})",
    "template": f"{{{{ 7*7 }}}} {{% raw %}} {MARK} ${{7*7}}",
    "ansi": f"\x1b[31m{MARK}\x1b]8;;http://evil.example\x07\x9b2J\r\x00\u202e",
    "long": MARK * 4000,
}


def hostile_audit(text: str, *, version: int = 1, value: float = 0.2) -> Record:
    """An audit where every string that data can reach is the attack."""
    common: dict[str, Any] = {"expression": text, "why": text, "tolerance_reason": text}
    cell = CellReading(group={text: text}, verdict="fail", value=value, low=0.0, high=0.3, why=text)
    gates = [
        gate_of(verdict="fail", value=value, group={text: text}, **common),
        gate_of("coverage.recall", "fail", group=None, cells=[cell], waiver=text, **common),
        gate_of(text, "error", family=text, name=text, **common),
    ]
    readings = [
        reading_of(title=text, unit=text, reason=text, group={text: text}, protocol=text, params={text: text}),
        reading_of("coverage.recall", title=text, algo=version, group={text: text}),
    ]
    return Record(
        verdict="fail",
        because=text,
        warnings=[text],
        families={family: FamilyReading(verdict="fail", because=[text]) for family in ("fidelity", text)},
        measurements=readings,
        gates=gates,
        manifest=manifest_of(
            roles=[RoleReading(role=role, source=text, rows=version, digest=text) for role in ("synthetic", text)],
            config={"run": {text: f"{text}{version}"}, "data": {text: [text]}},
            packages={text: f"{text}{version}"},
            started=text[:20],
        ),
    )


class Page(HTMLParser):
    """Elements of a page: their names, the names of their attributes, their links, and whether they nest."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open[-1:]:
            self.text += data
