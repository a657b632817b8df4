"""The templates of all pages: everything that comes from data is escaped, and the page says which scripts may run.

Templates escape everything, and the content security policy admits the given scripts alone, by their SHA-256; no
page asks the network for anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from counterproof.reports import gate_lines, wording
from counterproof.reports.figures.gate_scale import gate_scale
from counterproof.reports.group_view.cells import FAR
from counterproof.reports.judgement import number
from counterproof.reports.outputs.glossary import TERMS
from counterproof.reports.sentences import group_in_words
from counterproof.reports.serialise import rounded
from counterproof.reports.text import cell_text, clipped, interval, path_end, sentence

LONGEST = 3_000  # letters of one text on the page
WARNINGS_OPEN = 3
LISTED = 200  # entries of any other list


def template(name: str) -> Template:
    """A template by its file name."""
    return _environment().get_template(name)


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
    made.filters |= {
        "cell": cell_text,
        "clipped": clipped,
        "full": _full,
        "multiplicity": wording.multiplicity,
        "number": number,
        "path_end": path_end,
        "place": group_in_words,
        "pretty": _pretty,
        "rounded": rounded,
        "sentence": sentence,
        "subject": gate_lines.subject_of,
    }
    made.globals |= {"LOOKS": gate_lines.LOOKS, "interval": interval, "gate_scale": gate_scale}
    made.globals |= {"FAR": FAR, "TERMS": TERMS, "LISTED": LISTED, "WARNINGS_OPEN": WARNINGS_OPEN}
    return made


def _final(value: object) -> object:
    """Values in the page: markup unchanged, everything else without control characters and of bounded length."""
    return value if isinstance(value, Markup) else clipped("" if value is None else value, LONGEST)


def _full(text: object) -> str:
    """A sentence with its full stop."""
    line = sentence(text)
    return line if line.endswith((".", "!", "?", ":", "…")) or not line else f"{line}."


def _pretty(value: object) -> Markup:
    """JSON to read, escaped here because its line breaks are meant to stay."""
    lines = json.dumps(rounded(value), indent=2, ensure_ascii=False, sort_keys=True).split("\n")
    more = [f"… {len(lines) - 10 * LISTED} more lines stand in record.json"] if len(lines) > 10 * LISTED else []
    return Markup("\n").join(clipped(line, LONGEST) for line in [*lines[: 10 * LISTED], *more])


@cache
def text_of(name: str) -> str:
    """A file that stands beside the templates: style, script."""
    return resources.files("counterproof.reports").joinpath("templates", name).read_text(encoding="utf-8")


def security_policy(scripts: list[str]) -> str:
    """The content security policy: these scripts, no others; no network at all."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") for text in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; img-src data: blob:; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
