"""The same seed gives the same bytes, whatever the number of threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.cli import MAIN, census, python, record_in, saved

ROWS = 300
# All that may differ between two runs of one audit: how long things took, when, how it was called
# and whether features came from the cache. Everything else is held to the byte.
VARIES = {"seconds", "cached", "started", "command"}


def bare(value: Any) -> Any:
    """Without what varies, keys still in their order."""
    if isinstance(value, dict):
        return {key: bare(part) for key, part in value.items() if key not in VARIES}
    return [bare(part) for part in value] if isinstance(value, list) else value


def text_of(folder: Path) -> str:
    """The record's lines without those that vary: bytes, not parsed values."""
    lines = (folder / "record.json").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.strip().partition(":")[0].strip('"') not in VARIES)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same audit on one thread, on two, and with another seed, each with a cache of its own."""
    folder = tmp_path_factory.mktemp("census")
    roles = {role: census(role, ROWS) for role in ("train", "holdout")}
    given = [str(part) for part in saved(folder, **roles, synthetic=census("release_argn", ROWS))]
    arguments = ("run", *given, "--label", "income", "--groups", "sex", "--out")
    for name, threads, seed, few in (
        ("one", "1", "7", ()),
        ("two", "2", "7", ()),
        ("other", "1", "8", ("--metrics", "fidelity")),
    ):
        threading = {f"{library}_NUM_THREADS": threads for library in ("OMP", "OPENBLAS", "MKL")}
        varied = threading | {"COUNTERPROOF_CACHE": str(folder / f"cache {name}"), "PYTHONHASHSEED": seed + threads}
        done = python("-c", MAIN, *arguments, name, "--seed", seed, *few, cwd=folder, **varied)
        assert done.returncode in (0, 1, 3), done.stderr
    return {name: folder / name for name in ("one", "two", "other")}


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(runs: dict[str, Path]) -> None:
    assert text_of(runs["one"]) == text_of(runs["two"])
    assert bare(record_in(runs["one"])) == bare(record_in(runs["two"]))


def test_another_seed_changes_it(runs: dict[str, Path]) -> None:
    def values(folder: Path) -> dict[str, float]:
        found = record_in(folder)["measurements"]
        return {f"{m['metric']}.{m['field']}{m['group']}": m["value"] for m in found if m["value"] is not None}

    one, other = values(runs["one"]), values(runs["other"])
    assert one.keys() >= other.keys()
    assert len(other) > 30
    assert any(one[name] != value for name, value in other.items())
    assert [record_in(runs[name])["manifest"]["seed"] for name in ("one", "other")] == [7, 8]


def test_nothing_but_what_is_named_varies(runs: dict[str, Path]) -> None:
    manifest = record_in(runs["one"])["manifest"]
    assert set(manifest) >= {"seconds", "started", "command"}
    assert manifest["audits_of_holdout"] == 1, "each run had a ledger of its own"
