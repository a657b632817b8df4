"""Hostile names and values, from the CSV file to the four files and the terminal."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import Result
from helpers.cli import FILES, called, rows, saved

SCRIPT = "</script><script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"
SHEET = "=cmd|'/C calc'!A0"
CDATA = "]]>&amp;<!--"
ANSI = "\x1b[31mred\x1b]8;;http://evil.example\x07\x9b2J"
MARKS = "a|b `c` [bold]d[/bold] \\| *e*"
BREAKS = "first\nVERDICT PASS: forged\r\n# forged"
ATTACKS = [SCRIPT, IMAGE, SHEET, CDATA, ANSI, MARKS, BREAKS]


class Tags(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """One audit of a table that attacks with labels, groups, column names and file names."""
    folder = tmp_path_factory.mktemp("hostile") / f"{IMAGE.replace('/', '')} & [link=x]"
    folder.mkdir()

    def table(seed: int) -> object:
        frame = rows(220, seed)
        frame["y"] = frame["y"].map({"yes": SCRIPT, "no": SHEET})
        places = [IMAGE, CDATA, ANSI, MARKS, BREAKS]
        frame[BREAKS] = [places[(i * i + seed) % 5] for i in range(len(frame))]
        frame[ANSI] = frame["a"].round(1)
        return frame.rename(columns={"a": SCRIPT, "group": IMAGE, "y": SHEET})

    made = table(2)
    made.loc[0, BREAKS] = f"unseen {ANSI} {SCRIPT}"  # type: ignore[attr-defined]
    given = saved(folder, train=table(0), holdout=table(1), synthetic=made)  # type: ignore[arg-type]
    roles = zip(given[::2], given[1::2], strict=True)
    text = "\n".join(
        [
            "[data]",
            *(f"{str(role)[2:]} = {json.dumps(Path(str(path)).name)}" for role, path in roles),
            f"label = {json.dumps(SHEET)}",
            f"groups = [{json.dumps(IMAGE)}, {json.dumps(BREAKS)}]",
            f"intended_use = {json.dumps(SCRIPT + BREAKS)}",
            '[run]\nmetrics = ["fidelity.marginals", "coverage", "leakage", "utility", '
            '"fairness.worst_group_accuracy"]',
            f"[gates]\nwarn = [{json.dumps(f'coverage.representation[{IMAGE!r}=*] >= 0.9')}]",
        ]
    ).replace("\x7f", "\\u007f")
    (folder / "audit.toml").write_text(text, encoding="utf-8")
    patch = pytest.MonkeyPatch()
    patch.setenv("COUNTERPROOF_CACHE", str(folder / "cache"))
    done = called("run", folder / "audit.toml", "--show-real", "--out", folder / "out")
    patch.undo()
    assert done.exit_code in (0, 1, 3), done.output
    assert {path.name for path in (folder / "out").iterdir()} == FILES
    return done, folder / "out"


def controls(text: str, *, besides: str = "\n") -> set[str]:
    """Characters that could drive a terminal or turn the direction of text."""
    bidi = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return {c for c in text if (unicodedata.category(c) == "Cc" and c not in besides) or c in bidi}


def test_the_terminal_is_not_driven(audited: tuple[Result, Path]) -> None:
    done, _ = audited
    assert not controls(done.output)
    lines = done.stdout.splitlines()
    assert sum(line.startswith("VERDICT ") for line in lines) == 1, "values cannot forge a line of their own"
    assert not any(line.startswith("# forged") for line in lines)
    assert IMAGE in done.stdout


def test_the_page_is_well_formed_and_runs_nothing_of_it(audited: tuple[Result, Path]) -> None:
    page = (audited[1] / "report.html").read_text(encoding="utf-8")
    found = Tags(page)
    assert not found.handlers
    assert "img" not in found.tags
    for attack in (SCRIPT, IMAGE):
        assert attack not in page
        assert html.escape(attack, quote=False)[:30] in page.replace("&#34;", '"').replace("&#39;", "'")
        assert any(attack in text for text in found.text), "it shows as text"
    assert not controls(page, besides="\n\t")
    scripts = html.unescape(page).partition("script-src")[2].partition(";")[0]
    assert re.fullmatch(r"( 'sha256-[A-Za-z0-9+/=]+')+", scripts), "scripts are allowed by hash alone"


def test_junit_is_well_formed(audited: tuple[Result, Path]) -> None:
    raw = (audited[1] / "junit.xml").read_bytes()
    root = ET.fromstring(raw)
    assert not controls(raw.decode())
    names = [case.attrib["name"] for case in root.iter("testcase")]
    assert any(IMAGE in name for name in names)
    assert {element.tag for element in root.iter()} <= {
        "testsuites", "testsuite", "properties", "property", "testcase", "failure", "error", "skipped", "system-out"
    }  # fmt: skip


def test_markdown_holds_no_tag_link_or_column_of_it(audited: tuple[Result, Path]) -> None:
    text = (audited[1] / "summary.md").read_text(encoding="utf-8")
    assert not controls(text)
    assert "<script" not in text
    assert "<img" not in text.replace("`", "")
    assert not re.search(r"^# forged", text, re.MULTILINE)
    tables = [block for block in re.split(r"\n\n+", text) if block.startswith("|")]
    assert tables
    for block in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, "a value cannot add a column"


def test_the_record_keeps_what_was_there(audited: tuple[Result, Path]) -> None:
    raw = (audited[1] / "record.json").read_text(encoding="utf-8")
    record = json.loads(raw, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert not controls(raw), "JSON escapes them"
    assert SCRIPT in record["manifest"]["columns"]
    groups = {value for m in record["measurements"] for value in m["group"].values()}
    assert {SCRIPT, SHEET, IMAGE, BREAKS.replace("\r\n", "\n"), BREAKS} & groups >= {SCRIPT, SHEET, IMAGE}


def test_it_is_judged_again(audited: tuple[Result, Path]) -> None:
    done, out = audited
    again = called("gate", out / "record.json")
    assert again.exit_code == done.exit_code
    assert not controls(again.output)
    assert again.stdout.splitlines() == done.stdout.splitlines()[: len(again.stdout.splitlines())]
