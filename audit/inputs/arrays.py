"""Arrays as they come: features ``(n, d)`` or pixels ``(n, h, w[, c])``, with an optional table beside them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.inputs.archives import refuse_unsafe
from counterproof.inputs.tables import Table, first_line, read_table, refuse_missing, table_of
from counterproof.refusal import Refusal, listed

VALUES = ("features", "images", "x", "X", "arr_0", "data")
LABELS = ("labels", "label", "y")
LARGEST_FEATURE = 1e20  # its sixth power, the square of a cubic kernel, is a number still
SMALLEST_FEATURE = 1e-20
BESIDE = (".csv", ".parquet", ".feather")


@dataclass(frozen=True, eq=False)
class Arrays:
    """One role's array and the table of its rows.

    Attributes:
        values: ``(n, d)`` features or ``(n, h, w[, c])`` pixels.
        table: A row for each row of the array, if there is one.
        source: Its name in sentences.
    """

    values: NDArray[Any]
    table: Table | None
    source: str

    @property
    def are_images(self) -> bool:
        """Whether the rows are pixels."""
        return self.values.ndim in (3, 4)


def arrays_of(values: NDArray[Any], frame: pd.DataFrame | None = None, source: str = "array") -> Arrays:
    """An array in memory.

    Raises:
        Refusal: It has no rows, is of another shape or not of numbers, or its table is of another length.
    """
    if values.ndim not in (2, 3, 4) or values.dtype.kind not in "fiub":
        raise Refusal(
            f"{source}: expected numbers of shape (n, d) for features or (n, h, w[, c]) for images, "
            f"not {values.dtype} of shape {values.shape}"
        )
    if 0 in values.shape:
        raise Refusal(f"{source}: the array of shape {values.shape} is empty")
    table = None if frame is None else table_of(frame, f"the table beside {source}")
    return _matched(Arrays(values, table, source))


def read_arrays(path: Path) -> Arrays:
    """An ``.npy`` or ``.npz`` file and the table of the same name beside it.

    Raises:
        Refusal: It cannot be read, would need unpickling, or holds no array of a known name.
    """
    refuse_missing(path)
    try:
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as packed:
                refuse_unsafe(path, packed.infolist())
        held = np.load(path, allow_pickle=False)
        if isinstance(held, np.ndarray):
            values, labels = held, None
        else:
            with held:
                name = _named(held.files, VALUES, path)
                values = held[name]
                found = next((key for key in LABELS if key in held.files), None)
                labels = None if found is None else held[found]
    except Refusal:
        raise
    except MemoryError:
        size = path.stat().st_size
        raise Refusal(f"{path}: there is not enough memory to read it ({size} bytes on the disk)") from None
    except Exception as error:  # a damaged header or member fails as whatever numpy, zipfile or zlib make of it
        told = first_line(error)
        if "pickle" in told:  # numpy advises to run what the file says
            told = "it is no plain array; Python objects are not read, save numbers with numpy.save or numpy.savez"
        raise Refusal(f"{path}: cannot be read as numpy arrays: {told}") from None
    if labels is not None and (labels.ndim != 1 or labels.dtype.kind not in "fiubUS"):
        raise Refusal(f"{path}: the labels must be one plain value for each row, not {labels.dtype} {labels.shape}")
    read = arrays_of(values, None, str(path))
    return _matched(Arrays(read.values, _table_beside(path, labels), str(path)))


def _named(files: list[str], known: tuple[str, ...], path: Path) -> str:
    found = next((key for key in known if key in files), files[0] if len(files) == 1 else None)
    if found is None:
        raise Refusal(f"{path}: holds {listed(files)}; name the array one of {', '.join(known)}")
    return found


def _table_beside(path: Path, labels: NDArray[Any] | None) -> Table | None:
    beside = next((path.with_suffix(suffix) for suffix in BESIDE if path.with_suffix(suffix).exists()), None)
    if beside is not None:
        return read_table(beside)
    if labels is None:
        return None
    plain = np.char.decode(labels, "utf-8", "replace") if labels.dtype.kind == "S" else labels
    return table_of(pd.DataFrame({"label": plain}), str(path))


def _matched(read: Arrays) -> Arrays:
    if read.table is not None and len(read.table.frame) != len(read.values):
        raise Refusal(
            f"{read.source}: {len(read.values)} rows, but {read.table.source} has {len(read.table.frame)}: "
            "they must match row by row"
        )
    return read


def refuse_bad_features(read: Arrays, width: int) -> None:
    """Refuse features that are not finite, not as wide as the others, or of a size that cannot be squared and cubed.

    Raises:
        Refusal: Naming the row.
    """
    if read.values.shape[1] != width:
        raise Refusal(f"{read.source}: {read.values.shape[1]} features in a row where other roles have {width}")
    bad = np.flatnonzero(~np.isfinite(read.values).all(axis=1))
    if len(bad):
        more = f" and {len(bad) - 1} more rows" if len(bad) > 1 else ""
        raise Refusal(f"{read.source}: row {bad[0]}{more} (the first is 0) holds NaN or an infinity")
    sizes = np.abs(read.values, dtype=np.float64)
    most = float(sizes.max())
    if most > LARGEST_FEATURE:
        row = int(sizes.max(axis=1).argmax())
        raise Refusal(
            f"{read.source}: row {row} (the first is 0) holds a feature beyond {LARGEST_FEATURE:g}, of which no kernel "
            "or covariance can be computed; scale the features of all roles alike"
        )
    if 0 < most < SMALLEST_FEATURE:
        raise Refusal(
            f"{read.source}: no feature reaches {SMALLEST_FEATURE:g}, so that distances vanish; "
            "scale the features of all roles alike"
        )
