"""Sources of images: a folder, a zip, a Parquet file or an array, each read one image at a time."""

from __future__ import annotations

import threading
import zipfile
from bisect import bisect_right
from collections import OrderedDict
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
from counterproof.inputs.images import LARGEST, SUFFIXES, Picture, Unreadable, decode, from_array
from counterproof.inputs.metadata import METADATA, metadata_of
from counterproof.inputs.tables import Table, first_line, image_column
from counterproof.refusal import Refusal

GROUPS = 4  # row groups of a Parquet file that are held


class ImageSource(Protocol):
    """Images of one role in a fixed order; threads read them side by side.

    Attributes:
        names: Name of each image.
        table: A row for each image, if there are labels or metadata.
        notes: Remarks about the source.
        source: Its name in sentences.
    """

    names: list[str]
    table: Table | None
    notes: list[str]
    source: str

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

    def raw(self, name: str) -> bytes:
        """A file's bytes."""
        try:
            if self.packed is None:
                return (self.root / name).read_bytes()
            return self.packed.read(name)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
            raise Unreadable(first_line(error)) from None
        except Exception as error:  # zlib.error and lzma errors derive from Exception alone
            raise Unreadable(first_line(error)) from None

    def read(self, place: int) -> Picture:
        """One image."""
        return decode(self.raw(self.names[place]), f"{self.source}: {self.names[place]!r}")


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
    try:
        files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    except OSError as error:
        raise Refusal(f"{root}: the folder cannot be read: {first_line(error)}") from None
    inside = root.resolve()
    for name, path in files.items():
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            raise Refusal(f"{root}: {name!r} is a link out of the folder; copy the file instead")
    return _with_labels(Files([], None, [], str(root), root), list(files))


def _zip(path: Path) -> Files:
    try:
        packed = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise Refusal(f"{path}: cannot be read as a zip: {first_line(error)}") from None
    entries = [entry for entry in packed.infolist() if not entry.is_dir()]
    refuse_unsafe(path, entries)
    return _with_labels(Files([], None, [], str(path), path, packed), [entry.filename for entry in entries])


def _with_labels(files: Files, names: list[str]) -> Files:
    """Keep the images, in order, and read labels from metadata or from class-named subfolders."""
    seen = [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)]
    files.names = sorted(name for name in seen if name.lower().endswith(SUFFIXES))
    if not files.names:
        raise Refusal(f"{files.source}: no images are in it ({', '.join(SUFFIXES)})")
    beside = next((name for name in METADATA if name in seen), None)
    if beside is not None:
        files.table, files.notes = metadata_of(files.raw(beside), beside, files.names, files.source)
    else:
        folders = [PurePosixPath(name).parent.name for name in files.names]
        if all(folders):
            files.table = Table(pd.DataFrame({"label": pd.Series(folders, dtype=object)}), files.source)
    return files


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
    held: OrderedDict[int, pa.ChunkedArray] = field(default_factory=OrderedDict, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, place: int) -> Picture:
        """One image."""
        group = bisect_right(self.starts, place) - 1
        value = self._group(group)[place - self.starts[group]].as_py()
        raw = value.get("bytes") if isinstance(value, dict) else value
        if not raw:
            raise Unreadable("the row holds no image")
        return decode(raw, f"{self.source}: row {place}")

    def _group(self, group: int) -> pa.ChunkedArray:
        """A row group; threads that read on both sides of a border find theirs still there."""
        with self.lock:
            if group not in self.held:
                try:
                    self.held[group] = self.file.read_row_group(group, columns=[self.column]).column(0)
                except (pa.ArrowException, OSError) as error:
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
    except (pa.ArrowException, OSError) as error:
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

    def read(self, place: int) -> Picture:
        """One image."""
        return from_array(self.values[place])


def pixel_array(read: Arrays) -> PixelArray:
    """Images from an array.

    Raises:
        Refusal: Its shape or range is not that of images.
    """
    values = read.values
    if values.ndim == 4 and values.shape[3] not in (1, 3, 4) and values.shape[1] in (1, 3, 4):
        values = np.moveaxis(values, 1, 3)
    if values.ndim == 4 and values.shape[3] not in (1, 3, 4):
        raise Refusal(f"{read.source}: images must be (n, h, w) or (n, h, w, 1, 3 or 4), not {values.shape}")
    if values[0].size > LARGEST:
        raise Refusal(f"{read.source}: images of {values.shape[1:]} are too large")
    if values.dtype.kind == "f" and not (values.min() >= 0 and values.max() <= 1):
        raise Refusal(f"{read.source}: float images must hold numbers from 0 to 1; scale them or store 8-bit integers")
    if values.dtype.kind == "i" and values.min() < 0:
        raise Refusal(f"{read.source}: images hold negative numbers; store 8-bit integers")
    if values.dtype.kind == "i" and values.max() <= 255:
        values = values.astype(np.uint8)
    return PixelArray([str(i) for i in range(len(values))], read.table, [], read.source, values)
