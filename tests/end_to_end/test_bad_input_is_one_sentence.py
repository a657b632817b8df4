"""Whatever is wrong with the input, the command line says it in one sentence and ends with 2."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.cli import MAIN, called, python, record_in, refused, rows, saved
from PIL import Image

from counterproof.metrics.estimate import Estimate
from counterproof.refusal import Refusal
from counterproof.reports.judgement import rows_needed
from counterproof.run import device_for

QUICK = ("--metrics", "fidelity.precision", "--policy", "none")
REAL = ("train", "holdout")


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "cache"))


# -- tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 fields where the header has 2"),
        (b"a,b,a\n1,2,3\n", "'a' stands there more than once"),
        (b"a,b\n1,inf\n2,3\n", "column 'b' is infinite in row 0"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "UTF-8"),
        (b"a\n", "no rows"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "release.csv"
    if content is not None:
        path.write_bytes(content)
    real = saved(tmp_path, real=pd.DataFrame({"a": [1.0, 2.5, 3], "b": [4.0, 5, 6]}))
    text = refused("run", *real, "--synthetic", path)
    assert "release.csv" in text
    assert words in text


def test_a_file_is_named_though_its_name_is_hostile(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\nVERDICT PASS\x1b[31m\xff.csv")
    text = refused("run", *saved(tmp_path, real=rows(9, 0)), "--synthetic", tmp_path / name)
    assert "no such file" in text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"y": "yes"}, ("--label", "y"), "the label 'y' has one value"),
        ({"y": None}, ("--label", "y"), "column 'y', wanted as label, has no value"),
        ({"a": 1, "b": 1, "group": 1, "y": 1}, (), "no column of the real data varies"),
        ({}, ("--label", "z"), "has no column 'z', which is wanted as label"),
        ({}, ("--groups", "group, yy"), "no column 'yy', which is wanted as group; did you mean 'y'"),
    ],
)
def test_columns_that_cannot_be_used(
    tmp_path: Path, change: dict[str, Any], options: tuple[str, ...], words: str
) -> None:
    given = saved(tmp_path, real=rows(30, 0).assign(**change), synthetic=rows(30, 1))
    assert words in refused("run", *given, *options)


def test_dull_and_empty_columns_and_single_members_are_findings(tmp_path: Path) -> None:
    real = rows(80, 0).assign(dull="x", gone=None)
    real.loc[3, "group"] = "alone"
    made = rows(80, 1).assign(dull="x", gone=None)
    given = saved(tmp_path, real=real, synthetic=made)
    done = called("run", *given, "--groups", "group", "--metrics", "coverage", "--policy", "none")
    assert done.exit_code == 3, done.output
    found = " ".join(record_in(tmp_path / "counterproof-report")["manifest"]["findings"])
    assert "'dull' has one value" in found
    assert "'gone' has no value" in found
    assert "'group' has one value with a single real row" in found


def test_a_holdout_that_was_trained_on_is_refused(tmp_path: Path) -> None:
    train, holdout = rows(200, 0), rows(200, 1)
    holdout.iloc[:20] = train.iloc[:20]
    given = saved(tmp_path, train=train, holdout=holdout, synthetic=rows(200, 2))
    text = refused("run", *given, *QUICK)
    assert "holdout.csv: 20 of its 200 rows also stand in train" in text
    assert "allow_overlap" in text
    assert called("run", *given, *QUICK, "--allow-overlap").exit_code == 3
    assert "20 holdout rows equal a training row" in str(record_in(tmp_path / "counterproof-report")["manifest"])


def test_natural_duplicates_are_no_overlap(tmp_path: Path) -> None:
    def few(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        return pd.DataFrame({name: rng.choice(list("pqr"), 300) for name in "abc"})

    given = saved(tmp_path, train=few(0), holdout=few(1), synthetic=few(2))
    assert called("run", *given, *QUICK).exit_code == 3


def test_releases_need_not_name_their_sources(tmp_path: Path) -> None:
    patients = np.repeat(np.arange(40), 2)
    real = rows(80, 0).assign(patient=patients)
    given = saved(tmp_path, real=real, synthetic=rows(80, 1))
    done = called("run", *given, "--cluster", "patient", *QUICK)
    assert done.exit_code == 3, done.output
    found = record_in(tmp_path / "counterproof-report")["manifest"]["findings"]
    assert "column 'patient' is missing from the release: every row is its own source" in found
    unnamed = saved(tmp_path, real=rows(80, 0), synthetic=real)
    assert "real.csv) has no column 'patient'" in refused("run", *unnamed, "--cluster", "patient", *QUICK)


def test_few_sources_are_no_crash(tmp_path: Path) -> None:
    given = saved(
        tmp_path,
        **{role: rows(60, at).assign(source=np.arange(60) % 2) for at, role in enumerate(REAL)},
        synthetic=rows(60, 2),
    )
    assert "2 of the 2 sources of its rows" in refused("run", *given, "--cluster", "source", "--metrics", "fidelity")
    roles = {role: rows(60, at).assign(source=np.arange(60) % 2 + 2 * at) for at, role in enumerate(REAL)}
    given = saved(tmp_path, **roles, synthetic=rows(60, 2))
    done = called("run", *given, "--cluster", "source", "--metrics", "fidelity")
    assert done.exit_code == 3, done.output
    statuses = {m["metric"]: m["status"] for m in record_in(tmp_path / "counterproof-report")["measurements"]}
    assert statuses["fidelity.frechet_distance"] == "not_assessable"
    assert "error" not in statuses.values()


# -- features and images ----------------------------------------------------------------------------


def test_features_with_gaps(tmp_path: Path) -> None:
    good = np.random.default_rng(0).normal(size=(20, 3))
    np.save(tmp_path / "good.npy", good)
    good[7, 1] = np.nan
    np.save(tmp_path / "bad.npy", good)
    text = refused("run", "--real", tmp_path / "good.npy", "--synthetic", tmp_path / "bad.npy")
    assert "bad.npy: row 7" in text


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(shade).integers(0, 255, (8, 8), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def pictures(folder: Path, n: int, *, first: int = 0) -> Path:
    folder.mkdir()
    for i in range(n):
        (folder / f"{i:03}.png").write_bytes(png(first + i))
    return folder


def test_folders_without_images(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("nothing to see")
    text = refused("run", "--real", pictures(tmp_path / "real", 3), "--synthetic", tmp_path / "empty")
    assert "empty" in text
    assert "no images" in text


def test_a_truncated_image_is_named_and_more_than_one_in_a_hundred_refused(tmp_path: Path) -> None:
    real, made = pictures(tmp_path / "real", 100), pictures(tmp_path / "made", 100, first=100)
    (made / "017.png").write_bytes(png(117)[:40])
    arguments = ("run", "--real", real, "--synthetic", made, "--encoder", "pixels", *QUICK)
    assert called(*arguments).exit_code == 3
    assert "1 of 100 images cannot be read and were left out: '017.png'" in str(
        record_in(tmp_path / "counterproof-report")["manifest"]["roles"]
    )
    (made / "018.png").write_bytes(b"no image")
    assert "made: 2 of 100 images cannot be read: '017.png', '018.png'" in refused(*arguments)


def test_archives_from_strangers(tmp_path: Path) -> None:
    for name, entry, raw in (("out", "../evil.png", png(0)), ("bomb", "a.png", bytes(100 * 2**20))):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(entry, raw)
    real = pictures(tmp_path / "real", 3)
    assert "'../evil.png' points out of the zip" in refused("run", "--real", real, "--synthetic", tmp_path / "out.zip")
    assert "zip bomb" in refused("run", "--real", real, "--synthetic", tmp_path / "bomb.zip")
    assert not (tmp_path.parent / "evil.png").exists()


def test_encoders_and_devices_that_are_not_there(tmp_path: Path) -> None:
    import torch

    real = pictures(tmp_path / "real", 3)
    (tmp_path / "net.pt").write_bytes(b"rubbish")
    images = ("run", "--real", real, "--synthetic", real)
    assert "cannot be loaded as TorchScript" in refused(*images, "--encoder", tmp_path / "net.pt")
    assert "is no encoder" in refused(*images, "--encoder", "clip")
    given = saved(tmp_path, real=rows(30, 0), synthetic=rows(30, 1))
    assert "an encoder is for images" in refused("run", *given, "--encoder", "pixels")
    if not torch.cuda.is_available():
        for arguments in (images, ("run", *given)):
            assert "there is no CUDA device here" in refused(*arguments, "--device", "cuda")


def test_a_device_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, chosen in ((True, ["cuda", "cpu", "cuda"]), (False, ["cpu", "cpu"])):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=there: there)
        assert [device_for(name) for name in ("auto", "cpu", "cuda")[: len(chosen)]] == chosen
    with pytest.raises(Refusal, match="no CUDA device"):
        device_for("cuda")


# -- gates, metrics, records, folders ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--metrics", "fidelity.precison"), "no metric or family is called 'fidelity.precison'; nearest: fidelity"),
        (("--gate", "fidelity.precison >= 0.5"), "did you mean fidelity.precision"),
        (("--gate", "fidelity.precision >="), "gate, line 1, column"),
        (("--gate", "__import__('os') <= 1"), "gate, line 1, column"),
        (("--warn", "fidelity.precision ! 3"), "this has no meaning in a gate"),
        (("--seed", "-1"), "run.seed"),
        (("--seed", str(2**31)), "run.seed"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    done = called("run", *saved(tmp_path, real=rows(30, 0), synthetic=rows(30, 1)), *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.startswith("counterproof: ")
    assert not (tmp_path / "counterproof-report").exists(), "a refused audit leaves nothing behind"


def test_roles_that_make_no_audit(tmp_path: Path) -> None:
    given = saved(tmp_path, real=rows(30, 0), train=rows(30, 2))
    assert "synthetic" in refused("run", *given[:2])
    assert "'real' stands in place of" in refused("run", *given, "--synthetic", tmp_path / "real.csv")
    assert "give real rows" in refused("run", "--synthetic", tmp_path / "real.csv")
    assert "synthetic" in refused("run")


def test_out_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    given = saved(tmp_path, real=rows(30, 0), synthetic=rows(30, 1))
    text = refused("run", *given, "--out", tmp_path / "file" / "out")
    assert "file/out: cannot be written" in text
    assert "--out" in text
    assert "cannot be written" in refused("demo", "--out", tmp_path / "file" / "out")


def test_records_that_are_none(tmp_path: Path) -> None:
    assert "cannot be read" in refused("gate", tmp_path / "none.json")
    for content in ("", "[]", "{", json.dumps({"schema": "counterproof/record/2"}), "[" * 100_000):
        (tmp_path / "record.json").write_text(content)
        assert "is not a record of schema counterproof/record/1" in refused("gate", tmp_path / "record.json")
    (tmp_path / "record.json").write_bytes(b"\xff\xfe")
    assert "is not a record" in refused("gate", tmp_path / "record.json")


def test_names_of_metrics_and_releases() -> None:
    assert "nearest: utility.tstr" in refused("metrics", "show", "utility.tsr")
    assert "no release 'argn' ships" in refused("demo", "--release", "argn")


@pytest.mark.parametrize("arguments", [("run", "nothing.toml"), ("gate", "nothing.json"), ("run", "--frobnicate")])
def test_a_process_of_its_own_says_the_same(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = python("-c", MAIN, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert arguments[1].lstrip("-") in done.stderr


@pytest.mark.parametrize(("reach", "gap"), [(1e300, 1e-300), (1e200, 1.0), (5e-324, 1e300), (1.0, 1e-160)])
def test_rows_needed_never_overflows(reach: float, gap: float) -> None:
    estimate = Estimate(value=0.0, low=-reach, high=reach)
    found = rows_needed(estimate, gap, 100, 0.95, "lower")
    assert found is None or found == 101


# -- paths ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["run --real {0} --synthetic {1}", "run --real {1} --synthetic {0}", "run {0}", "gate {0}"]
)
@pytest.mark.parametrize("kind", ["pipe", "device", "long"])
def test_paths_that_are_no_files_are_refused_at_once(tmp_path: Path, where: str, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    rows(9, 0).to_csv(tmp_path / "good.csv", index=False)
    path = {"pipe": str(tmp_path / "pipe"), "device": "/dev/zero", "long": "a" * 300}[kind]
    text = refused(*(part.format(path, tmp_path / "good.csv") for part in where.split()))
    assert text.isprintable()
    words = {
        "pipe": "is a pipe or a device",
        "device": "is a pipe or a device",
        "long": "File name too long",
        "null": "a",
    }
    assert words[kind] in text


def test_a_path_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, **_: object) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    given = saved(tmp_path, real=rows(9, 0))
    monkeypatch.setattr(Path, "exists", denied)
    monkeypatch.setattr("counterproof.cli.output.check_writable", lambda folder: None)
    assert "real.csv: cannot be opened: Permission denied" in refused("run", *given, "--synthetic", "x.csv")


def test_too_little_memory_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 3.00 GiB for an array with shape (9,)")

    monkeypatch.setattr("counterproof.run.take_in", full)
    text = refused("run", *saved(tmp_path, real=rows(9, 0), synthetic=rows(9, 1)))
    assert text.startswith("there is not enough memory: Unable to allocate 3.00 GiB")
