"""Where counterproof keeps what it may keep."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``COUNTERPROOF_CACHE``, else ``counterproof`` in the XDG cache folder; never a shared folder."""
    given = os.environ.get("COUNTERPROOF_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "counterproof"
