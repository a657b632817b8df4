"""The table beside image files: ``metadata.csv``, ``.jsonl`` or ``.parquet`` with a column ``file_name``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from counterproof.inputs.archives import escapes
from counterproof.inputs.forms import form_of, text_of
from counterproof.inputs.tables import Table, first_line, read_table, table_of
from counterproof.refusal import Refusal, listed

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
KEY = "file_name"


def metadata_of(raw: bytes, name: str, images: list[str], source: str) -> tuple[Table, list[str]]:
    """A row for each image, in the images' order, and remarks on images and rows without a match.

    Raises:
        Refusal: The table cannot be read, has no ``file_name``, leaves one blank, names a file twice or
            one outside.
    """
    place = f"{source}: {name}"
    table = _read(raw, name, place)
    if KEY not in table.frame.columns:
        raise Refusal(f"{place} has no column {KEY!r}; it must name the image that each row describes")
    keys = text_of(form_of(table.frame[KEY]))
    blank = np.flatnonzero(keys.isna() | (keys.str.strip() == ""))
    if len(blank):
        rows = ", ".join(map(str, blank[:5])) + (f" and {len(blank) - 5} more" if len(blank) > 5 else "")
        raise Refusal(f"{place} has no {KEY} in row {rows} (the first row is 0); name the image or drop the row")
    outside = [key for key in keys if escapes(key)]
    if outside:
        raise Refusal(f"{place} names the file {listed(outside, 1)}, which lies outside of the folder")
    clean = keys.map(lambda key: str(PurePosixPath(key)))
    twice = clean[clean.duplicated()]
    if len(twice):
        raise Refusal(f"{place} describes {listed([twice.iloc[0]])} more than once")
    rest = table.frame.drop(columns=KEY)
    matched = rest.set_axis(pd.Index(clean, dtype=object), axis=0).reindex(pd.Index(images, dtype=object))
    return Table(matched.reset_index(drop=True), place, table.typed), _remarks(clean, images, name)


def _remarks(keys: pd.Series[Any], images: list[str], name: str) -> list[str]:
    held, described = set(images), set(keys)
    lost, bare = sorted(described - held), sorted(held - described)
    remarks = [f"{name} describes images that are not there ({len(lost)}): {listed(lost)}"] if lost else []
    return remarks + ([f"{name} leaves images undescribed ({len(bare)}): {listed(bare)}"] if bare else [])


def _read(raw: bytes, name: str, place: str) -> Table:
    """Read by the readers of tables, which work on files."""
    if not raw.strip():
        raise Refusal(f"{place} is empty")
    if name.endswith(".jsonl"):
        return _json_lines(raw, place)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(raw)
        try:
            return read_table(path)
        except Refusal as refusal:
            raise Refusal(str(refusal).replace(str(path), place)) from None


def _json_lines(raw: bytes, place: str) -> Table:
    """One JSON object a line, as Hugging Face writes them; lists and objects within one are kept as their JSON text."""
    rows: list[dict[str, Any]] = []
    for at, line in enumerate(raw.decode("utf-8-sig", "replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Refusal(f"{place}: line {at} is no JSON ({first_line(error)})") from None
        if not isinstance(row, dict):
            raise Refusal(f"{place}: line {at} is no JSON object with a {KEY!r} and further columns")
        rows.append(
            {key: json.dumps(value) if isinstance(value, (dict, list)) else value for key, value in row.items()}
        )
    if not rows:
        raise Refusal(f"{place} is empty")
    return table_of(pd.DataFrame(rows), place)
