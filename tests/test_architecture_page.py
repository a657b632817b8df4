"""``docs/architecture.md`` describes the house as it stands: every path in it exists, and every package is on it."""

from __future__ import annotations

import re

import pytest
from helpers.house import FAMILIES, FLOORS, HOUSE, ROOMS, modules

PAGE = (HOUSE / "docs" / "architecture.md").read_text(encoding="utf-8")
PATH = re.compile(r"(?:audit|metrics|reports|tests|docs|examples)/(?:[\w<>.-]+/)*(?:[\w<>.-]+\.\w+)?")


@pytest.mark.parametrize("path", sorted({path for path in PATH.findall(PAGE) if "NAME" not in path}))
def test_what_the_page_names_exists(path: str) -> None:
    for family in FAMILIES if "<family>" in path else ("",):
        assert (HOUSE / path.replace("<family>", family)).exists()


def floors_of_the_page() -> dict[int, str]:
    return {int(number): row for number, row in re.findall(r"^\| (\d) \| (.*) \|$", PAGE, flags=re.M)}


def test_the_table_of_floors_is_the_one_that_the_tests_hold() -> None:
    page = floors_of_the_page()
    assert sorted(page) == list(range(len(FLOORS)))
    for floor, rooms in enumerate(FLOORS):
        for room in rooms:
            path = file_or_folder(room)
            assert any(f"`{name}`" in page[floor] for name in path), f"{path} stands on floor {floor}"


def file_or_folder(room: str) -> tuple[str, ...]:
    """How a room of ``FLOORS`` may be written: as a folder or as a file of one."""
    module = ".".join(("counterproof", room)) if room else "counterproof"
    if room == "reports":
        return ("reports/model.py",)
    file = modules()[module].as_posix()
    return (file, file.removesuffix("__init__.py"))


def test_contributing_points_to_the_page() -> None:
    assert "docs/architecture.md" in (HOUSE / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(ROOMS) == {path.partition("/")[0] for path in PATH.findall(PAGE)} - {"tests", "docs", "examples"}
