"""Images are found by what files hold, numbers are read by the range they use, and what is left out is counted."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from counterproof.inputs.images import readable_formats
from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in
from counterproof.refusal import Refusal


def shapes(n: int = 6, seed: int = 0, side: int = 12) -> Any:
    """Images with a bright corner and a dark one."""
    rng = np.random.default_rng(seed)
    made = rng.integers(40, 200, (n, side, side, 3), dtype=np.uint8)
    made[:, 0, 0], made[:, -1, -1] = 255, 0
    return made


def folder(path: Path, images: Any, ending: str = ".png", kind: str = "PNG", start: int = 0, **how: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for at, image in enumerate(images, start):
        with (path / f"{at:03d}{ending}").open("wb") as out:
            Image.fromarray(image).save(out, kind, **how)
    return path


def zipped(path: Path) -> Path:
    made = path.with_suffix(".zip")
    with zipfile.ZipFile(made, "w") as packed:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                packed.write(file, file.relative_to(path).as_posix())
    return made


def read(synthetic: Any, real: Any = None, **options: Any) -> Intake:
    sources = {"real": shapes() if real is None else real, "synthetic": synthetic}
    return take_in(sources, encoder="pixels", cache=None, **options)


def notes(intake: Intake) -> str:
    return "; ".join(intake.notes["synthetic"])


def said(*sources: Any, **options: Any) -> str:
    with pytest.raises(Refusal) as caught:
        read(*sources, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def digests(intake: Intake, role: str = "synthetic") -> list[bytes]:
    return list(intake.corpus.digests[intake.roles[role]])


# -- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", [".jfif", ".jpe", ".JFIF", "", ".img", ".png.tmp"])
def test_jpeg_is_read_under_any_name(tmp_path: Path, ending: str, packed: bool) -> None:
    named = folder(tmp_path / "named", shapes(), ".jpg", "JPEG", quality=90)
    other = folder(tmp_path / "other", shapes(), ending, "JPEG", quality=90)
    intake = read(zipped(other) if packed else other, named)
    assert digests(intake) == digests(intake, "real")
    assert not notes(intake)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF"])
def test_other_formats_are_read_by_content_too(tmp_path: Path, kind: str) -> None:
    if kind not in readable_formats():
        pytest.skip(f"this Pillow has no {kind}")
    mixed = folder(tmp_path / "mixed", shapes(3))
    folder(tmp_path / "mixed", shapes(4, seed=1), f".{kind.lower()}x", kind, start=3)
    assert len(read(mixed).roles["synthetic"]) == 7


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.heic", b"\x00\x00\x00\x18ftypheic" + bytes(80), "1 .heic (HEIF)"),
        ("a.psd", b"8BPS" + bytes(80), "1 .psd (PSD)"),
        ("a.jxl", b"\xff\x0a" + bytes(80), "1 .jxl (JPEG XL)"),
        ("a.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(80), "1 .mp4"),
        ("a", bytes(80), "1 without an ending"),
        (".hidden.png", None, "1 hidden .png (PNG)"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "1 .svg"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_files_that_were_not_looked_at_are_counted_and_many_of_them_refused(
    tmp_path: Path, name: str, content: bytes | None, words: str, packed: bool
) -> None:
    if "heic" in name and "HEIF" in readable_formats():
        pytest.skip("pillow-heif reads them")

    def with_odd(path: Path, images: int) -> Path:
        folder(path, shapes(images, side=4))
        (path / name).write_bytes((path / "000.png").read_bytes() if content is None else content)
        return zipped(path) if packed else path

    text = said(with_odd(tmp_path / "few", 20))
    assert "1 of 21 files were not looked at" in text
    assert words in text
    assert f"1 of 101 files were not looked at: {words}" in notes(read(with_odd(tmp_path / "many", 100)))


def test_texts_beside_images_are_named_and_stop_nothing(tmp_path: Path) -> None:
    made = folder(tmp_path / "captioned", shapes(6))
    for at in range(6):
        (made / f"{at:03d}.txt").write_text("a café", encoding="utf-8")
    (made / "LICENSE").write_text("free", encoding="utf-8")
    (made / ".DS_Store").write_bytes(bytes(60))
    intake = read(made)
    assert len(intake.roles["synthetic"]) == 6
    told = "8 files that hold no image were not looked at: 6 .txt, 1 hidden without an ending, 1 without an ending"
    assert told in notes(intake)


def test_linked_folders_are_counted_and_not_followed(tmp_path: Path) -> None:
    made = folder(tmp_path / "release", shapes(20))
    (made / "more").symlink_to(folder(tmp_path / "elsewhere", shapes(5, seed=1)), target_is_directory=True)
    assert "5 of 25 files were not looked at: 5 in the linked folder 'more'" in said(made)
    folder(tmp_path / "release", shapes(600, side=4), start=20)
    assert "5 of 625 files were not looked at: 5 in the linked folder 'more'" in notes(read(made))


@pytest.mark.parametrize("inner", ["", "locked"])
def test_folders_without_permission_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str) -> None:
    made = folder(tmp_path / "release", shapes(6))
    folder(made / "locked", shapes(2))
    scandir = os.scandir

    def denied(path: Any) -> Any:
        if Path(path) == made / inner:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", denied)
    what = "its folder 'locked'" if inner else "the folder"
    assert said(made) == f"{made}: {what} cannot be read: Permission denied"


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert said(tmp_path / "empty").endswith("no images are in it: it is empty")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("x", encoding="utf-8")
    assert said(tmp_path / "texts").endswith("no images are in it: it holds 1 .txt")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_animations_the_first_frame_counts_and_is_said_so(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(frame) for frame in shapes(3)]
    moving, still = tmp_path / "moving", tmp_path / "still"
    for path, more in ((moving, frames[1:]), (still, [])):
        path.mkdir()
        for at in range(2):
            how = {"save_all": True, "append_images": more} if more else {}
            lossless = {"lossless": True} if kind == "WEBP" else {}
            frames[0].save(path / f"{at}.{kind.lower()}", kind, **how, **lossless)
    intake = read(moving, still)
    assert digests(intake) == digests(intake, "real")
    assert "2 of 2 images were" in notes(intake)
    assert "animated, of which the first frame counts" in notes(intake)
    assert "animated" not in "".join(intake.notes["real"])


# -- metadata.jsonl ---------------------------------------------------------------------------------


def lines(path: Path, rows: list[Any]) -> None:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    (path / "metadata.jsonl").write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize("packed", [False, True])
def test_metadata_as_hugging_face_writes_it_is_read(tmp_path: Path, packed: bool) -> None:
    sources = {}
    for role in ("real", "synthetic"):
        made = folder(tmp_path / role, shapes(6))
        rows = [{"file_name": f"{at:03d}.png", "label": "ab"[at % 2], "boxes": {"x": [1, 2]}} for at in range(6)]
        lines(made, rows[::-1])
        sources[role] = zipped(made) if packed else made
    intake = take_in(sources, encoder="pixels", cache=None, label="label")
    assert intake.corpus.labels is not None
    assert intake.corpus.labels.tolist() == ["a", "b"] * 6


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"label": "a"}], "no column 'file_name'"),
        ([{"file_name": "000.png"}, "{"], "metadata.jsonl: line 2 is no JSON"),
        (["[" * 100_000], "metadata.jsonl: line 1 is no JSON"),
        (["[1, 2]"], "metadata.jsonl: line 1 is no JSON object"),
        ([""], "metadata.jsonl is empty"),
        ([{"file_name": "../000.png"}], "lies outside of the folder"),
        ([{"file_name": "000.png"}, {"file_name": "000.png"}], "more than once"),
    ],
)
def test_broken_metadata_is_one_sentence(tmp_path: Path, rows: list[Any], words: str) -> None:
    made = folder(tmp_path / "release", shapes(3))
    lines(made, rows)
    assert words in said(made)


# -- numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.int64, np.int16, np.uint64])
def test_bytes_in_a_wider_type_are_bytes(kind: Any) -> None:
    intake = read(shapes().astype(kind), shapes())
    assert digests(intake) == digests(intake, "real")
    assert "stored in more than 8 bits, of which they use 8" in notes(intake)


@pytest.mark.parametrize(("bits", "kind"), [(12, np.uint16), (16, np.uint16), (16, np.int32), (12, np.uint32)])
def test_deeper_numbers_are_scaled_by_the_bits_that_they_use(bits: int, kind: Any) -> None:
    deep = np.rint(shapes().astype(float) / 255 * (2**bits - 1)).astype(kind)
    intake = read(deep, shapes())
    assert digests(intake) == digests(intake, "real")
    assert ("16-bit" if bits == 16 else "of which they use 12") in notes(intake)


def test_all_roles_are_scaled_alike() -> None:
    dark = shapes().astype(np.uint16)
    bright = dark * 257
    intake = read(bright, dark)
    reader = intake.corpus.pixels
    assert reader is not None
    assert reader(int(intake.roles["synthetic"][0])).max() == 255
    assert reader(int(intake.roles["real"][0])).max() == 1, "its own range would hide how dark it is"


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        (lambda x: x / 255, "floats from 0 to 1"),
        (lambda x: (x / 127.5 - 1).astype(np.float32), "floats from -1 to 1"),
        (lambda x: x.astype(np.float64), "floats from 0 to 255"),
    ],
)
def test_floats_are_read_by_their_range(change: Any, remark: str) -> None:
    intake = read(change(shapes()), shapes())
    assert digests(intake) == digests(intake, "real")
    assert f"6 of 6 images were {remark}" in notes(intake)


def test_masks_are_black_and_white() -> None:
    mask = shapes() > 120
    for kind in (np.uint8, np.uint16, np.int64):
        intake = read(mask.astype(kind), mask)
        assert digests(intake) == digests(intake, "real")
        assert "0 and 1 alone" in notes(intake)
    assert "6 of 6 images were booleans" in notes(read(mask, mask))
    black = np.zeros_like(shapes())
    black[:, 0, 0] = 1
    reader = read(black, shapes()).corpus.pixels
    assert reader is not None
    assert reader(6).max() == 1, "beside real images a black one is black"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x / 128.0, "float images hold numbers from 0 to 1.992, which may stand for several ranges"),
        (lambda x: (x - 128.0) / 50, "which may stand for several ranges"),
        (lambda x: x * 4.0, "which may stand for several ranges"),
        (lambda x: x.astype(np.int16) - 10, "images hold negative numbers (-10)"),
        (lambda x: x.astype(np.uint32) << 20, "more than 16 bits"),
        (lambda x: np.where(x == 0, np.nan, x / 255), "NaN or an infinity"),
    ],
)
def test_ambiguous_numbers_are_refused(change: Any, words: str) -> None:
    assert words in said(change(shapes()), shapes())


def test_files_of_sixteen_bits_are_scaled_by_what_they_use(tmp_path: Path) -> None:
    grey = shapes()[..., 0]
    plain = folder(tmp_path / "plain", grey)
    wide = folder(tmp_path / "wide", grey.astype(np.uint16))
    full = folder(tmp_path / "full", grey.astype(np.uint16) * 257)
    for source, remark in ((wide, "of which they use 8"), (full, "16-bit")):
        intake = read(source, plain)
        assert digests(intake) == digests(intake, "real")
        assert remark in notes(intake)


def test_float_files_are_scaled_by_their_range(tmp_path: Path) -> None:
    grey = shapes()[..., 0]
    plain = folder(tmp_path / "plain", grey)
    floats = folder(tmp_path / "floats", grey.astype(np.float32), ".tif", "TIFF")
    intake = read(floats, plain)
    assert digests(intake) == digests(intake, "real")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_may_come_first(channels: int) -> None:
    last = np.concatenate([shapes(), shapes(seed=1)], axis=3)[..., :channels]
    intake = read(np.moveaxis(last, 3, 1), last)
    assert digests(intake) == digests(intake, "real")
    assert "channels come first" in notes(intake)


def test_channels_that_may_come_first_or_last_are_told_by_the_square_or_refused() -> None:
    tiny = np.random.default_rng(0).integers(0, 255, (5, 4, 4, 3), dtype=np.uint8)
    assert_array_equal(digests(read(np.moveaxis(tiny, 3, 1), tiny)), digests(read(tiny, tiny)))
    assert "channels may come first or last" in said(np.zeros((5, 3, 7, 3), np.uint8) + np.uint8(9), tiny)


def test_roles_of_other_picture_sizes_are_the_first_finding(tmp_path: Path) -> None:
    first = read(shapes(side=16), shapes(side=12)).findings[0]
    assert first.startswith("the pictures of the roles differ in size: real 12 × 12, synthetic 16 × 16")
    assert not any("differ in size" in finding for finding in read(shapes(), shapes()).findings)
    many = tmp_path / "many"
    for at, side in enumerate(range(10, 20)):
        folder(many, shapes(1, side=side, seed=at), start=at)
    assert not any("differ in size" in finding for finding in read(many, many).findings)
    assert "synthetic of many sizes" in read(many, shapes(side=12)).findings[0]
