"""Where counterproof keeps what it may keep."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from counterproof.reports.serialise import write_text


def count_audit(folder: Path, holdout: str, release: str) -> int:
    """Note one audit and tell how many distinct releases this holdout has now judged.

    An unreadable ledger starts anew; a folder that cannot be written is no reason to stop.
    """
    path = folder / "audits.json"
    try:
        ledger = json.loads(path.read_text(encoding="utf-8"))
        seen = [str(item) for item in ledger.get(holdout, [])]
    except (OSError, ValueError, AttributeError, TypeError):
        ledger, seen = {}, []
    if release not in seen:
        seen.append(release)
        with suppress(OSError):
            write_text(path, json.dumps({**ledger, holdout: seen}, indent=0, sort_keys=True))
    return len(seen)


def cache_folder() -> Path:
    """``COUNTERPROOF_CACHE``, else ``counterproof`` in the XDG cache folder; never a shared folder."""
    given = os.environ.get("COUNTERPROOF_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "counterproof"
