"""The house stands: imports go down only, and the engine names no metric."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[1]
ROOMS = ("metrics", "reports", "audit")
TYPES = {"counterproof.metrics.estimate", "counterproof.metrics.metric"}
FILES = [path for room in ROOMS for path in sorted((HOUSE / room).glob("*.py"))]
QUICK = (
    "counterproof",
    "counterproof.reports.record",
    "counterproof.verdict",
    "counterproof.cli",
    "counterproof.pytest_plugin",
)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}, line {node.lineno}: import absolutely"
            yield node.module or ""


def floor_of(module: str) -> int | None:
    if module.partition(".")[0] != "counterproof":
        return None
    part = [*module.split("."), ""][1]
    return ROOMS.index(part) if part in ROOMS else ROOMS.index("audit")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_go_down_only(path: Path) -> None:
    own = ROOMS.index(path.parent.name)
    for module in imported(path):
        floor = floor_of(module)
        assert floor is None or floor <= own, f"{path.parent.name}/{path.name} imports {module} from a floor above"
        if path.parent.name == "reports":
            assert module.partition(".")[0] not in ("torch", "sklearn"), f"{path.name} imports {module}"
            assert floor != 0 or module in TYPES, f"reports/{path.name} takes more than types: {module}"


@pytest.mark.parametrize("module", QUICK)
def test_what_computes_nothing_does_not_import_torch(module: str) -> None:
    told = f"import sys, {module}; print(sorted({{'torch', 'sklearn', 'pandas', 'scipy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def strings(path: Path) -> Iterator[ast.Constant]:
    """String constants that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.parent.name != "metrics"], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_the_engine_names_no_metric(path: Path) -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    identifiers = project["entry-points"]["counterproof.metrics"]
    named = [f"line {node.lineno}: {m}" for node in strings(path) for m in identifiers if m in node.value]
    assert not named


def test_no_file_outgrows_the_house() -> None:
    long = {p.name: n for p in FILES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long
