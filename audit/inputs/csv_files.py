"""Text tables as people save them: encodings, separators, first lines, compression and row names."""

from __future__ import annotations

import csv as plain
import itertools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from counterproof.inputs.forms import MISSING
from counterproof.inputs.read_options import ReadOptions
from counterproof.refusal import Refusal, listed

COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
HEAD = 1 << 20  # bytes in which the separator and the header are looked for
SAMPLE = 50  # rows of them
ALIKE = 0.02  # so much the detector's measure of disorder differs by chance; its measure of language by five times it
DELIMITERS = ",;\t|"
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*\r?\n', re.IGNORECASE)
NUMBER = re.compile(r"\s*[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?\s*")


@dataclass(frozen=True)
class _Layout:
    """How a text file is laid out."""

    encoding: str
    delimiter: str
    names: list[str]
    skipped: int  # lines before the names
    has_names: bool
    remarks: tuple[str, ...]


def open_input(path: Path) -> pa.NativeFile:
    """The file's bytes, without their compression.

    Raises:
        OSError: It cannot be opened.
    """
    return pa.input_stream(str(path), compression=COMPRESSED.get(path.suffix.lower()))


def read_csv(path: Path, delimiter: str, options: ReadOptions) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """All cells as text, and remarks: the kind of a column is decided later, once, on the real data, for all roles.

    Args:
        path: Of the file.
        delimiter: That its ending says, empty where it says none.
        options: What the user said.

    Raises:
        Refusal: It cannot be read as a table.
    """
    layout = _layout(path, delimiter, options)
    twice = [name for name, count in Counter(layout.names).items() if count > 1]
    if twice:
        raise Refusal(f"{path}: column names must differ, but {listed(sorted(twice))} stands there more than once")
    try:
        table = _table(path, layout, threads=True)
    except (pa.ArrowException, OSError, UnicodeError):
        table = _table_or_refusal(path, layout)
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame, layout.remarks


def _table_or_refusal(path: Path, layout: _Layout) -> pa.Table:
    """Read again by one thread in one block: only then does the reader know the number of a ragged row."""
    ragged: list[Any] = []
    try:
        return _table(path, layout, threads=False, ragged=ragged)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        if ragged:
            row = ragged[0]
            where = f"line {row.number}" if row.number is not None else "one row"
            raise Refusal(
                f"{path}: {where} has {row.actual_columns} fields where the header has {row.expected_columns}"
            ) from None
        if "UTF8" in str(error) or isinstance(error, UnicodeError):
            raise Refusal(f"{path}: {_not_text(layout.encoding)}") from None
        raise Refusal(f"{path}: cannot be read as CSV: {_first_line(error)}") from None


def _not_text(encoding: str) -> str:
    return (
        f"the text is not {encoding}; save it as UTF-8, or name its encoding: "
        'encoding = "latin-1" under [data.read], or --encoding latin-1'
    )


