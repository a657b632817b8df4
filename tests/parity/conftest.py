"""The other libraries, each where it can be imported; what cannot is skipped with the reason.

``tests/parity/run`` makes an environment where all of them can.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from types import ModuleType

import pytest
from helpers.reference_implementations import stub_torchvision

Peer = Callable[[str], ModuleType]


@pytest.fixture(scope="session")
def peer() -> Peer:
    def imported(name: str) -> ModuleType:
        stub_torchvision()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return importlib.import_module(name)
        except Exception as error:  # a wheel that does not fit raises more than ImportError
            pytest.skip(f"{name} cannot be imported here: {type(error).__name__}: {error}; see tests/parity/run")

    return imported
