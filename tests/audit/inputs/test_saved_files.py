"""Tables are read as people save them: encodings, separators, first lines, row names, compression, nested columns."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.field_tables import Frames, three, written
from pyarrow import parquet

from counterproof.inputs.read_options import ReadOptions
from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in
from counterproof.refusal import Refusal

N = 200
NAMES = ("Zürich", "Málaga", "Århus", "Łódź")


@pytest.fixture(scope="module")
def frames() -> Frames:
    return {role: frame.drop(columns="joined") for role, frame in three(N).items()}


@pytest.fixture(scope="module")
def plain(frames: Frames) -> Intake:
    return take_in(frames, label="label")


def same(found: Intake, plain: Intake) -> None:
    assert found.corpus.kinds == plain.corpus.kinds
    assert np.array_equal(found.corpus.features, plain.corpus.features)


def refusal(sources: Any, **options: Any) -> str:
    with pytest.raises(Refusal) as caught:
        take_in(sources, **options)
    return str(caught.value)


def encoded(frames: Frames, folder: Path, encoding: str) -> dict[str, Path]:
    named = {
        r: f.assign(city=f["city"].map(dict(zip(("Oslo", "Lima", "Riga", "Bonn"), NAMES, strict=True))))
        for r, f in frames.items()
    }
    if encoding in ("latin-1", "cp1252", "iso8859-15"):
        named = {role: frame.replace("Łódź", "Köln") for role, frame in named.items()}
    return written(named, folder, encoding=encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig", "iso8859-15"])
def test_an_encoding_is_read_where_it_is_named(frames: Frames, tmp_path: Path, encoding: str) -> None:
    found = take_in(encoded(frames, tmp_path, encoding), reading=ReadOptions(encoding=encoding))
    assert found.corpus.frame is not None
    assert {"Zürich", "Málaga"} < set(found.corpus.frame["city"])
    assert not found.findings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_unicode_is_recognised_by_its_bytes(frames: Frames, tmp_path: Path, encoding: str) -> None:
    found = take_in(encoded(frames, tmp_path, encoding))
    assert found.corpus.frame is not None
    assert set(found.corpus.frame["city"]) == set(NAMES)
    assert len([text for text in found.findings if "utf-16" in text]) == 3 * ("utf-16" in encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_other_encodings_are_detected_with_a_remark(frames: Frames, tmp_path: Path, encoding: str) -> None:
    pytest.importorskip("charset_normalizer")
    found = take_in(encoded(frames, tmp_path, encoding))
    assert found.corpus.frame is not None
    assert set(found.corpus.frame["city"]) == {"Zürich", "Málaga", "Århus", "Köln"}
    assert any("the text is no UTF-8 and was detected as" in text for text in found.findings)


def test_a_wrong_encoding_is_refused(frames: Frames, tmp_path: Path) -> None:
    sources = encoded(frames, tmp_path, "latin-1")
    assert "the text is not utf-8" in refusal(sources, reading=ReadOptions(encoding="utf-8"))
    assert "'klingon' is no encoding" in refusal(sources, reading=ReadOptions(encoding="klingon"))


def test_bytes_that_are_no_utf8_late_in_the_file_are_found(tmp_path: Path) -> None:
    lines = ["a,b", *(f"{k},{k % 7}" for k in range(300_000)), "x\xff,1"]
    path = tmp_path / "a.csv"
    path.write_bytes("\n".join(lines).encode("latin-1"))
    assert "the text is not utf-8" in refusal({"real": path, "synthetic": path}, reading=ReadOptions(encoding="utf-8"))


# -- layout -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_separators_are_recognised(frames: Frames, plain: Intake, tmp_path: Path, separator: str) -> None:
    same(take_in(written(frames, tmp_path, sep=separator), label="label"), plain)


def test_a_separator_that_also_stands_in_names_is_recognised(frames: Frames, tmp_path: Path) -> None:
    renamed = {role: frame.rename(columns={"pay": "pay, gross, in €, a year"}) for role, frame in frames.items()}
    found = take_in(written(renamed, tmp_path, sep=";"))
    assert "pay, gross, in €, a year" in found.corpus.kinds


def test_a_separator_can_be_named(frames: Frames, plain: Intake, tmp_path: Path) -> None:
    same(take_in(written(frames, tmp_path, sep="^"), label="label", reading=ReadOptions(separator="^")), plain)


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\r\n', "SEP=;\n"])
def test_a_line_that_names_the_separator_is_no_header(
    frames: Frames, plain: Intake, tmp_path: Path, first: str
) -> None:
    sources = written(frames, tmp_path, sep=";")
    for path in sources.values():
        path.write_text(first + path.read_text())
    same(take_in(sources, label="label"), plain)


@pytest.mark.parametrize("index", ["pandas", "shuffled", "from one", "row names", "named"])
def test_the_number_of_the_row_is_no_column(frames: Frames, plain: Intake, tmp_path: Path, index: str) -> None:
    for role, frame in frames.items():
        numbers = np.random.default_rng(1).permutation(9 * N)[:N] if index == "shuffled" else np.arange(N)
        at = pd.Index(numbers + (index in ("from one", "row names")), name={"named": "index"}.get(index))
        frame.set_axis(at, axis=0).to_csv(tmp_path / f"{role}.csv", index_label=None)
        path = tmp_path / f"{role}.csv"
        if index == "row names":  # as R's write.table has it: a field less in the header
            path.write_text(path.read_text().removeprefix(","))
    sources = {role: tmp_path / f"{role}.csv" for role in frames}
    if index == "shuffled":
        for path in sources.values():
            path.write_text("Unnamed: 0" + path.read_text())
    found = take_in(sources, label="label")
    same(found, plain)
    assert sum("is the number of the row: left out" in text for text in found.findings) == 3


def test_the_index_of_parquet_is_no_column(frames: Frames, plain: Intake, tmp_path: Path) -> None:
    sources = {role: tmp_path / f"{role}.parquet" for role in frames}
    for role, frame in frames.items():
        frame.set_axis(np.random.default_rng(0).permutation(N), axis=0).to_parquet(sources[role])
    same(take_in(sources, label="label"), plain)


def test_a_first_line_of_data_asks_for_the_option(frames: Frames, tmp_path: Path) -> None:
    sources = written(frames, tmp_path, header=False)
    text = refusal(sources)
    assert "the first line looks like data" in text
    assert "--no-header" in text
    found = take_in(sources, label="column_6", reading=ReadOptions(header=False))
    assert len(found.roles["train"]) == N
    assert list(found.corpus.kinds) == [f"column_{k}" for k in range(1, 7)]


@pytest.mark.parametrize(
    "columns",
    [
        {"country": ["NO", "PE", "LV"], **{str(year): [1.5, 2.5, 3.5] for year in range(1990, 2000)}},
        {"a": ["x", "y", "x"], "b": ["u", "v", "w"]},
        {"label": [0, 1, 1], **{str(k): [0, 255, 3] for k in range(9)}},
        {"1": ["x", "y", "z"], "2": ["x", "y", "z"]},
    ],
)
def test_a_header_is_not_taken_for_data(tmp_path: Path, columns: dict[str, Any]) -> None:
    frame = pd.DataFrame({name: np.resize(np.array(values), 60) for name, values in columns.items()})
    sources = written({"real": frame, "synthetic": frame}, tmp_path)
    assert list(take_in(sources).corpus.kinds) == list(columns)


def test_names_that_differ_by_case_or_spaces_are_matched(frames: Frames, plain: Intake) -> None:
    renamed = {
        **frames,
        "holdout": frames["holdout"].rename(columns=str.upper),
        "synthetic": frames["synthetic"].rename(columns={"pay": " Pay ", "label": "Label"}),
    }
    found = take_in(renamed, label="label")
    same(found, plain)
    assert not found.corpus.schema
    assert "column ' Pay ' of synthetic is taken for 'pay': the names differ by case or spaces alone" in found.findings
    twice = {**frames, "synthetic": frames["synthetic"].assign(**{"PAY": 1, "Pay": 2}).drop(columns="pay")}
    assert any(one.column == "pay" and one.fails for one in take_in(twice).corpus.schema)  # which of them is it?


# -- compression and other formats -----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst", ".csv.bz2", ".tsv.gz"])
def test_compressed_text_is_read(frames: Frames, plain: Intake, tmp_path: Path, suffix: str) -> None:
    sources = {role: tmp_path / f"{role}{suffix}" for role in frames}
    kind = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}[Path(suffix).suffix]
    for role, frame in frames.items():
        text = frame.to_csv(index=False, sep="\t" if "tsv" in suffix else ",")
        with pa.output_stream(sources[role], compression=kind) as out:
            out.write(text.encode())
    same(take_in(sources, label="label"), plain)


def test_what_is_no_compressed_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(b"a,b\n1,2\n")
    assert str(path) in refusal({"real": path, "synthetic": path})
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:40])
    assert str(path) in refusal({"real": path, "synthetic": path})
    other = tmp_path / "a.parquet.gz"
    other.write_bytes(b"x")
    assert "is no table format" in refusal({"real": other, "synthetic": other})


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".jsonl.gz"])
def test_json_lines_are_read(frames: Frames, plain: Intake, tmp_path: Path, suffix: str) -> None:
    sources = {role: tmp_path / f"{role}{suffix}" for role in frames}
    for role, frame in frames.items():
        lines = "".join(json.dumps(row) + "\n" for row in frame.to_dict("records"))
        with pa.output_stream(sources[role], compression="gzip" if suffix.endswith("gz") else None) as out:
            out.write(lines.encode())
    same(take_in(sources, label="label"), plain)
    sources["train"].write_bytes(b'{"a": 1}\n{"a": \n')
    assert "train" in refusal(sources)


def test_columns_of_parquet_become_plain(frames: Frames, plain: Intake, tmp_path: Path) -> None:
    sources = {role: tmp_path / f"{role}.parquet" for role in frames}
    for role, frame in frames.items():
        table = pa.Table.from_pandas(frame, preserve_index=False)
        for name in ("sex", "city"):
            at = table.column_names.index(name)
            table = table.set_column(at, name, table.column(name).dictionary_encode())
        cents = pa.array([Decimal(f"{v:.2f}") for v in frame["pay"]], pa.decimal128(12, 2))
        parquet.write_table(table.set_column(table.column_names.index("pay"), "pay", cents), sources[role])
    same(take_in(sources, label="label"), plain)


def nested(frames: Frames, folder: Path, column: pa.Array) -> dict[str, Path]:
    sources = {role: folder / f"{role}.parquet" for role in frames}
    for role, frame in frames.items():
        parquet.write_table(pa.Table.from_pandas(frame).append_column("home", column), sources[role])
    return sources


def test_structs_and_lists_of_one_size_become_columns(frames: Frames, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    place = pa.array([{"town": "Oslo" if k % 2 else "Riga", "at": {"x": float(k)}} for k in range(N)])
    found = take_in(nested(frames, tmp_path, place))
    assert {"home.town": "category", "home.at.x": "number"}.items() <= found.corpus.kinds.items()
    vector = pa.FixedSizeListArray.from_arrays(pa.array(rng.normal(size=3 * N)), 3)
    assert {"home.0", "home.2"} < set(take_in(nested(frames, tmp_path, vector)).corpus.kinds)


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pa.array([[1.0] * (k % 3) for k in range(N)]), "lists"),
        (pa.array([[("k", 1)]] * N, pa.map_(pa.string(), pa.int64())), "maps"),
        (pa.array([{"tags": ["a"]}] * N), "lists"),
    ],
)
def test_lists_and_maps_are_refused_by_name(frames: Frames, tmp_path: Path, column: pa.Array, what: str) -> None:
    text = refusal(nested(frames, tmp_path, column))
    assert "column 'home" in text
    assert what in text
