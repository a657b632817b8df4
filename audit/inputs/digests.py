"""Digests: equal exactly where two rows, or two inputs, hold the same content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.inputs.column_readings import Asked, read_column
from counterproof.inputs.columns import kind_of
from counterproof.inputs.tables import Table

SIZE = 16  # bytes: two of 10^12 different rows collide with a chance below 10^-14


def row_digests(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.bytes_]:
    """``(n,)`` digests of the rows over some columns in canonical form; missing equals missing."""
    codes = [pd.factorize(frame[name], use_na_sentinel=True)[0].astype(np.int32) for name in columns]
    return array_digests(np.stack(codes, axis=1) if codes else np.zeros((len(frame), 0), np.int32))


def array_digests(rows: NDArray[Any]) -> NDArray[np.bytes_]:
    """``(n,)`` digests of the rows of an array; -0.0 equals 0.0."""
    plain = np.ascontiguousarray(rows + 0 if rows.dtype.kind == "f" else rows)
    return packed([hashlib.blake2b(row.tobytes(), digest_size=SIZE).digest() for row in plain])


def packed(digests: Sequence[bytes]) -> NDArray[np.bytes_]:
    """Digests as one array."""
    return np.frombuffer(b"".join(digests), dtype=f"S{SIZE}")


def table_digest(table: Table) -> str:
    """sha256 of a table's content: column names, values and their order, whatever the file format."""
    total = hashlib.sha256()
    for name in sorted(table.frame.columns):
        form = table.form(name)
        kind = kind_of(name, [form], typed=table.typed)
        values = read_column({"table": form}, kind, Asked(refuse=False)).values["table"]
        total.update(f"{name!r}:{len(values)}:".encode())
        if values.dtype == object:
            total.update(json.dumps(values.tolist()).encode())
        else:
            plain = values.to_numpy()
            whole = plain.view(np.int64) if plain.dtype.kind == "M" else np.where(np.isnan(plain), np.nan, plain + 0.0)
            total.update(np.ascontiguousarray(whole).tobytes())
    return total.hexdigest()


def joint_digest(digests: NDArray[np.bytes_]) -> str:
    """sha256 of a sequence of row digests."""
    return hashlib.sha256(np.ascontiguousarray(digests).tobytes()).hexdigest()