def _table(path: Path, layout: _Layout, *, threads: bool, ragged: list[Any] | None = None) -> pa.Table:
    def keep_first(row: Any) -> str:
        if ragged is not None:
            ragged.append(row)
        return "error"

    parse = csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=keep_first)
    convert = csv.ConvertOptions(
        column_types={name: pa.string() for name in layout.names},
        null_values=MISSING,
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    own_names = {} if layout.has_names else {"column_names": layout.names}
    encoding = "utf8" if layout.encoding in ("utf-8", "utf-8-sig") else layout.encoding
    read = csv.ReadOptions(use_threads=threads, skip_rows=layout.skipped, encoding=encoding, **own_names)
    with open_input(path) as stream:
        return csv.read_csv(stream, read_options=read, parse_options=parse, convert_options=convert)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


# -- layout ---------------------------------------------------------------------------------------------


def _layout(path: Path, delimiter: str, options: ReadOptions) -> _Layout:
    try:
        with open_input(path) as stream:
            head = stream.read(HEAD)
            whole = len(head) < HEAD
        encoding, remarks = _encoding(path, head, options)
        text = _decoded(path, head, encoding, whole=whole)
        skipped = 0
        if told := SEPARATOR_LINE.match(text):
            skipped, text, delimiter = 1, text[told.end() :], told[1]
        if options.separator != "auto":
            delimiter = options.separator
        delimiter = delimiter or _delimiter(text)
        rows = _rows(text, delimiter, whole=whole)
    except plain.Error as error:
        raise Refusal(f"{path}: cannot be read as CSV: {_first_line(error)}") from None
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{path}: cannot be read: {_first_line(error)}") from None
    names = rows[0] if rows else []
    if options.header is False:
        names = [f"column_{k + 1}" for k in range(len(names))]
        return _Layout(encoding, delimiter, names, skipped, has_names=False, remarks=remarks)
    if options.header == "auto" and _is_data(rows):
        raise Refusal(
            f"{path}: the first line looks like data, so the columns have no names; add a line with their names, or "
            "say whether it holds names: header = false (or true) under [data.read], or --no-header (or --header)"
        )
    if len(rows) > 1 and all(len(row) == len(names) + 1 for row in rows[1:]):
        remark = "the lines have a field more than the header: the first is taken for the names of the rows"
        return _Layout(encoding, delimiter, ["", *names], skipped + 1, has_names=False, remarks=(*remarks, remark))
    return _Layout(encoding, delimiter, names, skipped, has_names=True, remarks=remarks)


def _encoding(path: Path, head: bytes, options: ReadOptions) -> tuple[str, tuple[str, ...]]:
    """The encoding as it is said, marked, valid or detected."""
    if options.encoding != "auto":
        try:
            "".encode(options.encoding)
        except LookupError:
            raise Refusal(
                f"{options.encoding!r} is no encoding of text; use utf-8, latin-1, cp1252, utf-16, …"
            ) from None
        return options.encoding, ()
    for mark, encoding in MARKS:
        if head.startswith(mark):
            remark = () if encoding == "utf-8-sig" else (f"the text is read as {encoding}, by its byte-order mark",)
            return encoding, remark
    if head[:200].count(0) > len(head[:200]) // 4:  # every second byte of UTF-16
        encoding = "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
        return encoding, (f"the text is read as {encoding}, as its bytes show",)
    if _is_utf8(path):
        return "utf-8", ()
    if b"\0" in head:  # no text but UTF-16 and UTF-32 holds that byte
        raise Refusal(f"{path}: {_not_text('UTF-8')}")
    encoding = _detected(path)
    return encoding, (f"the text is no UTF-8 and was detected as {encoding}; encoding under [data.read] settles it",)


def _is_utf8(path: Path) -> bool:
    """Whether the whole file is UTF-8, looked at in pieces."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_input(path) as stream:
        while piece := stream.read(HEAD):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                return False
    return not decoder.getstate()[0]


def _detected(path: Path) -> str:
    """The encoding that the lines with other than ASCII characters speak for."""
    from charset_normalizer import from_bytes

    lines: list[bytes] = []
    with open_input(path) as stream:
        rest, size = b"", 0
        while size < HEAD // 16 and (piece := stream.read(HEAD)):
            *full, rest = (rest + piece).split(b"\n")
            other = [line for line in full if not line.isascii()]
            lines += other
            size += sum(map(len, other))
        lines += [] if rest.isascii() else [rest]
    matches = list(from_bytes(b"\n".join(lines)[: HEAD // 16]))
    least, most = min((one.chaos for one in matches), default=0), max((one.coherence for one in matches), default=0)
    plausible = [one for one in matches if one.chaos <= least + ALIKE and one.coherence >= most - 5 * ALIKE]
    names = [name for one in plausible for name in (one.encoding, *one.could_be_from_charset)]
    if not names:
        raise Refusal(f"{path}: {_not_text('UTF-8')}")
    # a few accented letters are equally likely in many; of these, this one is by far the most frequent
    return "cp1252" if "cp1252" in names else str(names[0])


def _decoded(path: Path, head: bytes, encoding: str, *, whole: bool) -> str:
    import codecs

    try:
        return codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
    except UnicodeDecodeError:
        raise Refusal(f"{path}: {_not_text(encoding)}") from None


def _rows(text: str, delimiter: str, *, whole: bool) -> list[list[str]]:
    """The first rows; empty lines are none, and the last one may have been cut off."""
    reader = plain.reader(text.splitlines(keepends=True), delimiter=delimiter)
    rows: list[list[str]] = []
    for row in reader:
        if row:
            rows.append(row)
        if len(rows) > SAMPLE:
            return rows
    return rows if whole or len(rows) < 2 else rows[:-1]


def _delimiter(text: str) -> str:
    """The mark that splits most rows into the same number of fields, which is more than one."""

    def score(mark: str) -> tuple[float, int]:
        try:
            rows = _rows(text, mark, whole=True)
        except plain.Error:
            return 0.0, 0
        widths = Counter(len(row) for row in rows)
        if not rows or len(rows[0]) < 2:
            return 0.0, 0
        # row names without a name above them make every row longer than the header
        alike = max(widths[len(rows[0])], widths[len(rows[0]) + 1])
        return round(alike / len(rows), 1), len(rows[0])

    best = max(DELIMITERS, key=score)
    return best if score(best)[1] else ","


def _is_data(rows: list[list[str]]) -> bool:
    """Whether the first row is one of the data: numbers above numbers, values that their own columns have.

    One name above a column of numbers is a header. So are whole numbers that count up, such as years.
    """
    if len(rows) < 3:
        return False
    first, rest = rows[0], rows[1:]
    votes = 0
    for at, cell in enumerate(first):
        below = [row[at] for row in rest if at < len(row) and row[at].strip()]
        numeric = bool(below) and sum(bool(NUMBER.fullmatch(value)) for value in below) > len(below) / 2
        if numeric and cell.strip() and not NUMBER.fullmatch(cell):
            return False
        votes += bool(cell.strip()) and (numeric or cell in below)
    numbers = [float(cell.replace(",", ".")) for cell in first if NUMBER.fullmatch(cell)]
    counting = len(numbers) > 1 and all(b - a == 1 for a, b in itertools.pairwise(numbers))
    return 2 * votes >= len(first) and not counting
