"""Audits of the shipped data that several tests read: each runs once, in the worker that needs it first."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from counterproof import Record, audit

CENSUS = Path(str(files("counterproof") / "data" / "census"))
FASHION = Path(__file__).parents[1] / "data" / "fashion"
IMAGES = ("release_gan", "release_early")


def roles_of(release: str) -> dict[str, Any]:
    """What is audited: one release of the census data, or one of Fashion-MNIST."""
    if release in IMAGES:
        roles: dict[str, Any] = {role: FASHION / f"{role}.zip" for role in ("train", "holdout")}
        families = ["fidelity", "coverage", "leakage"]
        return roles | {"synthetic": FASHION / f"{release}.zip", "label": "label", "metrics": families}
    roles = {role: CENSUS / f"{role}.parquet" for role in ("train", "holdout", "test")}
    return roles | {"synthetic": CENSUS / f"{release}.parquet", "label": "income", "groups": ["sex", "race"]}


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Record]:
    """The record of a shipped release, by its name."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the one that all workers of this session see

    @cache
    def record_of(release: str) -> Record:
        path = folder / f"{release}.json"
        with FileLock(folder / f"{release}.lock"), pytest.MonkeyPatch.context() as patch:
            patch.setenv("COUNTERPROOF_CACHE", str(folder / f"cache of {release}"))
            if not path.exists():
                audit(**roles_of(release)).write(path)
        return Record.read(path)

    return record_of
