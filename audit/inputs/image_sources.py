"""Sources of images: a folder, a zip, a Parquet file or an array, each read one image at a time."""

from __future__ import annotations

import os
import threading
import zipfile
from bisect import bisect_right
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from counterproof.inputs.archives import refuse_unsafe
from counterproof.inputs.arrays import Arrays
from counterproof.inputs.images import (
    LARGEST,
    SNIFFED,
    SUFFIXES,
    Picture,
    Unreadable,
    decode,
    from_array,
    kind_of_file,
    readable_formats,
)
from counterproof.inputs.metadata import METADATA, metadata_of
from counterproof.inputs.pixel_scale import USUAL, Scale
from counterproof.inputs.tables import Table, first_line, image_column
from counterproof.refusal import Refusal, listed

CHANNELS = (1, 3, 4)
GROUPS = 4  # row groups of a Parquet file that are held


class ImageSource(Protocol):
    """Images of one role in a fixed order; threads read them side by side.

    Attributes:
        names: Name of each image.
        table: A row for each image, if there are labels or metadata.
        notes: Remarks about the source.
        source: Its name in sentences.
        skipped: How many files may hold images and were not looked at, by kind.
        scale: How numbers that are no bytes become 8-bit.
    """

    names: list[str]
    table: Table | None
    notes: list[str]
    source: str
    skipped: Counter[str]
    scale: Scale

    def read(self, place: int) -> Picture:
        """One image; raises Unreadable or Refusal."""


@dataclass(eq=False)
class Files:
    """Image files in a folder or a zip; names are paths within it, sorted."""

    names: list[str]
    table: Table | None
    notes: list[str]
    source: str
    root: Path
    packed: zipfile.ZipFile | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    scale: Scale = USUAL

    def raw(self, name: str) -> bytes:
        """A file's bytes."""
        try:
            if self.packed is None:
                return (self.root / name).read_bytes()
            return self.packed.read(name)
        except Exception as error:  # zlib.error and lzma errors derive from Exception alone
            raise Unreadable(first_line(error)) from None

    def head(self, name: str) -> bytes:
        """A file's first bytes; none where they cannot be read."""
        try:
            with (self.root / name).open("rb") if self.packed is None else self.packed.open(name) as file:
                return file.read(SNIFFED)
        except Exception:  # zlib.error and lzma errors derive from Exception alone
            return b""

    def read(self, place: int) -> Picture:
        """One image."""
        return decode(self.raw(self.names[place]), f"{self.source}: {self.names[place]!r}", self.scale)


def image_source_of(source: Path | Arrays) -> ImageSource:
    """The images of a source.

    Raises:
        Refusal: There are none, or the archive is unsafe.
    """
    if isinstance(source, Arrays):
        return pixel_array(source)
    if source.is_dir():
        return _folder(source)
    return _zip(source) if source.suffix.lower() == ".zip" else _parquet(source)


# -- folder and zip ---------------------------------------------------------------------------------


def _folder(root: Path) -> Files:
    """Every file below a folder; linked folders are counted, and one that cannot be read is refused."""

    def refuse(error: OSError) -> None:
        inside = Path(error.filename or root)
        what = "the folder" if inside == root else f"its folder {inside.relative_to(root).as_posix()!r}"
        raise Refusal(f"{root}: {what} cannot be read: {error.strerror}") from None

    names: list[str] = []
    linked: Counter[str] = Counter()
    inside = root.resolve()
    for folder, folders, files in os.walk(root, onerror=refuse):
        at = Path(folder)
        for name in files:
            path = at / name
            relative = path.relative_to(root).as_posix()
            if path.is_symlink() and path.is_file() and not path.resolve().is_relative_to(inside):
                raise Refusal(f"{root}: {relative!r} is a link out of the folder; copy the file instead")
            names.append(relative)
        for name in folders:
            if (at / name).is_symlink():
                held = sum(len(inner) for _, _, inner in os.walk(at / name))
                linked[f"in the linked folder {(at / name).relative_to(root).as_posix()!r}"] += held
    return _with_labels(Files([], None, [], str(root), root, skipped=linked), names)


def _zip(path: Path) -> Files:
    try:
        packed = zipfile.ZipFile(path)
        entries = [entry for entry in packed.infolist() if not entry.is_dir()]
    except Exception as error:  # a damaged directory fails as whatever zipfile or struct make of it
        raise Refusal(f"{path}: cannot be read as a zip: {first_line(error)}") from None
    refuse_unsafe(path, entries)
    return _with_labels(Files([], None, [], str(path), path, packed), [entry.filename for entry in entries])


def _with_labels(files: Files, names: list[str]) -> Files:
    """Keep the images, in order, and read labels from metadata or from class-named subfolders."""
    beside = next((name for name in METADATA if name in names), None)
    others: Counter[str] = Counter()
    for name in sorted(names):
        if name == beside:
            continue
        hidden = any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
        if not hidden and name.lower().endswith(SUFFIXES):
            files.names.append(name)
            continue
        head = files.head(name)
        kind = kind_of_file(head)
        if not hidden and kind in readable_formats():
            files.names.append(name)
        elif not kind and (hidden or is_text(head)):
            others[_kind(name, "", hidden)] += 1
        else:
            files.skipped[_kind(name, kind, hidden)] += 1
    if not files.names:
        held = others + files.skipped
        what = f": it holds {counted(held)}" if held else ": it is empty"
        raise Refusal(f"{files.source}: no images are in it{what}")
    if beside is not None:
        try:
            raw = files.raw(beside)
        except Unreadable as error:
            raise Refusal(f"{files.source}: {beside} cannot be read: {error}") from None
        files.table, files.notes = metadata_of(raw, beside, files.names, files.source)
    else:
        folders = [PurePosixPath(name).parent.name for name in files.names]
        if all(folders):
            files.table = Table(pd.DataFrame({"label": pd.Series(folders, dtype=object)}), files.source)
    if others:
        files.notes.append(f"{others.total()} files that hold no image were not looked at: {counted(others)}")
    return files


