"""Features on disk, keyed by the content of the images, the encoder and the protocol.

An entry is an ``.npy`` file and its sha256. An entry that does not match its sum, or cannot be
read, counts as absent and is computed again. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.state import cache_folder

VERSION = "features 2"  # of how features are computed; files of other versions are never found


@dataclass(frozen=True)
class Cache:
    """A folder of features; without a folder nothing is kept.

    >>> Cache(None).read("0" * 64) is None
    True
    """

    folder: Path | None

    def read(self, key: str) -> NDArray[np.float32] | None:
        """The features of a key; None if there are none or they were damaged."""
        if self.folder is None:
            return None
        try:
            raw = self._file(key, ".npy").read_bytes()
            told = self._file(key, ".sha256").read_text(encoding="ascii").strip()
            if hashlib.sha256(raw).hexdigest() != told:
                return None
            held: NDArray[np.float32] = np.load(io.BytesIO(raw), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return held if held.ndim == 2 and held.dtype == np.float32 else None

    def write(self, key: str, features: NDArray[np.float32]) -> None:
        """Store features, each file whole or not at all; a cache that cannot be written is no error."""
        if self.folder is None:
            return
        buffer = io.BytesIO()
        np.save(buffer, features, allow_pickle=False)
        raw = buffer.getvalue()
        with contextlib.suppress(OSError):
            self._file(key, "").parent.mkdir(parents=True, exist_ok=True)
            _put(self._file(key, ".npy"), raw)
            _put(self._file(key, ".sha256"), hashlib.sha256(raw).hexdigest().encode("ascii"))

    def _file(self, key: str, suffix: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / f"{key}{suffix}"


def key_of(content: str, encoder: str, protocol: str) -> str:
    """The key of features: sha256 over the digests of content and encoder and the protocol."""
    return hashlib.sha256("\n".join([VERSION, content, encoder, protocol]).encode()).hexdigest()


def cache_in(place: Path | str | None = "auto") -> Cache:
    """The cache in a folder, under ``features``; ``auto`` is the user's cache folder, None keeps nothing."""
    if place is None:
        return Cache(None)
    return Cache((cache_folder() if place == "auto" else Path(place)) / "features")


def _put(path: Path, raw: Any) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(raw)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
