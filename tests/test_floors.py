"""The house stands: imports go down only, rooms keep their doors, and the engine names no metric."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from helpers.house import FAMILIES, FLOORS, HOUSE, imports_of, modules

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
GROUND = ("metrics.errors", "metrics.estimate", "metrics.sample")  # these three, and the files of ``reports/``
SIX_IN_ONE = "counterproof.metrics.fairness.group_gaps"
OTHER_NAME = {"counterproof.metrics.leakage.data_copying": "leakage.copying_test"}  # *_test.py is pytest's own pattern
TYPES = {"counterproof.metrics.estimate", "counterproof.metrics.metric"}
QUICK = (
    "counterproof",
    "counterproof.reports.record",
    "counterproof.judging.verdict",
    "counterproof.cli.main",
    "counterproof.pytest_plugin",
)
OURS = sorted(modules())


def room_of(module: str) -> str:
    """The room that a module stands in: ``metrics.engine``, ``judging``, ``reports``."""
    parts = module.split(".")[1:]
    if parts[:1] in (["metrics"], ["reports"]):
        room = ".".join(parts[:2])
        return room if room in FLOOR or room.startswith("metrics.") else parts[0]
    return parts[0] if parts else ""


@cache
def graph() -> dict[str, set[str]]:
    return {module: {name for _, name in imports_of(module) if name in modules()} - {module} for module in OURS}


@cache
def metric_ids() -> dict[str, str]:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return dict(project["entry-points"]["counterproof.metrics"])


def test_the_guards_see_the_whole_house() -> None:
    assert len(OURS) > 250
    assert {room_of(module) for module in OURS} - {"metrics"} <= set(FLOOR)
    assert len(FLOORS) <= 9


@pytest.mark.parametrize("module", OURS)
def test_imports_go_down_only(module: str) -> None:
    own = room_of(module)
    for line, name in imports_of(module):
        if name not in modules() or name == "counterproof.metrics":
            continue
        room = room_of(name)
        assert room == own or FLOOR[room] < FLOOR[own], f"{modules()[module]}, line {line}: {name} is not below"


def test_no_import_goes_in_a_circle() -> None:
    list(TopologicalSorter(graph()).static_order())


@pytest.mark.parametrize("module", [m for m in OURS if m.startswith("counterproof.reports")])
def test_reports_take_types_and_no_torch(module: str) -> None:
    for line, name in imports_of(module):
        assert name.partition(".")[0] not in ("torch", "sklearn"), f"{modules()[module]}, line {line}: {name}"
        if name.startswith("counterproof.metrics"):
            assert name in TYPES, f"{modules()[module]}, line {line} takes more than types: {name}"


@pytest.mark.parametrize("module", [m for m in OURS if room_of(m) in ("metrics.engine", "metrics.statistics")])
def test_engine_and_statistics_stand_on_the_ground(module: str) -> None:
    for line, name in imports_of(module):
        if name in modules():
            assert room_of(name) in (*GROUND, room_of(module)), f"{modules()[module]}, line {line}: {name}"


@pytest.mark.parametrize("module", OURS)
def test_what_is_private_stays_in_its_package(module: str) -> None:
    for line, name in imports_of(module):
        if name not in modules():
            continue
        parts = name.split(".")
        private = next((at for at, part in enumerate(parts) if part.startswith("_")), None)
        home = parts[:private]
        assert private is None or module.split(".")[: len(home)] == home, f"{modules()[module]}, line {line}: {name}"


def test_a_file_of_a_family_is_its_metric() -> None:
    named = {f"{place.partition(':')[0]}": metric for metric, place in metric_ids().items()}
    several = [metric for metric, place in metric_ids().items() if place.partition(":")[0] == SIX_IN_ONE]
    assert len(several) == 6
    for module in OURS:
        parts = module.split(".")
        if len(parts) != 4 or parts[1] != "metrics" or parts[2] not in FAMILIES or parts[3].startswith("_"):
            continue
        if module != SIX_IN_ONE:
            assert named.get(module) == OTHER_NAME.get(module, f"{parts[2]}.{parts[3]}"), module


def test_what_two_families_share_is_shared() -> None:
    shared = [m for m in OURS if m.startswith("counterproof.metrics.shared.")]
    for module in shared:
        users = {room_of(user) for user, names in graph().items() if module in names} - {"metrics.shared"}
        assert len(users) > 1, f"{modules()[module]} serves {users or 'nobody'} alone: it belongs there"


@pytest.mark.parametrize("module", QUICK)
def test_what_computes_nothing_does_not_import_torch(module: str) -> None:
    heavy = {"torch", "sklearn", "pandas", "scipy", "plotly"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def strings(path: Path) -> Iterator[ast.Constant]:
    """String constants that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node


@pytest.mark.parametrize("module", [m for m in OURS if not m.startswith("counterproof.metrics")])
def test_the_engine_names_no_metric(module: str) -> None:
    nodes = strings(HOUSE / modules()[module])
    named = [f"line {node.lineno}: {metric}" for node in nodes for metric in metric_ids() if metric in node.value]
    assert not named
