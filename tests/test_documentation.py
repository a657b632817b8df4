"""Every code block of README.md and docs/ runs, or is checked for what it names.

``python`` blocks are executed, page by page, in a folder with 600 shipped census rows a role; functions named
``test_…`` in docs/ are called as pytest would. ``console`` and ``sh`` blocks: every ``counterproof …`` must be
understood by the command line; those that only read are run. ``toml`` blocks must be a valid ``audit.toml``,
``gates`` blocks gates. A block that can do none of it has the comment ``<!-- not run: why -->`` before it.
"""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pytest
from filelock import FileLock
from helpers.cli import called, census
from helpers.house import HOUSE

import counterproof as cp
from counterproof.cli.main import main
from counterproof.cli.metric_catalogue import find
from counterproof.config import make_config
from counterproof.judging.grammar import parse_gate
from counterproof.metrics.metric import FAMILIES, load
from counterproof.pytest_plugin import digest
from counterproof.run import choose

PAGES = [HOUSE / "README.md", *sorted((HOUSE / "docs").rglob("*.md"))]
LANGUAGES = {"python", "console", "sh", "toml", "gates", "text", "yaml"}
FENCE = re.compile(
    r"(?:<!-- not run: (?P<why>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MOST_NOT_RUN = 3
ROWS = 600
RUN = ("gate", "metrics", "report", "weights list")  # commands that read, and change nothing but their own page
OTHERS = ("python3 -m venv", ". .venv", "pip install", "pytest", "python tests/")  # what a line may begin with besides
ROLES = {"data": {"train": "train.csv", "holdout": "holdout.csv", "synthetic": "release.csv"}}
RELEASES = {"train": "train", "holdout": "holdout", "release": "release_argn"}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: where it stands, its language, its text, and why it is not run."""

    page: str
    line: int
    language: str
    text: str
    why: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        yield Block(
            page=path.relative_to(HOUSE).as_posix(),
            line=text.count("\n", 0, found.start("text")),
            language=found["language"],
            text=found["text"],
            why=found["why"] or "",
        )


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def written_in(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages and not block.why]


# -- all blocks -------------------------------------------------------------------------------------


def test_every_block_says_its_language() -> None:
    assert [str(block) for block in BLOCKS if block.language not in LANGUAGES] == []
    for page in PAGES:
        fences = re.findall(r"^```", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(list(blocks_of(page))), f"{page.name}: a block is not closed or is indented"


def test_few_blocks_are_not_run() -> None:
    assert len([block for block in BLOCKS if block.why]) <= MOST_NOT_RUN
    assert [str(block) for block in BLOCKS if block.language == "yaml" and not block.why] == []


# -- Python -----------------------------------------------------------------------------------------


@cache
def frame(role: str) -> pd.DataFrame:
    return census(RELEASES[role], ROWS).reset_index(drop=True)


@pytest.fixture(scope="session")
def audit_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., cp.Record]:
    """The audit, each distinct call computed once for all pages and workers."""
    from counterproof.run import audit

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def run(**options: Any) -> cp.Record:
        if any(isinstance(one, cp.Metric) for one in options.get("metrics", ())):
            return audit(**options)  # known by nothing but itself
        kept = shared / f"documentation-{digest(options)}.json"
        with FileLock(f"{kept}.lock"):
            if not kept.exists():
                audit(**options).write(kept)
        return cp.Record.read(kept)

    return run


@pytest.fixture
def folder(
    tmp_path: Path, audit_once: Callable[..., cp.Record], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], cp.Record]:
    """A working folder with the files that the pages name; calling it gives the audit that ``record.json`` holds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("counterproof.run.audit", audit_once)
    for role in RELEASES:
        frame(role).to_csv(f"{role}.csv", index=False)
        frame(role).to_parquet(f"{role}.parquet", index=False)

    def record() -> cp.Record:
        roles = {"train": frame("train"), "holdout": frame("holdout"), "synthetic": frame("release")}
        found = audit_once(**roles, label="income", groups=["sex", "race"])
        for name in ("record.json", "first.json", "report/record.json", "last/record.json"):
            Path(name).parent.mkdir(exist_ok=True)
            found.write(name)
        return found

    return record


@pytest.mark.parametrize("page", sorted({block.page for block in written_in("python")}))
def test_python_blocks_run(page: str, folder: Callable[[], cp.Record], audit_once: Callable[..., cp.Record]) -> None:
    folder()
    names: dict[str, Any] = {"df": frame("train"), "df2": frame("holdout"), "df3": frame("release")}
    for block in written_in("python"):
        if block.page != page:
            continue
        before = set(names)
        exec(compile(block.text, str(block), "exec"), names)
        for name in sorted(set(names) - before):
            if name.startswith("test_") and page.startswith("docs/"):  # README's shows a limit of its own
                names[name](audit_once)


# -- the command line -------------------------------------------------------------------------------


def commands_of(block: Block) -> Iterator[str]:
    """Single commands: without prompt, continuation and comment."""
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        for part in line.removeprefix("$ ").split("&&"):
            if part.strip() and not part.strip().startswith("#"):
                yield part.strip()


def understood(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The verb that click finds, and its options.

    Raises:
        click.UsageError: There is no such verb or option.
    """
    command: click.Command = main
    verb: list[str] = []
    context = click.Context(main, info_name="counterproof")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert name is not None
        assert found is not None
        command = found
        verb.append(name)
    return " ".join(verb), dict(command.make_context(verb[-1], words).params)


@pytest.mark.parametrize("block", written_in("console", "sh"), ids=str)
def test_commands_are_understood(block: Block, folder: Callable[[], cp.Record]) -> None:
    for line in commands_of(block):
        words = shlex.split(line, comments=True)
        if words[0] != "counterproof":
            assert line.startswith(OTHERS), f"{block}: {line}"
            assert all((HOUSE / word).exists() for word in words if word.startswith("tests/")), f"{block}: {line}"
            continue
        verb, given = understood(words[1:])
        for text in (*given.get("gates", ()), *given.get("warns", ())):
            check_gate(text)
        if verb == "run" and given.get("metrics"):
            assert choose(given["metrics"].split(","))
        if verb.startswith(RUN):
            folder()
            done = called(*words[1:])
            assert done.exit_code in ((0, 1, 3) if verb == "gate" else (0,)), f"{block}: {line}\n{done.output}"


# -- configurations and gates -----------------------------------------------------------------------


def check_gate(text: str) -> None:
    """It is a gate on a metric that there is, and on a field that its page names."""
    gate = parse_gate(text)
    fields = {entry.name for entry in find(gate.metric).fields}
    assert gate.field in {"", "excess", *fields} or gate.field.removesuffix("_excess") in fields, text


@pytest.mark.parametrize("block", written_in("toml"), ids=str)
def test_configurations_are_valid(block: Block) -> None:
    plain = tomllib.loads(block.text)
    config = make_config(ROLES | plain, source=str(block))
    for text in (
        *config.gates.fail,
        *config.gates.warn,
        *(one for part in config.gates.all_of.values() for one in part),
    ):
        check_gate(text)
    for name, options in config.metrics.items():
        known: Mapping[str, Any] = load(name).configure(options)
        assert set(options) <= set(known)


@pytest.mark.parametrize("block", written_in("gates"), ids=str)
def test_gates_are_gates(block: Block) -> None:
    for line in block.text.splitlines():
        check_gate(line)


def test_metrics_that_pages_name_exist() -> None:
    """``family.metric`` or ``family.metric.field`` in code, anywhere in the pages."""
    name = re.compile(rf"`((?:{'|'.join(FAMILIES)})\.[a-z_]+)((?:\.[a-z_]+)*)")
    for page in PAGES:
        for metric, field in name.findall(page.read_text(encoding="utf-8")):
            if not field.endswith(".py"):
                check_gate(f"{metric}{field} <= 1")
