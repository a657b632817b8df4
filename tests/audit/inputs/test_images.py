"""Images: one policy of pixels, the same from every kind of store."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from counterproof.inputs.images import Unreadable, decode, from_array, pixel_digest, thumbnail
from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in

NAMES = [f"{kind}/{i:02}.png" for kind in ("cat", "dog") for i in range(10)]


def pixels(seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (20, 12, 10, 3), dtype=np.uint8)


def stored(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def folder(root: Path, images: np.ndarray[Any, Any]) -> Path:
    for name, image in zip(NAMES, images, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(stored(Image.fromarray(image)))
    return root


def archive(path: Path, images: np.ndarray[Any, Any], extra: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, image in reversed(list(zip(NAMES, images, strict=True))):
            out.writestr(name, stored(Image.fromarray(image)))
        for name, text in (extra or {}).items():
            out.writestr(name, text)
    return path


def read(source: Any, **options: Any) -> Intake:
    return take_in({"real": source, "synthetic": source}, encoder="pixels", cache=None, **options)


# -- the policy -------------------------------------------------------------------------------------


def plain(image: Image.Image, kind: str = "PNG", **options: Any) -> tuple[list[Any], str]:
    picture = decode(stored(image, kind, **options), "x")
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.shape == (*image.size[::-1], 3)
    return picture.pixels[0, 0].tolist(), picture.remark


def test_grey_and_bilevel_are_repeated() -> None:
    assert plain(Image.new("L", (3, 2), 77)) == ([77, 77, 77], "")
    assert plain(Image.new("1", (3, 2), 1)) == ([255, 255, 255], "")


def test_transparency_is_laid_over_white() -> None:
    assert plain(Image.new("RGBA", (3, 2), (200, 0, 0, 0))) == ([255, 255, 255], "transparent")
    half, _ = plain(Image.new("RGBA", (3, 2), (200, 0, 100, 128)))
    assert half == pytest.approx([200 * 128 / 255 + 127, 127, 100 * 128 / 255 + 127], abs=1)
    assert plain(Image.new("LA", (3, 2), (9, 0)))[0] == [255, 255, 255]


def test_palettes_are_expanded() -> None:
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert plain(image) == ([10, 20, 30], "palette")
    assert plain(image, transparency=1) == ([255, 255, 255], "transparent")


def test_sixteen_bits_are_scaled_by_their_range() -> None:
    values = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    picture = decode(stored(Image.fromarray(values)), "x")
    assert picture.pixels[0, :, 1].tolist() == [0, 1, 128, 255]
    assert picture.remark == "16-bit"


def test_floats_count_as_zero_to_one() -> None:
    image = Image.fromarray(np.array([[0.0, 0.5, 1.0, 2.0]], dtype=np.float32))
    assert decode(stored(image, "TIFF"), "x").pixels[0, :, 0].tolist() == [0, 128, 255, 255]


def test_cmyk_is_converted() -> None:
    colour, remark = plain(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    assert remark == "CMYK"
    assert colour == pytest.approx([255, 0, 0], abs=6)


def test_the_orientation_is_applied() -> None:
    tag = Image.Exif()
    tag[0x0112] = 6
    values = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    picture = decode(stored(Image.fromarray(values), exif=tag), "x")
    assert np.array_equal(picture.pixels[:, :, 0], np.rot90(values, -1))


def test_rubbish_and_cut_files_are_unreadable() -> None:
    whole = stored(Image.fromarray(pixels()[0]))
    for raw in (b"", b"rubbish", whole[: len(whole) // 2], b"%!PS-Adobe-3.0 EPSF-3.0"):
        with pytest.raises(Unreadable):
            decode(raw, "x")


def test_digests_tell_pixels_and_shapes_apart() -> None:
    image = pixels()[0]
    assert pixel_digest(image) == pixel_digest(image.copy())
    assert pixel_digest(image) != pixel_digest(image.reshape(10, 12, 3))
    other = image.copy()
    other[0, 0, 0] ^= 1
    assert pixel_digest(image) != pixel_digest(other)


def test_a_lossless_file_has_the_digest_of_its_array() -> None:
    image = pixels()[0]
    picture = decode(stored(Image.fromarray(image), "BMP"), "x")
    assert pixel_digest(picture.pixels) == pixel_digest(from_array(image).pixels)


# -- the stores -------------------------------------------------------------------------------------


@pytest.fixture
def reference(tmp_path: Path) -> Intake:
    return read(folder(tmp_path / "folder", pixels()), label="label")


def test_a_folder_gives_names_labels_and_pixels_in_order(reference: Intake) -> None:
    corpus = reference.corpus
    assert corpus.modality == "image"
    assert corpus.names[:20].tolist() == NAMES
    assert corpus.labels is not None
    assert corpus.labels[:20].tolist() == ["cat"] * 10 + ["dog"] * 10
    assert corpus.frame is None
    assert [len(rows) for rows in reference.roles.values()] == [20, 20]
    assert np.array_equal(corpus.features[:20], corpus.features[20:])


def same(found: Intake, reference: Intake) -> bool:
    return (
        np.array_equal(found.corpus.features, reference.corpus.features)
        and np.array_equal(found.corpus.digests, reference.corpus.digests)
        and found.digests == reference.digests
    )


def test_every_store_gives_the_same(reference: Intake, tmp_path: Path) -> None:
    raw = [stored(Image.fromarray(image)) for image in pixels()]
    labels = pa.array(["cat"] * 10 + ["dog"] * 10)
    face = pa.array([{"bytes": one, "path": None} for one in raw])
    parquet.write_table(pa.table({"image": face, "label": labels}), tmp_path / "hf.parquet", row_group_size=7)
    parquet.write_table(pa.table({"picture": pa.array(raw), "label": labels}), tmp_path / "raw.parquet")
    np.savez(tmp_path / "a.npz", images=pixels(), labels=np.array(labels.to_pylist()))
    np.save(tmp_path / "b.npy", pixels())
    pd.DataFrame({"label": labels.to_pylist()}).to_csv(tmp_path / "b.csv", index=False)
    sources: list[Any] = [archive(tmp_path / "a.zip", pixels()), tmp_path / "hf.parquet", tmp_path / "raw.parquet"]
    sources += [tmp_path / "a.npz", tmp_path / "b.npy", (pixels(), pd.DataFrame({"label": labels.to_pylist()}))]
    for source in sources:
        found = read(source, label="label")
        assert same(found, reference), source
        assert found.corpus.labels is not None
        assert reference.corpus.labels is not None
        assert found.corpus.labels.tolist() == reference.corpus.labels.tolist()
    assert same(read(np.moveaxis(pixels(), 3, 1)), reference)
    assert same(read(pixels().astype(np.uint16) * 257), reference)
    assert same(read(pixels().astype(np.float64) / 255), reference)


def test_a_table_with_other_bytes_is_still_a_table(tmp_path: Path) -> None:
    table = pa.table({"hash": pa.array([b"ab", b"cd"] * 20), "a": list(range(40))})
    parquet.write_table(table, tmp_path / "a.parquet")
    found = take_in({"real": tmp_path / "a.parquet", "synthetic": tmp_path / "a.parquet"})
    assert found.corpus.modality == "table"


def test_metadata_gives_labels_and_groups(tmp_path: Path) -> None:
    lines = [f"{name},{i % 3},{'f' if i % 2 else 'm'}" for i, name in enumerate(NAMES)]
    told = "\n".join(["file_name,label,sex", *reversed(lines[1:]), "gone.png,1,f"])
    found = read(archive(tmp_path / "a.zip", pixels(), {"metadata.csv": told}), label="label", groups=["sex"])
    assert found.corpus.labels is not None
    assert found.corpus.labels[:4].tolist() == ["", "1", "2", "0"]
    assert found.corpus.groups["sex"][:4].tolist() == ["", "f", "m", "f"]
    assert found.notes["real"] == [
        "metadata.csv describes images that are not there (1): 'gone.png'",
        "metadata.csv leaves images undescribed (1): 'cat/00.png'",
    ]


def test_metadata_may_be_parquet_and_hidden_files_are_not_images(tmp_path: Path) -> None:
    root = folder(tmp_path, pixels())
    (root / ".hidden.png").write_bytes(b"")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "a.png").write_bytes(b"")
    pd.DataFrame({"file_name": NAMES, "kind": range(20)}).to_parquet(root / "metadata.parquet")
    found = read(root, label="kind")
    assert found.corpus.labels is not None
    assert found.corpus.labels[:20].tolist() == [str(i) for i in range(20)]


def test_unreadable_images_are_left_out_with_their_labels(tmp_path: Path) -> None:
    root = folder(tmp_path, pixels())
    (root / NAMES[3]).write_bytes(b"rubbish")
    found = read(root, label="label", bad_images=0.1)
    assert NAMES[3] not in found.corpus.names
    assert found.corpus.labels is not None
    assert found.corpus.labels[:19].tolist() == ["cat"] * 9 + ["dog"] * 10
    assert found.notes["real"] == [f"1 of 20 images cannot be read and were left out: {NAMES[3]!r}"]
    assert found.corpus.thumbnail is not None
    shown = np.asarray(Image.open(io.BytesIO(found.corpus.thumbnail(3))))
    assert np.array_equal(shown, pixels()[4])


def test_conversions_are_remarked(tmp_path: Path) -> None:
    found = read((np.arange(20 * 64, dtype=np.uint16) * 50).reshape(20, 8, 8))
    assert found.notes["synthetic"] == ["20 of 20 images were 16-bit"]


def test_thumbnails_are_small_and_read_on_demand(tmp_path: Path) -> None:
    big = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    image = Image.open(io.BytesIO(thumbnail(big)))
    assert image.format == "PNG"
    assert image.size == (85, 128)
    found = read(folder(tmp_path, pixels()))
    assert found.corpus.thumbnail is not None
    with pytest.raises(IndexError):
        found.corpus.thumbnail(40)


def test_progress_is_told_by_stage(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    read(pixels(), progress=lambda stage, done, total: told.append((stage, done, total)))
    assert told[0] == ("reading images", 1, 40)
    assert ("reading images", 40, 40) in told
    assert told[-1] == ("encoding images", 40, 40)
