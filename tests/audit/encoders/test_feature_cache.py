"""Features are encoded once, filed by content, encoder and protocol, and never trusted when damaged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.cli import python

from counterproof.encoders import feature_shards as shards
from counterproof.encoders.base import BATCH
from counterproof.encoders.feature_cache import Cache, cache_in, key_of
from counterproof.inputs.threads import AHEAD, MOST
from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3), dtype=np.uint8)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images that were encoded, call by call."""
    seen: list[int] = []
    plain = shards.batches

    def counting(encoder: Any, images: Any, **options: Any) -> Any:
        held = list(images)
        if held:
            seen.append(len(held))
        return plain(encoder, held, **options)

    monkeypatch.setattr(shards, "batches", counting)
    return seen


def audit(cache: Path, *, synthetic: Any = IMAGES[20:], encoder: str = "pixels", size: int | None = None) -> Intake:
    sources = {"train": IMAGES[:12], "holdout": IMAGES[12:20], "synthetic": synthetic}
    return take_in(sources, encoder=encoder, encoder_size=size, cache=cache)


def test_a_second_run_does_not_encode_again(tmp_path: Path, encoded: list[int]) -> None:
    first, second = audit(tmp_path), audit(tmp_path)
    assert encoded == [30]
    assert (first.cached, second.cached) == (False, True)
    assert np.array_equal(first.corpus.features, second.corpus.features)


def test_only_what_changed_is_encoded(tmp_path: Path, encoded: list[int]) -> None:
    audit(tmp_path)
    encoded.clear()
    assert not audit(tmp_path, synthetic=IMAGES[21:]).cached
    assert encoded == [9]


def test_another_encoder_or_protocol_shares_nothing(tmp_path: Path, encoded: list[int]) -> None:
    audit(tmp_path)
    encoded.clear()
    audit(tmp_path, size=8)
    assert encoded == [30]


@pytest.mark.parametrize("damage", ["cut", "flip", "swap", "no sum", "pickle"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, encoded: list[int], damage: str) -> None:
    first = audit(tmp_path)
    entries = sorted(tmp_path.rglob("*.npy"))
    assert len(entries) == 3
    for entry in entries:
        raw = bytearray(entry.read_bytes())
        if damage == "cut":
            entry.write_bytes(raw[:-10])
        elif damage == "flip":
            raw[-1] ^= 1
            entry.write_bytes(raw)
        elif damage == "swap":
            np.save(entry, np.zeros((12, 3), np.float32))
        elif damage == "no sum":
            entry.with_suffix(".sha256").unlink()
        else:
            np.save(entry, np.array([{}], dtype=object), allow_pickle=True)
    encoded.clear()
    second = audit(tmp_path)
    assert encoded == [30]
    assert np.array_equal(first.corpus.features, second.corpus.features)
    assert audit(tmp_path).cached


def test_no_cache_keeps_nothing(encoded: list[int]) -> None:
    for _ in range(2):
        assert not take_in({"real": IMAGES, "synthetic": IMAGES[::-1]}, encoder="pixels", cache=None).cached
    assert encoded == [60, 60]


def test_what_roles_share_is_encoded_once(encoded: list[int]) -> None:
    found = take_in({"real": IMAGES, "synthetic": IMAGES}, encoder="pixels", cache=None)
    assert encoded == [30]
    assert np.array_equal(found.corpus.features[:30], found.corpus.features[30:])


def test_images_added_at_the_end_leave_whole_shards_as_they_are(
    tmp_path: Path, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD", 4)
    first = audit(tmp_path, synthetic=IMAGES[:9])
    encoded.clear()
    second = audit(tmp_path, synthetic=IMAGES[:11])
    assert encoded == [3], "the last shard was not whole"
    assert np.array_equal(first.corpus.features[20:], second.corpus.features[20:29])
    assert np.array_equal(second.corpus.features[20:], second.corpus.features[:11])
    assert audit(tmp_path, synthetic=IMAGES[:11]).cached


def test_a_damaged_shard_alone_is_made_again(
    tmp_path: Path, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD", 8)
    first = audit(tmp_path)
    entries = sorted(tmp_path.rglob("*.npy"))
    assert len(entries) == 2 + 1 + 2
    largest = max(entries, key=lambda path: len(np.load(path)))
    largest.write_bytes(b"rubbish")
    encoded.clear()
    assert np.array_equal(audit(tmp_path).corpus.features, first.corpus.features)
    assert encoded == [8]


KILLED = """
import os, sys
import numpy as np, torch
from torch import nn
from counterproof.encoders import feature_shards as shards
from counterproof.loading.load import take_in

class Counted(nn.Module):
    def forward(self, x):
        with open(sys.argv[1], "a") as out:
            out.write("x" * len(x))
        return x.flatten(1)[:, :4]

shards.SHARD = 64
images = np.random.default_rng(0).integers(0, 256, (2560, 8, 8, 3), dtype=np.uint8)
def told(stage, done, total):
    if stage == "encoding images" and done >= int(sys.argv[3]):
        os.kill(os.getpid(), 9)
roles = {"real": images[:2048], "synthetic": images[2048:]}
found = take_in(roles, encoder=Counted(), cache=sys.argv[2], progress=told)
print(found.corpus.features.sum())
"""


def test_a_killed_audit_goes_on_where_it_was(tmp_path: Path) -> None:
    def run(name: str, cache: str, stop: int) -> tuple[int, str, int]:
        counted = tmp_path / name
        done = python("-c", KILLED, str(counted), str(tmp_path / cache), str(stop), cwd=tmp_path)
        return done.returncode, done.stdout, len(counted.read_text())

    killed, _, before = run("first", "a", 200)
    assert killed == -9
    assert 200 <= before <= 200 + (AHEAD * MOST + 1) * BATCH < 2560, "threads run ahead of what is filed, a little"
    code, features, again = run("second", "a", 10**9)
    assert code == 0
    assert again == 2560 - 192, "three shards of 64 were finished"
    assert run("whole", "b", 10**9) == (0, features, 2560)


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "chosen"))
    assert cache_in() == Cache(tmp_path / "chosen" / "features")
    monkeypatch.delenv("COUNTERPROOF_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_in() == Cache(tmp_path / "counterproof" / "features")
    assert cache_in(None) == Cache(None)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert not audit(tmp_path / "file").cached


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    Cache(tmp_path).write(key_of("a", "b", "c"), np.zeros((2, 2), np.float32))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_keys_differ_in_each_part() -> None:
    assert len({key_of("a", "b", "c"), key_of("x", "b", "c"), key_of("a", "x", "c"), key_of("a", "b", "x")}) == 4
