"""Tables as they come: text, Parquet, Feather, JSON Lines and pandas frames, read but not yet understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather, json, parquet

from counterproof.inputs.csv_files import COMPRESSED, open_input, read_csv
from counterproof.inputs.forms import Form, form_of
from counterproof.inputs.read_options import DEFAULT, ReadOptions
from counterproof.refusal import Refusal, listed, refuse_stream

MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\x00", b"MM\x00*", b"P5", b"P6")
LAST_YEAR = 9999  # what Python's dates, and so every label of a figure, can say
TEXT = {".csv": "", ".tsv": "\t", ".txt": ""}  # endings of text tables, and the separator that they say
LINES = (".jsonl", ".ndjson")
READERS = (*TEXT, *LINES, ".parquet", ".pq", ".feather", ".arrow")
WIDEST_LIST = 1000  # fields that a list of a fixed size may become


@dataclass(frozen=True, eq=False)
class Table:
    """One role's table.

    Attributes:
        frame: Columns as they were read.
        source: Its name in sentences.
        typed: Whether the format says what a column is; a CSV does not.
        remarks: What was done to read it, in sentences.
        missing: Further words that mean missing.
    """

    frame: pd.DataFrame
    source: str
    typed: bool = True
    remarks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    forms: dict[str, Form] = field(default_factory=dict, repr=False)

    def form(self, name: str) -> Form:
        """A column as it is stored, worked out once."""
        if name not in self.forms:
            self.forms[name] = self._form(name)
        return self.forms[name]

    def _form(self, name: str) -> Form:
        """The column as it is stored.

        Raises:
            Refusal: It holds dates that no calendar of Python's has.
        """
        try:
            form = form_of(self.frame[name], typed=self.typed, missing=self.missing)
        except (ValueError, OverflowError) as error:
            raise Refusal(f"{self.source}: {_unreadable_column(name, error)}") from None
        if form.sort == "datetime":
            years = form.present.dt.year
            outside = years[(years < 1) | (years > LAST_YEAR)]
            if len(outside):
                raise Refusal(
                    f"{self.source}: column {name!r} has a date outside of the years 1 to {LAST_YEAR} in row "
                    f"{outside.index[0]} (the first row is 0); mend it, or leave it empty"
                )
        return form


def table_of(frame: pd.DataFrame, source: str = "DataFrame", options: ReadOptions = DEFAULT) -> Table:
    """A pandas frame; it is never changed.

    Raises:
        Refusal: It has no rows, no columns, or two columns of one name.
    """
    columns = [str(name).encode("utf-8", "backslashreplace").decode("utf-8") for name in frame.columns]
    _refuse_shape(columns, len(frame), source)
    plain = frame.set_axis(columns, axis=1).reset_index(drop=True)
    return Table(plain, source, missing=options.missing)


def read_table(path: Path, options: ReadOptions = DEFAULT) -> Table:
    """A table from a file.

    Raises:
        Refusal: The file is missing, empty, of an unknown kind, or cannot be read as a table.
    """
    refuse_missing(path)
    suffix = path.suffix.lower()
    packed = suffix in COMPRESSED
    kind = Path(path.stem).suffix.lower() if packed else suffix
    if kind not in READERS or (packed and kind not in (*TEXT, *LINES)):
        known = ", ".join(READERS)
        raise Refusal(f"{path}: {suffix or 'a file without extension'} is no table format; use {known}")
    if kind in TEXT:
        frame, remarks = read_csv(path, TEXT[kind], options)
        _refuse_shape(list(frame.columns), len(frame), str(path))
        return Table(frame, str(path), typed=False, remarks=remarks, missing=options.missing)
    try:
        if kind in (".parquet", ".pq"):
            names = parquet.read_schema(path).names
            _refuse_shape(names, 1, str(path))
            table = parquet.ParquetFile(path).read()
        elif kind in LINES:
            with open_input(path) as stream:
                table = json.read_json(stream, json.ReadOptions(block_size=1 << 24))
        else:
            table = feather.read_table(path)
        _refuse_shape(table.column_names, table.num_rows, str(path))
        table.validate(full=True)  # a damaged file may point beyond its own bytes
        flat = _flattened(table, str(path))
        _refuse_shape(flat.column_names, flat.num_rows, str(path))
        frame = _frame(flat, str(path))
    except Refusal:
        raise
    except Exception as error:  # damage fails as whatever pyarrow makes of it
        raise Refusal(f"{path}: cannot be read as {kind[1:]}: {first_line(error)}") from None
    made = [name for name in flat.column_names if name not in table.column_names]
    remarks = (f"nested columns became {listed(made)}",) if made else ()
    return Table(frame, str(path), remarks=remarks, missing=options.missing)


def _flattened(table: pa.Table, source: str) -> pa.Table:
    """Structs and lists of a fixed size as columns of their own, named by their parts.

    Raises:
        Refusal: A column holds lists of any length or maps, whose parts have no names.
    """
    columns: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_struct(kind):
            parts = pa.table(column.flatten(), [f"{name}.{kind.field(k).name}" for k in range(kind.num_fields)])
            columns |= dict(zip(parts.column_names, parts.columns, strict=True))
        elif pa.types.is_fixed_size_list(kind) and kind.list_size <= WIDEST_LIST:
            for k in range(kind.list_size):
                columns[f"{name}.{k}"] = pc.list_element(column, k)
        elif pa.types.is_nested(kind):
            what = "maps" if pa.types.is_map(kind) else "lists"
            raise Refusal(
                f"{source}: column {name!r} holds {what}, which are no single values; drop it, or make columns of them"
            )
        elif pa.types.is_timestamp(kind) and kind.tz is not None:  # an instant, whether or not the zone is known
            columns[name] = column.cast(pa.timestamp(kind.unit, tz="UTC"))
        else:
            columns[name] = column
    flat = pa.table(columns)
    return _flattened(flat, source) if any(pa.types.is_nested(column.type) for column in flat.columns) else flat


def _frame(table: pa.Table, source: str) -> pd.DataFrame:
    """The table in pandas; a column that cannot be converted, such as dates beyond Python's calendar, is refused."""
    try:
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    except (ValueError, OverflowError) as whole:  # pyarrow's own errors of values are ValueErrors too
        for name, column in zip(table.column_names, table.columns, strict=True):
            try:
                column.to_pandas()
            except (ValueError, OverflowError) as error:
                raise Refusal(f"{source}: {_unreadable_column(name, error)}") from None
        raise Refusal(f"{source}: cannot be read as a table ({type(whole).__name__})") from None
    return frame


