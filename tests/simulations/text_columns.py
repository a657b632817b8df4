"""Columns of texts, identifiers and dates made by a seed, and what spoils them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

Texts = pd.Series
Maker = Callable[[int, np.random.Generator], list[str]]
SYLLABLES = ["an", "be", "ri", "ta", "lo", "mu", "sen", "der", "ka", "vi", "no", "el", "sta", "or", "gre", "hil"]
SENTENCES = (
    "patient reports mild pain after long walk no fever since monday follow up in two weeks advised rest and water",
    "delivery was late parcel damaged customer asks for refund agent promised call back thanks very good service",
)
WORDS = [word for text in SENTENCES for word in text.split()]


def names(n: int, rng: np.random.Generator) -> list[str]:
    """Family names of two to four syllables."""
    sizes = rng.integers(2, 5, n)
    return ["".join(rng.choice(SYLLABLES, size)).capitalize() for size in sizes]


def emails(n: int, rng: np.random.Generator) -> list[str]:
    """Addresses of several houses and styles."""
    house = rng.choice(["gmail.com", "web.de", "post.example.org", "uni-lima.edu.pe"], n, p=[0.5, 0.25, 0.15, 0.1])
    year = np.where(rng.random(n) < 0.4, rng.integers(50, 99, n).astype(str), "")
    return [
        f"{a.lower()}.{b.lower()}{y}@{h}" for a, b, y, h in zip(names(n, rng), names(n, rng), year, house, strict=True)
    ]


def codes(n: int, rng: np.random.Generator) -> list[str]:
    """Product codes: letters, digits, a size."""
    return [
        f"{''.join(rng.choice(list('ABCDEFGH'), 2))}-{rng.integers(0, 100_000):05d}/{rng.choice(['S', 'M', 'XL'])}"
        for _ in range(n)
    ]


def remarks(n: int, rng: np.random.Generator) -> list[str]:
    """Free text of four to thirty words."""
    return [" ".join(rng.choice(WORDS, size)).capitalize() + "." for size in rng.integers(4, 31, n)]


def uuids(n: int, rng: np.random.Generator) -> list[str]:
    """Random identifiers as text with hyphens."""
    return [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n)]


def phones(n: int, rng: np.random.Generator) -> list[str]:
    """Numbers of two countries."""
    first = [
        f"+49 {a} {b}" for a, b in zip(rng.integers(30, 999, n), rng.integers(100_000, 99_999_999, n), strict=True)
    ]
    second = [f"({a}) {b:03d}-{c:04d}" for a, b, c in zip(*rng.integers(201, 989, (3, n)), strict=True)]
    return [a if here else b for a, b, here in zip(first, second, rng.random(n) < 0.6, strict=True)]


def dates(n: int, rng: np.random.Generator) -> list[str]:
    """Moments of seven years, by day more than by night."""
    day = rng.integers(0, 2500, n) * 86_400
    second = np.clip(rng.normal(13, 3, n) * 3600, 0, 86_399).astype(int)
    return [str(np.datetime64("2015-01-01T00:00:00") + np.timedelta64(int(at), "s")) for at in day + second]


def serials(n: int, rng: np.random.Generator) -> list[str]:
    """Running numbers behind letters, from anywhere."""
    start = int(rng.integers(0, 100_000))
    return [f"K-{start + at}" for at in range(n)]


COLUMNS: Mapping[str, Maker] = {
    "name": names,
    "email": emails,
    "code": codes,
    "remark": remarks,
    "uuid": uuids,
    "phone": phones,
    "admitted": dates,
    "serial_id": serials,
}


def frame(n: int, seed: int) -> pd.DataFrame:
    """Rows with a column of each kind and two plain ones; some cells of the remarks are missing."""
    rng = np.random.default_rng(seed)
    made = pd.DataFrame({name: make(n, rng) for name, make in COLUMNS.items()})
    made.loc[rng.random(n) < 0.2, "remark"] = None
    return made.assign(age=rng.integers(18, 90, n), sex=rng.choice(["F", "M"], n))


def _shuffled(texts: Texts, rng: np.random.Generator) -> Texts:
    return texts.map(lambda text: "".join(rng.permutation(list(text))), na_action="ignore")


SPOILS: Mapping[str, Callable[[Texts, np.random.Generator], Texts]] = {
    "constant": lambda texts, _: pd.Series([texts.dropna().iloc[0]] * len(texts)),
    "truncated": lambda texts, _: texts.str[:6],
    "capitals": lambda texts, _: texts.str.upper(),
    "shuffled": _shuffled,
    "other_format": lambda texts, rng: pd.Series([f"synthetic {at}" for at in rng.integers(0, 10**6, len(texts))]),
    "all_missing": lambda texts, _: pd.Series([None] * len(texts), dtype=object),
}
NOTHING = {(name, "capitals") for name in ("admitted", "serial_id", "phone", "code")}  # which have no small letter
