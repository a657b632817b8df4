"""Bad input is refused in one clear sentence that names the place."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from counterproof.loading.load import take_in
from counterproof.refusal import Refusal


def good(n: int = 30, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"a": rng.normal(size=n), "b": rng.choice(["x", "y"], n), "y": rng.choice(["0", "1"], n)})


def said(sources: dict[str, Any], **options: Any) -> str:
    with pytest.raises(Refusal) as caught:
        take_in(sources, cache=None, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert 10 < len(text) < 400
    return text


def png(size: tuple[int, int] = (8, 8), shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("L", size, shade).save(out, "PNG")
    return out.getvalue()


# -- tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 fields where the header has 2"),
        ("a,b\n1,2\n3,4\n5,6,7\n", "line 4 has 3 fields where the header has 2"),
        ("a,b,a\n1,2,3\n", "'a' stands there more than once"),
    ],
)
def test_broken_csv_files(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "release.csv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    text = said({"real": good(), "synthetic": path})
    assert str(path) in text
    assert words in text


def test_files_that_are_not_there_or_not_tables(tmp_path: Path) -> None:
    assert "no such file" in said({"real": tmp_path / "none.csv", "synthetic": good()})
    for name, words in (("a.xlsx", ".xlsx is no table format"), ("a.parquet", "cannot be read as parquet")):
        (tmp_path / name).write_bytes(b"rubbish")
        assert words in said({"real": tmp_path / name, "synthetic": good()})
    assert "no images" in said({"real": tmp_path, "synthetic": tmp_path})
    assert "cannot read list" in said({"real": [1, 2], "synthetic": good()})


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda f: f.assign(a=[1.0, np.inf, *f["a"][2:]]), {}, "column 'a' is infinite in row 1"),
        (lambda f: f.drop(columns="y"), {"label": "y"}, "has no column 'y', which is wanted as label"),
        (lambda f: f.drop(columns="b"), {"groups": ["b"]}, "has no column 'b', which is wanted as group"),
        (lambda f: f.rename(columns={"a": "p", "b": "q", "y": "r"}), {}, "shares no column"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (lambda f: pd.concat([f, f[["a"]]], axis=1), {}, "'a' stands there more than once"),
    ],
)
def test_releases_that_cannot_be_audited(
    change: Callable[[pd.DataFrame], pd.DataFrame], options: dict[str, Any], words: str
) -> None:
    assert words in said({"real": good(), "synthetic": change(good(seed=1))}, **options)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"y": "1"}, {"label": "y"}, "has one value in the real data"),
        ({"y": None}, {"label": "y"}, "has no value in the real data"),
        ({"b": None}, {"groups": ["b"]}, "has no value in the real data"),
        ({"a": 1, "b": 1, "y": 1}, {}, "no column of the real data varies"),
        ({}, {"label": "z"}, "no column 'z'"),
        ({}, {"kinds": {"z": "number"}}, "kinds names the column 'z'"),
        ({}, {"kinds": {"a": "integer"}}, "'integer' is no kind"),
        ({}, {"kinds": {"b": "datetime"}}, "30 of 30 values of column 'b' cannot be read as datetime"),
        ({}, {"encoder": "pixels"}, "an encoder is for images"),
    ],
)
def test_real_data_that_cannot_be_audited(change: dict[str, Any], options: dict[str, Any], words: str) -> None:
    assert words in said({"real": good().assign(**change), "synthetic": good(seed=1)}, **options)


def test_an_absent_column_is_answered_with_the_nearest_name() -> None:
    frame = good().rename(columns={"y": "income"})
    assert "did you mean 'income'" in said({"real": frame, "synthetic": frame}, label="incom")


def test_roles_must_make_sense() -> None:
    assert "no synthetic data" in said({"real": good()})
    assert "no real data" in said({"synthetic": good()})
    assert "not both" in said({"real": good(), "train": good(), "synthetic": good()})
    assert "is no role" in said({"real": good(), "fake": good(), "synthetic": good()})
    assert "all roles must be of one kind" in said({"real": good(), "synthetic": np.zeros((4, 2))})


def test_a_zone_that_nobody_knows_hides_no_instant(tmp_path: Path) -> None:
    days = pa.array(np.arange(30) * 86_400_000_000).cast(pa.timestamp("us", tz="Mars/Phobos"))
    path = tmp_path / "release.parquet"
    parquet.write_table(pa.table({"a": np.arange(30) / 7, "since": days}), path)
    frame = take_in({"real": path, "synthetic": path}).corpus.frame
    assert frame is not None
    assert frame["since"].iloc[1] == pd.Timestamp("1970-01-02")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a": None, "b": None, "y": np.nan}, "no column of the real data has a value"),
        ({"a": pd.Series([10**400 + k for k in range(30)], dtype=object)}, "real: column 'a' cannot be read; a whole"),
    ],
)
def test_frames_are_named_by_their_role(change: dict[str, Any], words: str) -> None:
    assert words in said({"real": good().assign(**change), "synthetic": good(seed=1)})


def test_a_frame_that_misses_everything_is_a_finding_in_the_release() -> None:
    empty = good(seed=1).assign(a=np.nan, b=None, y=None)
    assert len(take_in({"real": good(), "synthetic": empty}).roles["synthetic"]) == 30


@pytest.mark.parametrize("pair", [(), (np.zeros((4, 2)),), (30, 3), ([1], [2]), (np.zeros((4, 2)), 3), (1, 2, 3)])
def test_what_is_no_pair_of_features_and_frame(pair: Any) -> None:
    assert "real: give an array of features and a pandas frame as a pair" in said({"real": pair, "synthetic": good()})


# -- features ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite(value: float) -> None:
    bad = np.zeros((5, 3))
    bad[2, 1] = value
    assert "row 2 (the first is 0) holds NaN or an infinity" in said({"real": np.zeros((5, 3)), "synthetic": bad})


def test_features_of_another_shape(tmp_path: Path) -> None:
    real = np.zeros((5, 3))
    assert "4 features in a row where other roles have 3" in said({"real": real, "synthetic": np.zeros((5, 4))})
    assert "shape (n, d)" in said({"real": real, "synthetic": np.zeros(5)})
    assert "is empty" in said({"real": real, "synthetic": np.zeros((0, 3))})
    assert "match row by row" in said({"real": real, "synthetic": (real, good(4))})
    assert "no table beside it" in said({"real": real, "synthetic": real}, label="y")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "cannot be read as numpy arrays" in said({"real": np.zeros((5, 3)), "synthetic": tmp_path / "evil.npy"})


# -- images -----------------------------------------------------------------------------------------


def packed(path: Path, files: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as out:
        for name, raw in files.items():
            out.writestr(name, raw)
    return path


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "..\\evil.png", "C:\\evil.png"])
def test_zips_that_point_outside(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "a.zip", {"a.png": png(), name: png()})
    assert "points out of the zip" in said({"real": path, "synthetic": path})


def test_zip_bombs(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.png": bytes(100 * 2**20)}, zipfile.ZIP_DEFLATED)
    text = said({"real": path, "synthetic": path})
    assert "zip bomb" in text
    assert "'a.png'" in text
    np.savez_compressed(tmp_path / "b.npz", x=np.zeros((100, 1024, 1024), np.uint8))
    assert "zip bomb" in said({"real": tmp_path / "b.npz", "synthetic": tmp_path / "b.npz"})


def test_zips_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 rubbish")
    assert "cannot be read as a zip" in said({"real": tmp_path / "a.zip", "synthetic": tmp_path / "a.zip"})


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises more than its body holds."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_images_that_unpack_to_too_many_pixels(tmp_path: Path, side: int) -> None:
    path = packed(tmp_path / "a.zip", {"a.png": bomb(side, side) + png()[33:]})
    assert "decompression bomb" in said({"real": path, "synthetic": path})


def test_too_many_unreadable_images(tmp_path: Path) -> None:
    files = {f"{i:03}.png": png(shade=i) for i in range(60)} | {"061.png": png()[:40]}
    path = packed(tmp_path / "a.zip", files)
    text = said({"real": path, "synthetic": path}, encoder="pixels")
    assert "1 of 61 images cannot be read: '061.png'" in text
    found = take_in({"real": path, "synthetic": path}, encoder="pixels", bad_images=0.02, cache=None)
    assert len(found.roles["real"]) == 60
    assert "1 of 61 images cannot be read and were left out: '061.png'" in found.notes["real"]


FAR = np.arange(30, dtype=np.int64)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (pa.array((FAR + 10**9).astype(np.int32)).cast(pa.date32()), "cannot be read (ValueError); dates must lie in"),
        (pa.array((FAR - 10**6).astype(np.int32)).cast(pa.date32()), "cannot be read (ValueError); dates must lie in"),
        (pa.array(FAR + 2**62).cast(pa.timestamp("ms")), "cannot be read ("),
        (pa.array(FAR + 2**62).cast(pa.timestamp("us")), "a date outside of the years 1 to 9999 in row 0"),
        (
            pa.array(FAR * 3 * 10**14).cast(pa.timestamp("ms", tz="UTC")),
            "a date outside of the years 1 to 9999 in row 1",
        ),
    ],
)
def test_dates_beyond_the_calendar(tmp_path: Path, days: pa.Array, words: str) -> None:
    path = tmp_path / "release.parquet"
    parquet.write_table(pa.table({"a": np.arange(30) / 7, "since": days}), path)
    text = said({"real": path, "synthetic": path})
    assert words in text
    assert "release.parquet: column 'since'" in text
    assert not re.search(r"148108|11476|2739877|-768|\d{12}", text.replace(str(path), ""))  # no value of a record


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("file_name,label\n../a.png,x\n", "lies outside of the folder"),
        ("file_name,label\n/a.png,x\n", "lies outside of the folder"),
        ("file_name,label\na.png,x\na.png,y\n", "more than once"),
        ("file_name,label\na.png,x\n,y\n,z\n", "has no file_name in row 1, 2 (the first row is 0)"),
        ("file_name,label\n  ,x\n", "has no file_name in row 0 (the first row is 0)"),
        ("name,label\na.png,x\n", "no column 'file_name'"),
        ("file_name,label\na.png\n", "line 2 has 1 fields"),
        ("", "metadata.csv is empty"),
    ],
)
def test_metadata_that_is_wrong(tmp_path: Path, metadata: str, words: str) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "metadata.csv").write_text(metadata)
    text = said({"real": tmp_path, "synthetic": tmp_path})
    assert words in text
    assert "metadata.csv" in text


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png())
    inside = tmp_path / "images"
    inside.mkdir()
    (inside / "a.png").symlink_to(tmp_path / "secret.png")
    assert "link out of the folder" in said({"real": inside, "synthetic": inside})


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.full((3, 8, 8), 7.0), "from 0 to 1"),
        (np.full((3, 8, 8), np.nan), "from 0 to 1"),
        (np.zeros((3, 8, 8, 5), np.uint8), "(n, h, w, 1, 3 or 4)"),
        (np.full((3, 8, 8), -1), "negative"),
    ],
)
def test_arrays_that_are_no_images(images: np.ndarray[Any, Any], words: str) -> None:
    assert words in said({"real": images, "synthetic": images})


def test_encoders_that_do_not_exist(tmp_path: Path) -> None:
    images = np.zeros((3, 8, 8), np.uint8)
    assert "'clip' is no encoder" in said({"real": images, "synthetic": images}, encoder="clip")
    assert "multiple of 32" in said({"real": images, "synthetic": images}, encoder_size=50)
    (tmp_path / "a.pt").write_bytes(b"rubbish")
    assert "TorchScript" in said({"real": images, "synthetic": images}, encoder=str(tmp_path / "a.pt"))
    assert "is no device" in said({"real": images, "synthetic": images}, device="abacus")
