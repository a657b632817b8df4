"""The house as files: its floors, which module stands in which file, and what it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
ROOMS = {"audit": "counterproof", "metrics": "counterproof.metrics", "reports": "counterproof.reports"}
FAMILIES = ("coverage", "fairness", "fidelity", "leakage", "utility")
# A room on a floor imports from lower floors and from itself, never from a neighbour.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("metrics.errors", "metrics.estimate", "metrics.sample", "refusal"),
    ("metrics.engine", "metrics.statistics", "reports", "inputs", "config", "progress"),
    ("metrics.workbench", "reports.figures", "reports.group_view", "state"),
    ("metrics.metric", "metrics.shared", "reports.outputs"),
    ("metrics.frechet", "metrics.prdc", "metrics.subgroups", "reports.record", "encoders"),
    (*(f"metrics.{family}" for family in FAMILIES), "loading", "judging", "group_frame"),
    ("metrics.integrations", "measuring"),
    ("run",),
    ("cli", "pytest_plugin", ""),
)


@cache
def modules() -> dict[str, Path]:
    """The file of every module, by its dotted name, relative to the house."""
    found: dict[str, Path] = {}
    for folder, package in ROOMS.items():
        for file in sorted((HOUSE / folder).rglob("*.py")):
            parts = file.relative_to(HOUSE / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((package, *parts))] = file.relative_to(HOUSE)
    return found


def imports_of(module: str) -> Iterator[tuple[int, str]]:
    """Line and name of every module that this one imports, anywhere in the file: in functions, too."""
    known = modules()
    for node in ast.walk(ast.parse((HOUSE / known[module]).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{known[module]}, line {node.lineno}: import absolutely"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node.lineno, whole if whole in known else node.module or ""
