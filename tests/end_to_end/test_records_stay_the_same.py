"""The records of the shipped releases stay what they were, until a change of numbers is meant.

``tests/data/records/`` holds, for every metric and every gate of a record, a digest of all that is no decimal number
(ids, fields, groups, counts, verdicts, sentences, evidence) and the decimal numbers, which must agree to 1e-6. Another
processor, or another version of what computes, differs in last digits, which ties and trees can carry into a count:
there the verdicts of all gates are compared alone. When numbers or sentences change on purpose, rewrite the files, and
say in the commit what changed and why:

    COUNTERPROOF_REWRITE_RECORDS=1 python -m pytest -q tests/end_to_end/test_records_stay_the_same.py
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import platform
import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from counterproof import Record

STORED = Path(__file__).parents[1] / "data" / "records"
# How long things took, when, where and with which software: none of it is a result.
VARIES = {"seconds", "cached", "started", "command", "packages", "stages", "audits_of_holdout", "device", "source"}
PATHS = ("train", "holdout", "test", "synthetic")  # of the manifest's config
DECIMAL = re.compile(r"\d+\.\d+(e[+-]?\d+)?|\d+e[+-]?\d+")  # in a sentence: the number itself stands in a field
CLOSE = 1e-6


def bare(value: Any) -> Any:
    """Without what is no result."""
    if isinstance(value, dict):
        return {key: bare(part) for key, part in sorted(value.items()) if key not in VARIES}
    return [bare(part) for part in value] if isinstance(value, list) else value


def parts_of(record: Record) -> dict[str, Any]:
    """The record in named parts: what each metric measured, what each gate judged, and the rest."""
    whole = bare(json.loads(record.to_json()))
    whole["manifest"]["config"]["data"] = {
        k: v for k, v in whole["manifest"]["config"]["data"].items() if k not in PATHS
    }
    parts: dict[str, Any] = {}
    for measurement in whole.pop("measurements"):
        parts.setdefault(measurement["metric"], []).append(measurement)
    for gate in whole.pop("gates"):
        parts.setdefault(f"gate {gate['expression']}", []).append(gate)
    return parts | whole


def numbers_in(value: Any) -> Iterator[float]:
    """Every decimal number, in order."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(part)


def without_numbers(value: Any) -> Any:
    """The same with every decimal number taken out."""
    if isinstance(value, dict):
        return {key: without_numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_numbers(part) for part in value]
    if isinstance(value, str):
        return DECIMAL.sub("#", value)
    return "#" if isinstance(value, float) else value


def fingerprint(part: Any) -> dict[str, Any]:
    """What is stored of a part."""
    text = json.dumps(without_numbers(part), ensure_ascii=False)
    return {
        "rest": hashlib.sha256(text.encode()).hexdigest()[:16],
        "numbers": [float(f"{number:.8g}") for number in numbers_in(part)],
    }


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What changed between two fingerprints, in words; empty where nothing did."""
    if old["rest"] != new["rest"] or len(old["numbers"]) != len(new["numbers"]):
        return "words, counts or rows changed"
    pairs = zip(old["numbers"], new["numbers"], strict=True)
    moved = [(a, b) for a, b in pairs if not math.isclose(a, b, rel_tol=CLOSE, abs_tol=1e-9)]
    if not moved:
        return ""
    before, after = max(moved, key=lambda pair: abs(pair[0] - pair[1]))
    return f"{len(moved)} of {len(old['numbers'])} numbers moved, one from {before:g} to {after:g}"


def made_with() -> str:
    """What last digits depend on: the processor, and the versions of what computes."""
    cpu = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpu.read_text(encoding="utf-8")) if cpu.exists() else []
    flags = re.findall(r"flags\s*: (.*)", cpu.read_text(encoding="utf-8")) if cpu.exists() else []
    wide = [flag for flag in ("avx2", "avx512f") if flags and flag in flags[0].split()]
    versions = [f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn", "torch", "pandas")]
    return ", ".join([names[0] if names else platform.machine(), *wide, *versions])


def verdicts(record: Record) -> dict[str, str]:
    """How every gate was judged."""
    return {gate.expression: gate.verdict for gate in record.gates} | {"whole": record.verdict}


@pytest.mark.parametrize("release", ["release_argn", "release_tvae3", "release_leaky", "release_gan", "release_early"])
def test_the_record_is_what_it_was(release: str, audited: Callable[[str], Record]) -> None:
    record = audited(release)
    new = {name: fingerprint(part) for name, part in parts_of(record).items()}
    path = STORED / f"{release}.json.gz"
    if os.environ.get("COUNTERPROOF_REWRITE_RECORDS"):
        path.parent.mkdir(exist_ok=True)
        stored = {"made with": made_with(), "verdicts": verdicts(record), "parts": new}
        path.write_bytes(gzip.compress(json.dumps(stored).encode(), mtime=0))
    stored = json.loads(gzip.decompress(path.read_bytes()))
    assert verdicts(record) == stored["verdicts"]
    if stored["made with"] != made_with():
        return
    old = stored["parts"]
    assert old.keys() == new.keys()
    changed = {name: difference(old[name], new[name]) for name in old}
    assert not {name: words for name, words in changed.items() if words}


def test_a_change_is_seen_and_named() -> None:
    part = {"value": 0.5, "n": 4000, "why": "0.5 [0.4, 0.6] is 0.1 above the floor", "group": {"sex": "F"}}
    old = fingerprint(part)
    assert difference(old, fingerprint(part | {"value": 0.5 + 1e-8})) == ""
    assert "one from 0.5 to 0.50001" in difference(old, fingerprint(part | {"value": 0.50001}))
    for change in (
        {"n": 4001},
        {"group": {"sex": "M"}},
        {"why": "0.5 [0.4, 0.6] is 0.1 below the floor"},
        {"value": None},
    ):
        assert difference(old, fingerprint(part | change)) == "words, counts or rows changed"
