"""Bad input to the image suite, as a user gives it: one sentence, or the documented value."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.cli import called, record_in, refused
from PIL import Image

import counterproof.measuring.workbench_setup as benches
from counterproof import Record, audit
from counterproof.encoders import base
from counterproof.encoders import registry as encoders
from counterproof.encoders import weight_store as weights

NEIGHBOURS = ["fidelity.precision", "fidelity.density", "coverage.recall", "coverage.coverage"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COUNTERPROOF_WEIGHTS", str(tmp_path / "weights"))


def features(folder: Path, n: int = 40, d: int = 6, **changed: Any) -> list[object]:
    """Files of fresh features and the options that name them."""
    given: list[object] = []
    for at, role in enumerate(("real", "synthetic")):
        rows = np.random.default_rng(at).normal(size=(n, d))
        np.save(folder / f"{role}.npy", changed.get(role, rows))
        given += [f"--{role}", folder / f"{role}.npy"]
    return given


def images(folder: Path, n: int = 3, same: bool = False) -> list[object]:
    """Folders of small images and the options that name them."""
    given: list[object] = []
    for at, role in enumerate(("real", "synthetic")):
        place = folder / role
        place.mkdir()
        pixels = np.random.default_rng(at).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
        for i in range(n):
            Image.fromarray(pixels[i] * (not same)).save(place / f"{i}.png")
        given += [f"--{role}", place]
    return given


def statuses(record: Record) -> set[str]:
    return {m.status for m in record.measurements}


# -- weights ----------------------------------------------------------------------------------------


def state(path: Path, **tensors: torch.Tensor) -> Path:
    torch.save(tensors, path)
    return path


def test_weights_that_are_cut_short(tmp_path: Path) -> None:
    whole = state(tmp_path / "whole.pth", a=torch.zeros(1000)).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    given = [*images(tmp_path), "--encoder", f"inception@{tmp_path / 'cut.pth'}"]
    assert "cut.pth: " in refused("run", *given, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = state(tmp_path / "other.pth", **{"conv1.weight": torch.zeros(8, 3, 3, 3)})
    told = refused("run", *images(tmp_path), "--encoder", f"inception@{path}")
    assert "other.pth" in told
    assert "misses 'Conv2d_1a_3x3.conv.weight'" in told
    assert "weights of another network" in told


def test_weights_of_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = state(tmp_path / "mine.pth", a=torch.zeros(10))
    assert "is not the published inception" in refused("weights", "add", path, "--as", "inception")
    assert called("weights", "add", path).exit_code == 0
    (kept,) = (file for file in weights.weights_folder().iterdir() if file.stat().st_size > 1000)
    kept.chmod(0o600)
    kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    assert "was changed" in refused("weights", "verify", "mine")
    assert "was changed" in refused("run", *images(tmp_path), "--encoder", "inception@mine")


def test_weights_that_are_not_here(tmp_path: Path) -> None:
    assert "counterproof weights fetch inception" in refused("run", *images(tmp_path), "--encoder", "inception")


# -- features ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_name_their_row(tmp_path: Path, value: float) -> None:
    rows = np.zeros((40, 6))
    rows[17, 2] = value
    told = refused("run", *features(tmp_path, synthetic=rows))
    assert "synthetic.npy" in told
    assert "17" in told


@pytest.mark.parametrize("rows", [np.zeros(40), np.zeros((0, 6)), np.zeros((40, 6), dtype=complex), np.zeros((40, 5))])
def test_features_of_another_shape(tmp_path: Path, rows: Any) -> None:
    assert ".npy: " in refused("run", *features(tmp_path, synthetic=rows))


def test_one_dimension_is_measured(tmp_path: Path) -> None:
    done = called("run", *features(tmp_path, n=80, d=1), "--metrics", ",".join(NEIGHBOURS), "--out", tmp_path / "out")
    assert done.exit_code in (0, 3), done.output
    assert {m["status"] for m in record_in(tmp_path / "out")["measurements"]} == {"measured"}


def test_one_dimension_stops_no_metric() -> None:
    rng = np.random.default_rng(0)
    record = audit(real=rng.normal(size=(120, 1)), synthetic=rng.normal(size=(60, 1)), metrics=["fidelity", "coverage"])
    assert "error" not in statuses(record)
    assert record["fidelity.kernel_distance"].value is not None


def test_fewer_rows_than_neighbours_say_how_many_are_needed() -> None:
    rng = np.random.default_rng(0)
    record = audit(real=rng.normal(size=(10, 3)), synthetic=rng.normal(size=(5, 3)), metrics=["fidelity", "coverage"])
    assert "error" not in statuses(record)
    for name in NEIGHBOURS:
        assert record[name].status == "not_assessable"
        assert "needs 12 rows on each side" in record[name].reason
    assert record.verdict == "inconclusive"


# -- statistics -------------------------------------------------------------------------------------


def test_statistics_of_another_protocol(tmp_path: Path) -> None:
    _, real, _, synthetic = images(tmp_path)
    made = tmp_path / "real.npz"
    assert called("statistics", real, "--out", made, "--encoder", "pixels").exit_code == 0
    told = refused("statistics", synthetic, "--against", made, "--encoder", "pixels", "--encoder-size", 4)
    assert "made by another protocol (pixels, " in told
    assert "distances across protocols do not compare" in told


# -- images -----------------------------------------------------------------------------------------


def test_one_image_is_too_few(tmp_path: Path) -> None:
    given = images(tmp_path, n=1)
    assert "an audit needs 2 at least" in refused("run", *given, "--encoder", "pixels")
    told = refused("statistics", given[1], "--encoder", "pixels", "--out", tmp_path / "a.npz")
    assert "two rows or more, and there is 1" in told


def test_images_that_are_all_the_same(tmp_path: Path) -> None:
    """Precision and recall are 1, every ball holds every image: density is n / k, coverage 1."""
    given = [*images(tmp_path, n=40, same=True), "--encoder", "pixels", "--metrics", "fidelity,coverage"]
    done = called("run", *given, "--out", tmp_path / "out")
    assert done.exit_code in (0, 1, 3), done.output
    made = record_in(tmp_path / "out")["measurements"]
    assert "error" not in {m["status"] for m in made}
    found = {m["metric"]: m["value"] for m in made if m["headline"] and m["metric"] in NEIGHBOURS}
    assert found == dict(zip(NEIGHBOURS, (1.0, 20 / 5, 1.0, 1.0), strict=True))
    distances = {m["metric"]: m["value"] for m in made if m["headline"] and m["metric"].endswith("_distance")}
    assert {name: value for name, value in distances.items() if value not in (None, pytest.approx(0.0, abs=1e-9))} == {}


def png(width: int, height: int) -> bytes:
    """A picture of one shade, packed tightly, row by row."""
    packer, packed = zlib.compressobj(9), io.BytesIO()
    row = bytes(1 + 3 * width)
    packed.writelines(packer.compress(row) for _ in range(height))
    packed.write(packer.flush())

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed.getvalue()) + chunk(b"IEND", b"")


def test_forty_thousand_pixels_a_side_are_refused_and_one_long_strip_is_not(tmp_path: Path) -> None:
    given = images(tmp_path)
    bomb = tmp_path / "synthetic" / "1.png"
    bomb.write_bytes(png(40_000, 1)[:16] + struct.pack(">II", 40_000, 40_000) + png(40_000, 1)[24:])
    told = refused("run", *given, "--encoder", "pixels")
    assert "1 of 3 images cannot be read" in told
    bomb.write_bytes(png(40_000, 2))
    done = called("run", *given, "--encoder", "pixels", "--metrics", "fidelity.precision", "--out", tmp_path / "out")
    assert done.exit_code == 3, done.output


# -- a GPU without memory ---------------------------------------------------------------------------


@pytest.fixture
def full_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``auto`` finds a GPU that has memory for nothing."""
    moved = torch.Tensor.to

    def full(self: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        places = [x for x in (*args, *options.values()) if isinstance(x, (str, torch.device))]
        if any(torch.device(place).type == "cuda" for place in places):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return moved(self, *args, **options)

    def named(name: str) -> torch.device:
        return torch.device("cpu" if name == "cpu" else "cuda")

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "to", full)
        patch.setattr(base, "device_named", named)
        patch.setattr(encoders, "device_named", named)
        patch.setattr(benches, "device_named", named)
        yield


