"""Untrusted zip archives: unsafe ones are refused before anything is unpacked."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

from counterproof.refusal import Refusal, listed

LARGEST_ENTRY = 8 * 2**30
LARGEST_ZIP = 64 * 2**30
RATIO = 200  # compression ratio above which a zip is refused, beyond LOOSE bytes
LOOSE = 64 * 2**20


def escapes(name: str) -> bool:
    """Whether a path within an archive or folder would leave it.

    >>> escapes("shirt/1.png"), escapes("../1.png"), escapes("/etc/passwd")
    (False, True, True)
    """
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ".." in PurePosixPath(plain).parts or plain[1:2] == ":" or "\x00" in name


def refuse_unsafe(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse entries that leave the archive, are encrypted, occur twice or would fill the memory.

    Raises:
        Refusal: Naming the entry.
    """
    for entry in entries:
        # zipfile corrects names silently; the stored name decides
        if escapes(entry.orig_filename) or escapes(entry.filename):
            raise Refusal(
                f"{path}: the entry {entry.orig_filename!r} points out of the zip; pack it without such paths"
            )
        if entry.flag_bits & 1:
            raise Refusal(f"{path}: the entry {entry.filename!r} is encrypted; pack it without a password")
        if entry.file_size > LARGEST_ENTRY or _too_compressed(entry.file_size, entry.compress_size):
            raise Refusal(f"{path}: the entry {entry.filename!r} unpacks to {entry.file_size} bytes (a zip bomb?)")
    twice = [name for name, count in Counter(entry.filename for entry in entries).items() if count > 1]
    if twice:
        raise Refusal(f"{path}: the zip holds {listed(twice)} more than once")
    total = sum(entry.file_size for entry in entries)
    if total > LARGEST_ZIP or _too_compressed(total, sum(entry.compress_size for entry in entries)):
        raise Refusal(f"{path}: unpacks to {total} bytes (a zip bomb?)")


def _too_compressed(size: int, packed: int) -> bool:
    return size > LOOSE and size > RATIO * max(packed, 1)
