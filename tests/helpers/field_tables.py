"""Small tables as people bring them, and ways to write them: the situations of issue trackers, drawn by a seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Frames = dict[str, pd.DataFrame]


def staff(n: int, seed: int) -> pd.DataFrame:
    """People with numbers, a date, codes and a label."""
    rng = np.random.default_rng(seed)
    age, sex = rng.integers(18, 80, n), rng.choice(["F", "M"], n)
    signal = rng.normal(size=n)
    label = np.where(rng.random(n) < 1 / (1 + np.exp(-2 * signal - 0.05 * (age - 45))), "yes", "no")
    return pd.DataFrame(
        {
            "age": age,
            "sex": sex,
            "city": rng.choice(["Oslo", "Lima", "Riga", "Bonn"], n, p=[0.4, 0.3, 0.2, 0.1]),
            "pay": np.round(np.exp(rng.normal(7.5, 0.4, n)), 2),
            "x0": np.round(0.6 * signal + 0.8 * rng.normal(size=n), 3),
            "joined": pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 7000 * 86400, n), "s"),
            "label": label,
        }
    )


def three(n: int, make: Callable[[int, int], pd.DataFrame] = staff, seed: int = 1) -> Frames:
    """Train, holdout and a release of faithful rows."""
    return {role: make(n, seed + at) for at, role in enumerate(("train", "holdout", "synthetic"))}


def written(frames: Frames, folder: Path, **how: Any) -> dict[str, Path]:
    """Each role as a CSV."""
    paths = {role: folder / f"{role}.csv" for role in frames}
    for role, frame in frames.items():
        frame.to_csv(paths[role], index=False, **how)
    return paths


def each(frames: Frames, column: str, write: Callable[[Any], str], *roles: str) -> Frames:
    """A column written as texts in some roles, all by default; missing stays missing."""
    changed = {}
    for role, frame in frames.items():
        if role in (roles or frames):
            texts = pd.Series([None if pd.isna(v) else write(v) for v in frame[column]], dtype=object)
            frame = frame.assign(**{column: texts})
        changed[role] = frame
    return changed


def comma(value: float) -> str:
    """1.234,56, as in most of Europe."""
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def days_first(value: pd.Timestamp) -> str:
    """24/12/2003 18:30:05."""
    return value.strftime("%d/%m/%Y %H:%M:%S")
