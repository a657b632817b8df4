"""Where counterproof keeps what it may keep."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def count_audit(folder: Path, holdout: str, release: str) -> int:
    """Note one audit and tell how many distinct releases this holdout has now judged.

    Each audit adds one line to the ledger in one write, which parallel runs cannot take from each other.
    Lines that cannot be read count for nothing; a folder that cannot be written is no reason to stop.
    """
    path = folder / "audits.txt"
    if release not in _judged(path, holdout):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            # A line that an interrupted write left open must not swallow this one: it begins on its own.
            line = f"\n{holdout} {release}\n".encode()
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
    return len(_judged(path, holdout) | {release})


def _judged(path: Path, holdout: str) -> set[str]:
    """The releases that the ledger holds of one holdout."""
    try:
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    except OSError:
        return set()
    return {words[1] for words in map(str.split, lines) if len(words) == 2 and words[0] == holdout}


def cache_folder() -> Path:
    """``COUNTERPROOF_CACHE``, else ``counterproof`` in the XDG cache folder; never a shared folder."""
    given = os.environ.get("COUNTERPROOF_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "counterproof"
