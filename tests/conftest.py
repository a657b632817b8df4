"""What every test session needs: an installation that sees every file, and the same examples each time."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

HOUSE = Path(__file__).resolve().parents[1]
ROOMS = {"audit": "counterproof", "metrics": "counterproof.metrics", "reports": "counterproof.reports"}

settings.register_profile("house", derandomize=True, database=None, deadline=None)
settings.load_profile("house")


def pytest_configure() -> None:
    """Strict editable installs do not see new files."""
    for folder, package in ROOMS.items():
        for file in sorted((HOUSE / folder).glob("*.py")):
            module = package if file.stem == "__init__" else f"{package}.{file.stem}"
            if find_spec(module) is None:
                raise pytest.UsageError(f"{folder}/{file.name} is new: run pip install -e . again")
