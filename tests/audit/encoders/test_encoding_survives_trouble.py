"""Encoding: the same bytes on any number of workers, and one sentence where it cannot go on."""

from __future__ import annotations

import io
import struct
import subprocess
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.cli import python
from PIL import Image
from torch import Tensor, nn

from counterproof.encoders.base import BATCH, Encoder, images_per_call
from counterproof.encoders.batches import HUGE, encode, resized
from counterproof.encoders.registry import encoder_for
from counterproof.inputs.image_sources import Files
from counterproof.inputs.images import Pixels
from counterproof.inputs.timings import Timings
from counterproof.loading import load_images as gallery
from counterproof.loading.load import take_in
from counterproof.refusal import Refusal


def photos(n: int, side: int = 40) -> list[Pixels]:
    return list(np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def network() -> Encoder:
    return encoder_for("efficientnet", largest=28)


# -- the same bytes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [64, 224])
def test_the_number_of_workers_changes_no_bit(side: int) -> None:
    encoder = encoder_for("efficientnet", largest=28, side=side)
    images = photos(2 * BATCH + 3 if side == 64 else BATCH + 3)
    one = encode(encoder, images, workers=1)
    assert np.array_equal(one, encode(encoder, images, workers=3))
    assert np.array_equal(one[::-1], encode(encoder, images[::-1], workers=2))
    assert np.array_equal(one[7:8], encode(encoder, images[7:8]))


def test_images_may_be_read_by_the_worker_that_encodes_them(network: Encoder) -> None:
    images = photos(5)
    later = [lambda i=i: images[i] for i in range(5)]
    assert np.array_equal(encode(network, later), encode(network, images))


def test_fewer_large_images_go_through_at_once(network: Encoder) -> None:
    sizes = {
        side: images_per_call(replace(network, conventions=replace(network.conventions, side=side)))
        for side in (32, 64)
    }
    assert sizes == {32: 32, 64: 32}
    assert images_per_call(replace(network, conventions=replace(network.conventions, side=224))) == 4
    assert images_per_call(replace(network, conventions=replace(network.conventions, side=1024))) == 1
    assert images_per_call(replace(network, device=torch.device("meta"))) == BATCH


def test_the_journal_counts_every_stage(network: Encoder) -> None:
    timings = Timings()
    encode(network, photos(40, 300), timings=timings)
    assert set(timings.seconds) == {"decode", "resize", "encode"}
    assert timings.seconds["encode"] > 0
    assert timings.seconds["resize"] > 0
    found = take_in({"real": np.array(photos(8)), "synthetic": np.array(photos(8))}, encoder="pixels", cache=None)
    assert found.stages["decode"] > 0


# -- a device without memory ------------------------------------------------------------------------


class Tight(nn.Module):
    """A network for which a device has memory for a few images only."""

    budget = 5
    seen: list[int]

    def forward(self, x: Tensor) -> Tensor:
        Tight.seen.append(len(x))
        if len(x) > Tight.budget:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return x.flatten(1)[:, :8]


@pytest.fixture(autouse=True)
def _tight() -> None:
    Tight.seen, Tight.budget = [], 5


def taken(images: list[Pixels]) -> Any:
    half = len(images) // 2
    real, synthetic = np.array(images[:half]), np.array(images[half:])
    return take_in({"real": real, "synthetic": synthetic}, encoder=Tight(), cache=None)


def test_a_full_device_gets_fewer_images_at_once_and_the_record_says_so() -> None:
    found = taken(photos(200, 8))
    assert found.findings == ["the GPU ran out of memory: images were encoded 4 at a time"]
    assert Tight.seen.count(32) <= 8, "what does not fit is tried by the threads under way, not by every batch"
    Tight.budget = 99
    assert np.array_equal(found.corpus.features, taken(photos(200, 8)).corpus.features)


def test_where_not_one_fits_the_cpu_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Tight.budget = 0
    plain = gallery.encoder_for

    def roomier(*args: Any, device: str, **options: Any) -> Encoder:
        if Tight.seen:
            assert device == "cpu"
            Tight.budget = 99
        return plain(*args, device=device, **options)

    monkeypatch.setattr(gallery, "encoder_for", roomier)
    found = taken(photos(80, 8))
    assert found.findings == ["the GPU has no memory for a single image: images were encoded on the CPU"]
    assert found.corpus.features.shape == (80, 8)


class Broken(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied\nmore"), "Broken fails: mat1 and mat2 shapes"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "Broken fails: DefaultCPUAllocator"),
        (KeyError("x"), "Broken fails"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_a_network_that_fails_is_one_sentence(error: Exception, words: str) -> None:
    with pytest.raises(Refusal, match=words) as told:
        encode(encoder_for(Broken(error), largest=8), photos(200, 8))
    assert "\n" not in str(told.value)


# -- hostile and odd files --------------------------------------------------------------------------


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises much."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_forty_thousand_pixels_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of(40_000, 40_000))
    code = (
        "import resource, sys\nfrom counterproof.loading.load import take_in\n"
        "from counterproof.refusal import Refusal\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: take_in({'real': sys.argv[1], 'synthetic': sys.argv[1]}, encoder='pixels', cache=None)\n"
        "except Refusal as told: print(told)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    done: subprocess.CompletedProcess[str] = python("-c", code, str(tmp_path), cwd=tmp_path.parent)
    told, grown = done.stdout.splitlines()
    assert "'a.png': unpacks to more than 64 million pixels" in told
    # torch and pandas are loaded meanwhile; unpacked, the image alone would be 4,800 MB
    assert int(grown) < 1000


def test_a_huge_legal_image_is_encoded(tmp_path: Path) -> None:
    y, x = np.mgrid[0:2500, 0:2000]
    huge = np.stack([x % 256, y % 256, (x + y) % 256], axis=2).astype(np.uint8)
    Image.fromarray(huge).save(tmp_path / "a.bmp")
    Image.fromarray(huge[:100, :100]).save(tmp_path / "b.bmp")
    found = take_in({"real": tmp_path, "synthetic": tmp_path}, encoder="pixels", cache=None)
    assert found.corpus.features.shape == (4, 32 * 32 * 3)


def test_huge_images_are_resized_plane_by_plane_to_the_same_bits() -> None:
    encoder = encoder_for("pixels", largest=500)
    huge = np.random.default_rng(0).integers(0, 256, (2100, 2000, 3), dtype=np.uint8)
    whole = encoder.resize(torch.from_numpy(huge.astype(np.float32)).permute(2, 0, 1)[None])
    assert huge.shape[0] * huge.shape[1] > HUGE
    assert torch.equal(resized([huge], encoder.resize), whole)


def test_animations_count_by_their_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("L", (12, 12), shade) for shade in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50, loop=0)
    frames[0].save(tmp_path / "b.png")
    found = take_in({"real": tmp_path, "synthetic": tmp_path}, encoder="pixels", cache=None)
    assert found.corpus.digests[0] == found.corpus.digests[1]


def test_one_image_and_identical_images_are_encoded() -> None:
    same = np.full((70, 9, 9, 3), 7, np.uint8)
    found = take_in({"real": same, "synthetic": same[:1]}, encoder="pixels", cache=None)
    assert found.corpus.features.shape == (71, 243)
    assert (found.corpus.features == found.corpus.features[0]).all()


def test_a_zip_of_ten_thousand_images(tmp_path: Path) -> None:
    raw = []
    for shade in range(16):
        out = io.BytesIO()
        Image.new("L", (6, 6), shade).save(out, "PNG")
        raw.append(out.getvalue())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out_zip:
        for i in range(10_000):
            out_zip.writestr(f"{i:05}.png", raw[i % 16])
    small = np.stack([np.full((6, 6, 3), i % 16, np.uint8) for i in range(100)])
    found = take_in({"real": tmp_path / "a.zip", "synthetic": small}, encoder="pixels", cache=None)
    assert found.corpus.features.shape == (10_100, 108)
    assert np.array_equal(found.corpus.features[:100], found.corpus.features[10_000:])


def test_a_share_that_cannot_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        Image.new("L", (6, 6), i).save(tmp_path / f"{i}.png")

    def gone(*_: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", gone)
    with pytest.raises(Refusal, match="4 of 4 images cannot be read"):
        take_in({"real": tmp_path, "synthetic": tmp_path}, encoder="pixels", cache=None)
    monkeypatch.setattr("os.scandir", gone)
    with pytest.raises(Refusal, match="the folder cannot be read"):
        take_in({"real": tmp_path, "synthetic": tmp_path}, encoder="pixels", cache=None)


def test_an_image_without_memory_to_decode_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(200):
        Image.new("L", (6, 6), i).save(tmp_path / f"{i:03}.png")
    plain = Files.raw

    def full(files: Files, name: str) -> bytes:
        if name == "077.png":
            monkeypatch.setattr(Image.Image, "convert", lambda *_: (_ for _ in ()).throw(MemoryError()))
        return plain(files, name)

    monkeypatch.setattr(Files, "raw", full)
    with pytest.raises(Refusal, match="not enough memory to decode it"):
        take_in({"real": tmp_path, "synthetic": tmp_path}, encoder="pixels", cache=None)


@pytest.mark.parametrize("memory", [0, 5_000, 2**20])
def test_pixels_are_decoded_once_while_there_is_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    for i in range(40):
        Image.new("L", (10, 10), i).save(tmp_path / f"{i:02}.png")
    read: list[str] = []
    plain = Files.raw

    def counted(files: Files, name: str) -> bytes:
        if files.root == tmp_path:  # threads of an audit that was refused may still be ending
            read.append(name)
        return plain(files, name)

    monkeypatch.setattr(Files, "raw", counted)
    other = np.stack([np.full((10, 10, 3), i, np.uint8) for i in range(40)])[::-1]
    found = take_in({"real": tmp_path, "synthetic": other}, encoder="pixels", cache=None, memory=memory)
    assert len(read) == 40 + 40 - min(40, memory // 300)
    assert np.array_equal(found.corpus.features[:40], found.corpus.features[:39:-1])
