"""Where counterproof keeps what it may keep."""

from __future__ import annotations

import os
import re
from pathlib import Path

from counterproof.refusal import Refusal

MEND = "it counts the releases that a holdout has judged: mend it, or keep another one with COUNTERPROOF_CACHE"
LINE = re.compile(r"[0-9a-f]{64} [0-9a-f]{64}")  # the digests of a holdout and of a release


def count_audit(folder: Path, holdout: str, release: str) -> tuple[int, str]:
    """Note one audit; how many distinct releases this holdout has now judged, and why it was not noted.

    Each audit adds one line to the ledger in one write, which parallel runs cannot take from each other. A folder
    that cannot be written is no reason to stop, but one to say so.

    Raises:
        Refusal: The ledger is damaged.
    """
    path, remark = ledger_in(folder), ""
    if release not in judged_releases(folder, holdout):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # A line that an interrupted write left open must not swallow this one: it begins on its own.
            line = f"\n{holdout} {release}\n".encode()
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        except OSError as error:
            remark = f"the ledger of audits {path} cannot be written ({error.strerror}): this audit was not counted"
    return len(judged_releases(folder, holdout) | {release}), remark


def ledger_in(folder: Path) -> Path:
    """The file that counts the releases which each holdout has judged."""
    return folder / "audits.txt"


def judged_releases(folder: Path, holdout: str = "") -> set[str]:
    """The releases that the ledger holds of one holdout.

    Raises:
        Refusal: The ledger cannot be read, or a line is not one of its own: a count that began anew would hide
            that a release was made until it passed.
    """
    path = ledger_in(folder)
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise Refusal(f"{path}: the ledger of audits cannot be read ({error.strerror}); {MEND}") from None
    whole = text[: text.rfind("\n") + 1]  # what follows is being written by another audit
    found = set()
    for at, line in enumerate(whole.split("\n"), start=1):
        if line and not LINE.fullmatch(line):
            raise Refusal(f"{path}: line {at} of the ledger of audits is damaged; {MEND}")
        if line and line.startswith(f"{holdout} "):
            found.add(line.split()[1])
    return found


def cache_folder() -> Path:
    """``COUNTERPROOF_CACHE``, else ``counterproof`` in the XDG cache folder; never a shared folder."""
    given = os.environ.get("COUNTERPROOF_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "counterproof"
