"""Serialising: numbers and files that are the same bytes on every machine."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def rounded(value: Any) -> Any:
    """Ten significant digits, and None for what is not finite: the same bytes on every machine."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")  # file names may be no UTF-8
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return float(f"{value:.10g}") + 0.0 if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    if hasattr(value, "item"):
        return rounded(value.item())
    return str(value)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: The folder cannot be made or written.
    """
    write_texts({path: text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write several files whole, or none of them: all are on the disk before the first takes its name.

    Raises:
        OSError: A folder cannot be made or written; those that were made for it are removed.
    """
    made: list[Path] = []
    staged: dict[Path, str] = {}
    try:
        for path, text in texts.items():
            made += make_folders(path.parent)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            staged[path] = name
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())  # a full disk may tell only now
            os.chmod(name, 0o644)
        for path in texts:
            os.replace(staged[path], path)
            del staged[path]
    except BaseException:
        for name in staged.values():
            os.unlink(name)
        for folder in reversed(made):
            with suppress(OSError):  # it holds something by now
                folder.rmdir()
        raise


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and the missing ones above it; those that were made, outermost first.

    Raises:
        OSError: It cannot be made; then none is.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    made: list[Path] = []
    try:
        for one in reversed(missing):
            one.mkdir(exist_ok=True)
            made.append(one)
    except OSError:
        for one in reversed(made):
            one.rmdir()
        raise
    return made
