"""Tables as they come: CSV, Parquet, Feather and pandas frames, read but not yet understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv, feather, parquet

from counterproof.inputs.columns import Form, form_of
from counterproof.refusal import Refusal, listed, refuse_stream

MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\x00", b"MM\x00*", b"P5", b"P6")
LAST_YEAR = 9999  # what Python's dates, and so every label of a figure, can say
READERS = (".csv", ".tsv", ".parquet", ".pq", ".feather", ".arrow")


@dataclass(frozen=True, eq=False)
class Table:
    """One role's table.

    Attributes:
        frame: Columns as they were read.
        source: Its name in sentences.
        typed: Whether the format says what a column is; a CSV does not.
    """

    frame: pd.DataFrame
    source: str
    typed: bool = True
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
            form = form_of(self.frame[name])
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


def table_of(frame: pd.DataFrame, source: str = "DataFrame") -> Table:
    """A pandas frame; it is never changed.

    Raises:
        Refusal: It has no rows, no columns, or two columns of one name.
    """
    columns = [str(name).encode("utf-8", "backslashreplace").decode("utf-8") for name in frame.columns]
    _refuse_shape(columns, len(frame), source)
    plain = frame.set_axis(columns, axis=1).reset_index(drop=True)
    return Table(plain, source)


def read_table(path: Path) -> Table:
    """A table from a file.

    Raises:
        Refusal: The file is missing, empty, of an unknown kind, or cannot be read as a table.
    """
    refuse_missing(path)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise Refusal(f"{path}: {suffix or 'a file without extension'} is no table format; use {', '.join(READERS)}")
    if suffix in (".csv", ".tsv"):
        return _read_csv(path, "\t" if suffix == ".tsv" else None)
    try:
        if suffix in (".parquet", ".pq"):
            names = parquet.read_schema(path).names
            _refuse_shape(names, 1, str(path))
            table = parquet.ParquetFile(path).read()
        else:
            table = feather.read_table(path)
        _refuse_shape(table.column_names, table.num_rows, str(path))
        frame = _frame(table, str(path))
    except Refusal:
        raise
    except Exception as error:  # damage fails as whatever pyarrow makes of it
        raise Refusal(f"{path}: cannot be read as {suffix[1:]}: {first_line(error)}") from None
    return Table(frame, str(path))


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
    return f"column {name!r} cannot be read ({type(error).__name__}); dates must lie in the years 1 to {LAST_YEAR}"


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


def _read_csv(path: Path, delimiter: str | None) -> Table:
    """All cells as text: the kind of a column is decided later, once, on the real data, for all roles."""
    ragged: list[Any] = []

    def keep_first(row: Any) -> str:
        ragged.append(row)
        return "error"

    names, delimiter = _header(path, delimiter)
    _refuse_shape(names, 1, str(path))
    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep_first)
    convert = csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=True, quoted_strings_can_be_null=True
    )
    # one thread and one block: only then does the reader know the number of a ragged row
    read = csv.ReadOptions(use_threads=False)
    try:
        table = csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        if ragged:
            row = ragged[0]
            where = f"line {row.number}" if row.number is not None else "one row"
            raise Refusal(
                f"{path}: {where} has {row.actual_columns} fields where the header has {row.expected_columns}"
            ) from None
        raise Refusal(f"{path}: cannot be read as CSV: {first_line(error)}") from None
    _refuse_shape(table.column_names, table.num_rows, str(path))
    frame = pd.DataFrame({n: pd.Series(table.column(n).to_pylist(), dtype=object) for n in table.column_names})
    return Table(frame, str(path), typed=False)


def _header(path: Path, delimiter: str | None) -> tuple[list[str], str]:
    """Column names, and the delimiter that splits them best."""
    import csv as plain

    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            head = lines.readline(1 << 20)
            if delimiter is None:
                delimiter = max(",;\t|", key=head.count) if head.strip() else ","
            lines.seek(0)
            return next(iter(plain.reader(lines, delimiter=delimiter)), []), delimiter
    except UnicodeDecodeError:
        raise Refusal(f"{path}: the text is not UTF-8; save it as UTF-8") from None
    except (OSError, plain.Error) as error:
        raise Refusal(f"{path}: cannot be read as CSV: {first_line(error)}") from None


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
