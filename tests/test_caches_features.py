"""Features are encoded once, filed by content, encoder and protocol, and never trusted when damaged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from counterproof import gallery
from counterproof.cache import Cache, cache_in, key_of
from counterproof.intake import Intake, take_in

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3), dtype=np.uint8)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images that each call of the encoder saw."""
    seen: list[int] = []
    plain = gallery.encode

    def counting(encoder: Any, images: Any, **options: Any) -> Any:
        held = list(images)
        seen.append(len(held))
        return plain(encoder, held, **options)

    monkeypatch.setattr(gallery, "encode", counting)
    return seen


def audit(cache: Path, *, synthetic: Any = IMAGES[20:], encoder: str = "pixels", size: int | None = None) -> Intake:
    sources = {"train": IMAGES[:12], "holdout": IMAGES[12:20], "synthetic": synthetic}
    return take_in(sources, encoder=encoder, encoder_size=size, cache=cache)


def test_a_second_run_does_not_encode_again(tmp_path: Path, encoded: list[int]) -> None:
    first, second = audit(tmp_path), audit(tmp_path)
    assert encoded == [12, 8, 10]
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
    assert encoded == [12, 8, 10]


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
    assert encoded == [12, 8, 10]
    assert np.array_equal(first.corpus.features, second.corpus.features)
    assert audit(tmp_path).cached


def test_no_cache_keeps_nothing(encoded: list[int]) -> None:
    for _ in range(2):
        assert not take_in({"real": IMAGES, "synthetic": IMAGES}, encoder="pixels", cache=None).cached
    assert len(encoded) == 4


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