def _unreadable_column(name: str, error: BaseException) -> str:
    """A column that pandas cannot hold; the library's own message may quote a record, so it is left out."""
    said = str(error).lower()
    if "int too large" in said or "int too big" in said:
        why = "; a whole number in it is too large to be one: store such numbers as text"
    else:
        why = f" ({type(error).__name__}); dates must lie in the years 1 to {LAST_YEAR}"
    return f"column {name!r} cannot be read{why}"


def refuse_missing(path: Path) -> None:
    """Refuse a path that is not there, or an empty file.

    Raises:
        Refusal: As said.
    """
    try:
        if not path.exists():
            raise Refusal(f"{path}: no such file or folder")
        refuse_stream(path)
        if path.is_file() and path.stat().st_size == 0:
            raise Refusal(f"{path}: the file is empty")
    except OSError as error:
        raise Refusal(f"{path}: cannot be opened: {error.strerror}") from None


def first_line(error: BaseException) -> str:
    """The first line of another library's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _refuse_shape(columns: list[str], rows: int, source: str) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise Refusal(f"{source}: column names must differ, but {listed(twice)} stands there more than once")
    if not columns:
        raise Refusal(f"{source}: the table has no columns")
    if not rows:
        raise Refusal(f"{source}: the table has no rows")


# -- images in Parquet ------------------------------------------------------------------------------


def holds_images(path: Path) -> bool:
    """Whether a Parquet file has a column of encoded images."""
    if path.suffix.lower() not in (".parquet", ".pq") or not path.is_file():
        return False
    try:
        return image_column(parquet.ParquetFile(path)) is not None
    except Exception:  # damage fails as whatever pyarrow makes of it
        return False  # reading it as a table says what is wrong with it


def image_column(file: parquet.ParquetFile) -> str | None:
    """The column of encoded images: a struct with ``bytes`` as in Hugging Face data sets, or bytes of an image."""
    fields = list(file.schema_arrow)
    structs = [field.name for field in fields if pa.types.is_struct(field.type) and _has_bytes(field.type)]
    binary = [field.name for field in fields if _is_binary(field.type)]
    found = structs + [name for name in binary if _first_value(file, name).startswith(MAGIC)]
    return "image" if "image" in found else next(iter(found), None)


def _has_bytes(kind: pa.StructType) -> bool:
    return any(part.name == "bytes" and _is_binary(part.type) for part in kind)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _first_value(file: parquet.ParquetFile, name: str) -> bytes:
    for batch in file.iter_batches(batch_size=64, columns=[name]):
        value = next((one for one in batch.column(0).to_pylist() if one), None)
        if value is not None:
            return bytes(value)
    return b""
