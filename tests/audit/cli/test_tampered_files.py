"""500 files that were cut, flipped or nested: each is read, or refused in one sentence with exit code 2."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.cli import called, rows
from helpers.sample_tables import census_record
from PIL import Image

from counterproof.refusal import Refusal

EACH = 42 * (50 if os.environ.get("COUNTERPROOF_FUZZ") else 1)
READ = "everything was read"


@pytest.fixture(autouse=True)
def reading_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit ends where all roles are read and encoded."""

    def stop(*_: object) -> None:
        raise Refusal(READ)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("counterproof.run.set_bench", stop)


# -- whole files ------------------------------------------------------------------------------------


def table(path: Path) -> None:
    frame = rows(40, 0, when=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(40), unit="D"))
    writers: dict[str, Callable[[], object]] = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        ".parquet": lambda: frame.to_parquet(path),
        ".feather": lambda: frame.to_feather(path),
    }
    writers[path.suffix]()


def pixels() -> Any:
    return np.random.default_rng(0).integers(0, 255, (12, 8, 8, 3), dtype=np.uint8)


def png(image: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def arrays(path: Path) -> None:
    if path.suffix == ".npy":
        np.save(path, pixels())
    else:
        np.savez_compressed(path, images=pixels(), labels=np.arange(12) % 2)


def packed(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for at, image in enumerate(pixels()):
            made.writestr(f"{at:02d}.png", png(image))
        made.writestr("metadata.csv", "file_name,label\n" + "".join(f"{at:02d}.png,{at % 2}\n" for at in range(12)))


def images_in_parquet(path: Path) -> None:
    pd.DataFrame({"image": [{"bytes": png(image), "path": "x"} for image in pixels()]}).to_parquet(path)


FORMATS: dict[str, Callable[[Path], None]] = {
    "t.csv": table,
    "t.tsv": table,
    "t.parquet": table,
    "t.feather": table,
    "a.npy": arrays,
    "a.npz": arrays,
    "i.zip": packed,
    "i.parquet": images_in_parquet,
}


def tampered(whole: bytes, rng: np.random.Generator) -> bytes:
    """The bytes cut, flipped, overwritten, repeated, or others altogether; the ends most, where headers stand."""
    raw = bytearray(whole)
    kind = rng.integers(6)
    if kind == 0:
        return bytes(raw[: rng.integers(len(raw))])
    if kind == 1:
        return rng.bytes(int(rng.integers(0, 200)))
    if kind == 2:
        at = int(rng.integers(len(raw)))
        return bytes(raw[:at] + raw[max(0, at - 40) :])
    near = rng.integers(0, min(200, len(raw)), int(rng.integers(1, 12)))
    places = {3: near, 4: len(raw) - 1 - near, 5: rng.integers(0, len(raw), int(rng.integers(1, 30)))}[int(kind)]
    for place in places:
        raw[place] = int(rng.integers(256))
    return bytes(raw)


def one_sentence(arguments: tuple[object, ...]) -> str:
    """The sentence of a command that refused."""
    done = called(*arguments)
    assert done.exit_code == 2, done.output
    *stages, line = done.stderr.splitlines()
    assert all(text.endswith(" s") for text in stages), done.stderr
    assert line.startswith("counterproof: ")
    assert "Traceback" not in line
    assert len(line) < 1000
    return line.removeprefix("counterproof: ")


@pytest.mark.parametrize("name", FORMATS)
def test_tampered_inputs(tmp_path: Path, name: str) -> None:
    good, bad = tmp_path / f"good-{name}", tmp_path / f"bad-{name}"
    FORMATS[name](good)
    whole = good.read_bytes()
    encoder = () if name.startswith("t.") else ("--encoder", "pixels")
    assert one_sentence(("run", "--real", good, "--synthetic", good, *encoder)) == READ
    rng = np.random.default_rng(len(name))
    refused = 0
    for at in range(EACH):
        bad.write_bytes(tampered(whole, rng))
        said = one_sentence(("run", "--real", good, "--synthetic", bad, *encoder))
        refused += said != READ
        assert "allow_pickle" not in said, at
    assert refused > EACH / 4, "tampering is noticed"


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
def test_tampered_metadata(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for at, image in enumerate(pixels()):
        (folder / f"{at:02d}.png").write_bytes(png(image))
    good = folder.rename(tmp_path / "good")
    frame = pd.DataFrame({"file_name": [f"{at:02d}.png" for at in range(12)], "label": list("ab") * 6})
    path = good / name
    if name.endswith(".csv"):
        frame.to_csv(path, index=False)
    elif name.endswith(".jsonl"):
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(len(name))
    for _ in range(EACH // 3):
        path.write_bytes(tampered(whole, rng))
        one_sentence(("run", "--real", good, "--synthetic", good, "--encoder", "pixels"))


def test_tampered_configurations(tmp_path: Path) -> None:
    table(tmp_path / "t.csv")
    whole = (
        b'[data]\nreal = "t.csv"\nsynthetic = "t.csv"\nlabel = "y"\n[run]\nseed = 1\n[gates]\nfail = ["leakage <= 1"]\n'
    )
    path = tmp_path / "audit.toml"
    rng = np.random.default_rng(0)
    for _ in range(EACH):
        path.write_bytes(tampered(whole, rng))
        done = called("run", path)
        assert done.exit_code == 2, done.output
        assert "Traceback" not in done.stderr


# -- records ----------------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a record; of long lists only the first entries."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, one in inside:
        yield from places(one, (*path, key))


ODD = [None, 0, -1, 2, 1e308, float("inf"), float("nan"), "", "x", "\x00", [], {}, [[]], {"a": 1}, True, 10**400, -5]


def altered(text: str, rng: np.random.Generator) -> str:
    """A record with something odd at one place."""
    plain = json.loads(text)
    every = list(places(plain))[1:]
    *above, last = every[rng.integers(len(every))]
    at = plain
    for key in above:
        at = at[key]
    at[last] = ODD[rng.integers(len(ODD))]
    return json.dumps(plain)


def test_tampered_records(tmp_path: Path) -> None:
    whole = census_record()
    kept = [reading for reading in whole.measurements if reading.status == "measured"]
    sound = [gate for gate in whole.gates if gate.metric == "fidelity.detectability"]
    text = whole.model_copy(update={"measurements": kept, "gates": sound}).to_json()
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    assert called("gate", path).exit_code in (0, 1, 3)
    rng = np.random.default_rng(0)
    refused = 0
    for at in range(2 * EACH):
        made = altered(text, rng) if at % 3 else tampered(text.encode(), rng)
        path.write_bytes(made.encode() if isinstance(made, str) else made)
        done = called("gate", path, *(("--out", tmp_path / "out") if at % 2 else ()))
        assert done.exit_code in (0, 1, 2, 3), done.output
        assert "Traceback" not in done.output
        refused += done.exit_code == 2
        if done.exit_code == 2:
            assert done.stderr.startswith("counterproof: ")
            assert done.stdout == ""
    assert refused > EACH


@pytest.mark.parametrize(
    "made",
    [
        lambda plain: plain["measurements"][0].update(level=2),
        lambda plain: plain["measurements"][0].update(level=0),
        lambda plain: plain["measurements"][0].update(value=float("inf")),
        lambda plain: plain["manifest"]["config"].update(run={"confidence": 1.5}),
        lambda plain: plain["manifest"]["config"].update(run={"confidence": True}),
    ],
)
def test_records_with_impossible_numbers_name_the_place(tmp_path: Path, made: Callable[[Any], None]) -> None:
    plain = json.loads(census_record().to_json())
    made(plain)
    path = tmp_path / "record.json"
    path.write_text(json.dumps(plain), encoding="utf-8")
    said = one_sentence(("gate", path))
    assert "measurements.0." in said or "configuration that is not valid" in said


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "{}", "[]", "null", "\ufeff{}", ""])
def test_what_is_no_record_is_said_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    assert "is not a record of schema counterproof/record/1" in one_sentence(("gate", path))
