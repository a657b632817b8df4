"""What every test session needs: an installation that sees every file, and the same examples each time."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from helpers.house import modules
from hypothesis import settings

settings.register_profile("house", derandomize=True, database=None, deadline=None)
settings.load_profile("house")


def pytest_configure() -> None:
    """Strict editable installs do not see new files."""
    for module, file in modules().items():
        if find_spec(module) is None:
            raise pytest.UsageError(f"{file} is new: run pip install -e . again")
