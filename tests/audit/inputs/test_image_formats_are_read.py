"""Each image carries how it was stored: the format, and the quality of what lost something."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from counterproof.inputs.images import decode, from_array
from counterproof.loading.load import take_in

PLAIN = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8))


def stored(image: Image.Image, kind: str, **options: object) -> str:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return decode(out.getvalue(), "x").stored


@pytest.mark.parametrize("quality", [2, 10, 49, 50, 51, 75, 83, 90, 95, 99, 100])
def test_the_quality_of_a_jpeg_is_that_it_was_saved_with(quality: int) -> None:
    for image in (PLAIN, PLAIN.convert("L"), PLAIN.convert("CMYK")):
        assert stored(image, "JPEG", quality=quality) == f"JPEG q{quality}"
    assert stored(PLAIN, "JPEG", quality=quality, subsampling=0, progressive=True) == f"JPEG q{quality}"


def test_a_foreign_table_is_as_coarse_as_the_quality_told() -> None:
    """Tables of another maker: 20 everywhere loses about what libjpeg's of the same sum does."""
    assert stored(PLAIN, "JPEG", qtables=[[20] * 64, [20] * 64]) == "JPEG q83"


def test_every_format_is_named() -> None:
    assert stored(PLAIN, "PNG") == "PNG"
    assert stored(PLAIN, "BMP") == "BMP"
    assert stored(PLAIN, "PPM") == "PPM"
    assert stored(PLAIN.convert("P"), "GIF") == "GIF"
    assert stored(PLAIN, "WEBP", lossless=True) == "WEBP lossless"
    assert stored(PLAIN, "WEBP", quality=80) == "WEBP lossy"
    assert stored(PLAIN, "TIFF") == "TIFF raw"
    assert stored(PLAIN, "TIFF", compression="jpeg") == "TIFF jpeg"
    assert from_array(np.asarray(PLAIN)).stored == "array"


def test_the_corpus_tells_it_row_by_row(tmp_path: Path) -> None:
    for i in range(6):
        PLAIN.save(tmp_path / f"{i}.{'png' if i % 2 else 'jpg'}", quality=60)
    (tmp_path / "3.png").write_bytes(b"rubbish")
    array = np.asarray(PLAIN)[None].repeat(3, axis=0)
    found = take_in({"real": tmp_path, "synthetic": array}, encoder="pixels", cache=None, bad_images=0.5)
    assert found.corpus.formats is not None
    assert found.corpus.formats.tolist() == ["JPEG q60", "PNG", "JPEG q60", "JPEG q60", "PNG"] + ["array"] * 3