def parts() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {role: rng.normal(size=(60, 6)) for role in ("train", "holdout", "synthetic")}


def plain(record: Record) -> dict[Any, Any]:
    return {(m.metric, m.field, str(m.group)): (m.value, m.low, m.high) for m in record.measurements}


def test_a_gpu_without_memory_leaves_it_to_the_cpu_and_says_so(full_gpu: None) -> None:
    record = audit(**parts(), metrics=["fidelity", "coverage", "leakage.membership"])
    assert record.manifest.device == "cuda"
    assert "error" not in statuses(record)
    for name in ("fidelity.precision", "fidelity.kernel_distance", "coverage.coverage"):
        assert "the device ran out of memory: neighbours were searched on the CPU" in record[name].reason
    for name in ("fidelity.realism", "leakage.membership"):
        assert "the device ran out of memory: measured on the CPU" in record[name].reason


def test_its_numbers_are_those_of_the_cpu(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    chosen = ["fidelity.precision", "fidelity.realism", "fidelity.kernel_distance"]
    here = plain(audit(**parts(), metrics=chosen))
    request.getfixturevalue("full_gpu")
    assert plain(audit(**parts(), metrics=chosen)) == here


def test_a_gpu_without_memory_for_the_encoder(full_gpu: None, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 8, 8, 3), dtype=np.uint8)
    record = audit(real=pixels[0], synthetic=pixels[1], metrics=["fidelity.precision"])
    assert "error" not in statuses(record)
    assert "the GPU has no memory for the encoder: images were encoded on the CPU" in record.manifest.findings


def test_a_metric_that_fails_otherwise_is_not_run_again(full_gpu: None) -> None:
    from counterproof.metrics.metric import metric

    ran: list[str] = []

    @metric(id="fidelity.broken", family="fidelity", better="lower")
    def broken(bench: Any) -> Iterator[Any]:
        """Fails on any device."""
        ran.append(bench.device)
        raise RuntimeError("illegal memory access")
        yield

    record = audit(**parts(), metrics=[broken])
    assert record["fidelity.broken"].status == "error"
    assert ran == ["cuda"]