def is_text(head: bytes) -> bool:
    """Whether a file is text, such as a licence, captions or metadata: it holds no picture, unless it is SVG."""
    return b"\x00" not in head and not any(byte < 9 or 13 < byte < 27 for byte in head) and b"<svg" not in head


def counted(kinds: Counter[str], limit: int = 5) -> str:
    """How many files of each kind, commonest first.

    >>> counted(Counter({".jfif": 600, "without an ending": 1}))
    "600 .jfif, 1 without an ending"
    """
    shown = [f"{count} {kind}" for kind, count in kinds.most_common(limit)]
    return ", ".join(shown) + (f" and {len(kinds) - limit} more kinds" if len(kinds) > limit else "")


def _kind(name: str, format_name: str, hidden: bool) -> str:
    """What a file is in a sentence: its ending, and its format where that is an image's."""
    ending = listed([PurePosixPath(name).suffix.lower()])[1:-1] or "without an ending"
    return f"{'hidden ' * hidden}{ending}" + f" ({format_name})" * bool(format_name)


# -- Parquet ----------------------------------------------------------------------------------------


@dataclass(eq=False)
class ParquetImages:
    """Images in a column of a Parquet file; a few row groups are in memory at a time."""

    names: list[str]
    table: Table | None
    notes: list[str]
    source: str
    file: parquet.ParquetFile
    column: str
    starts: list[int]
    skipped: Counter[str] = field(default_factory=Counter)
    scale: Scale = USUAL
    held: OrderedDict[int, pa.ChunkedArray] = field(default_factory=OrderedDict, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, place: int) -> Picture:
        """One image."""
        group = bisect_right(self.starts, place) - 1
        value = self._group(group)[place - self.starts[group]].as_py()
        raw = value.get("bytes") if isinstance(value, dict) else value
        if not raw:
            raise Unreadable("the row holds no image")
        return decode(raw, f"{self.source}: row {place}", self.scale)

    def _group(self, group: int) -> pa.ChunkedArray:
        """A row group; threads that read on both sides of a border find theirs still there."""
        with self.lock:
            if group not in self.held:
                try:
                    self.held[group] = self.file.read_row_group(group, columns=[self.column]).column(0)
                except Exception as error:  # damage fails as whatever pyarrow makes of it
                    raise Unreadable(first_line(error)) from None
                while len(self.held) > GROUPS:
                    self.held.popitem(last=False)
            return self.held[group]


def _parquet(path: Path) -> ParquetImages:
    try:
        file = parquet.ParquetFile(path)
        column = image_column(file)
        assert column is not None
        others = [name for name in file.schema_arrow.names if name != column]
        frame = file.read(columns=others).to_pandas(ignore_metadata=True)
    except Exception as error:  # damage fails as whatever pyarrow makes of it
        raise Refusal(f"{path}: cannot be read as parquet: {first_line(error)}") from None
    rows = file.metadata.num_rows
    if not rows:
        raise Refusal(f"{path}: the table has no rows")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int).tolist()
    names = [str(place) for place in range(rows)]
    table = Table(frame, str(path)) if others else None
    return ParquetImages(names, table, [], str(path), file, column, starts)


# -- arrays -----------------------------------------------------------------------------------------


@dataclass(eq=False)
class PixelArray:
    """Images in one array ``(n, h, w[, c])``."""

    names: list[str]
    table: Table | None
    notes: list[str]
    source: str
    values: NDArray[Any]
    skipped: Counter[str] = field(default_factory=Counter)
    scale: Scale = USUAL

    def read(self, place: int) -> Picture:
        """One image."""
        return from_array(self.values[place], self.scale)


def pixel_array(read: Arrays) -> PixelArray:
    """Images from an array.

    Raises:
        Refusal: Its shape is not that of images, or the channels may come first or last.
    """
    values, notes = read.values, []
    if values.ndim == 4:
        first, last = values.shape[1] in CHANNELS, values.shape[3] in CHANNELS
        if first and last:  # images of few pixels: the two sides of a square tell
            first, last = values.shape[2] == values.shape[3], values.shape[1] == values.shape[2]
            if first == last:
                raise Refusal(
                    f"{read.source}: in images of shape {values.shape} channels may come first or last; "
                    "store (n, h, w, channels) of more than 4 pixels a side"
                )
        if not first and not last:
            raise Refusal(f"{read.source}: images must be (n, h, w) or (n, h, w, 1, 3 or 4), not {values.shape}")
        if first:
            notes.append(f"channels come first in images of shape {values.shape[1:]}, and were read so")
            values = np.moveaxis(values, 1, 3)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Refusal(
            f"{read.source}: float images hold NaN or an infinity; store floats from 0 to 1 or from -1 to 1, or 8-bit "
            "integers"
        )
    if values[0].size > LARGEST:
        raise Refusal(f"{read.source}: images of {values.shape[1:]} are too large")
    return PixelArray([str(i) for i in range(len(values))], read.table, notes, read.source, values)
