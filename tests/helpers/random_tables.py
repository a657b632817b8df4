"""Random tables and feature spaces, for the fuzzer: a case is a few choices, its contents come from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

Maker = Callable[[np.random.Generator, int, int], Any]


def _holes(values: Any, rng: np.random.Generator, share: float) -> Any:
    values[rng.random(len(values)) < share] = np.nan
    return values


def _words(rng: np.random.Generator, n: int) -> list[str]:
    words = ["lorem", "ipsum", "dolor", "sit", "amet", "x"]
    return [" ".join(rng.choice(words, rng.integers(0, 8))) for _ in range(n)]


def _dates(rng: np.random.Generator, n: int) -> pd.Series[Any]:
    made = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**8, n), unit="s"))
    made[rng.random(n) < 0.2] = pd.NaT
    return made


KINDS: Mapping[str, Maker] = {
    "normal": lambda rng, n, at: rng.normal(size=n),
    "whole": lambda rng, n, at: rng.integers(0, 50, n),
    "heavy": lambda rng, n, at: rng.standard_t(1, size=n),
    "huge": lambda rng, n, at: rng.normal(size=n) * 1e300,
    "tiny": lambda rng, n, at: rng.normal(size=n) * 1e-300,
    "constant": lambda rng, n, at: np.full(n, 7.0),
    "missing": lambda rng, n, at: np.full(n, np.nan),
    "hardly there": lambda rng, n, at: _holes(rng.normal(size=n), rng, 0.97),
    "holes": lambda rng, n, at: _holes(rng.normal(size=n), rng, 0.3),
    "boolean": lambda rng, n, at: rng.random(n) < 0.3,
    "category": lambda rng, n, at: rng.choice(["a", "b", "c"], n, p=[0.7, 0.25, 0.05]),
    "many categories": lambda rng, n, at: np.array([f"v{i}" for i in rng.integers(0, 80, n)], dtype=object),
    "identifier": lambda rng, n, at: np.array([f"{rng.integers(2**60):016x}" for _ in range(n)], dtype=object),
    "serial": lambda rng, n, at: np.arange(n) + 1 + at * n,
    "text": lambda rng, n, at: np.array(_words(rng, n), dtype=object),
    "days": lambda rng, n, at: pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 999, n), unit="D"),
    "moments": lambda rng, n, at: _dates(rng, n),
    "address": lambda rng, n, at: np.array([f"u{i}@example.org" for i in rng.integers(0, 999, n)], dtype=object),
    "rounded": lambda rng, n, at: np.round(rng.normal(size=n), 1),
    "mixed": lambda rng, n, at: np.array([*rng.integers(0, 9, n - n // 2), *["q"] * (n // 2)], dtype=object),
    "scripts": lambda rng, n, at: rng.choice(["日本", "\u202eabc", "", "a b", "né"], n),
    "nullable": lambda rng, n, at: pd.array(np.where(rng.random(n) < 0.2, None, rng.integers(0, 9, n)), dtype="Int64"),
    "levels": lambda rng, n, at: pd.Categorical(rng.choice(["x", "y"], n), categories=["x", "y", "z"]),
    "zero or one": lambda rng, n, at: rng.integers(0, 2, n),
}
SPACES: Mapping[str, Callable[[Any], Any]] = {
    "normal": lambda x: x,
    "ties": np.round,
    "a constant axis": lambda x: np.where(np.arange(x.shape[1]) == 0, 3.0, x),
    "constant": np.ones_like,
    "large": lambda x: x * 1e18,
    "small": lambda x: x * 1e-18,
    "one direction": lambda x: np.repeat(x[:, :1], x.shape[1], axis=1),
    "axes of all sizes": lambda x: x * np.logspace(-15, 15, x.shape[1]),
    "bytes": lambda x: (x * 30 + 100).clip(0, 255).astype(np.uint8),
    "booleans": lambda x: x > 0,
}
SPOILS: Mapping[str, Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]] = {
    "faithful": lambda made, real: made,
    "copied": lambda made, real: real.sample(len(made), replace=True, random_state=0).reset_index(drop=True),
    "one value": lambda made, real: made.assign(**{made.columns[0]: [made.iloc[0, 0]] * len(made)}),
    "nothing known": lambda made, real: made.assign(**{made.columns[0]: None}),
    "columns turned": lambda made, real: made.iloc[:, ::-1],
}


@dataclass(frozen=True)
class Case:
    """One random audit.

    Attributes:
        kinds: Of the columns; a feature space has one of :data:`SPACES` instead.
        sizes: Rows by role, 1 to 300.
        spoil: What becomes of the release.
        options: Label, groups and cluster by the number of the column, and what else the audit takes.
        seed: Of the contents.
        sources: Rows per source record where there is a column of sources; 0 for none.
    """

    kinds: tuple[str, ...]
    sizes: Mapping[str, int]
    spoil: str = "faithful"
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    sources: int = 0

    @classmethod
    def drawn(cls, seed: int) -> Case:
        """A case by chance: hypothesis would draw the simplest ones most, which are refused."""
        rng = np.random.default_rng(seed)
        options: dict[str, Any] = {"seed": int(rng.integers(4)), "allow_overlap": bool(rng.random() < 0.8)}
        chances = {"label": 0.6, "cluster": 0.1}
        options |= {name: int(rng.integers(7)) for name, chance in chances.items() if rng.random() < chance}
        if rng.random() < 0.5:
            options["groups"] = rng.integers(0, 7, rng.integers(1, 3)).tolist()
        options |= {
            key: value
            for key, value in (("intersections", 2), ("without_holdout", "allow"), ("show_real", True))
            if rng.random() < 0.25
        }
        return cls(
            kinds=tuple(rng.choice(sorted(KINDS), rng.integers(1, 8)).tolist()),
            sizes=drawn_sizes(rng),
            spoil="faithful" if rng.random() < 0.6 else str(rng.choice(sorted(SPOILS))),
            options=options,
            seed=seed,
            sources=int(rng.choice([0, 0, 0, 3, 20])),
        )

    def arguments(self) -> dict[str, Any]:
        """What :func:`counterproof.audit` takes."""
        frames = {role: self._frame(role, at) for at, role in enumerate(self.sizes)}
        frames["synthetic"] = SPOILS[self.spoil](frames["synthetic"], frames[next(iter(frames))])
        names = list(self._frame("synthetic", 0).columns)
        chosen = {key: names[at % len(names)] for key, at in self.options.items() if key in ("label", "cluster")}
        if "groups" in self.options:
            chosen["groups"] = list(dict.fromkeys(names[at % len(names)] for at in self.options["groups"]))
        if self.sources:
            chosen["cluster"] = "source"
        rest = {key: value for key, value in self.options.items() if key not in ("label", "groups", "cluster")}
        return {**frames, **rest, **chosen}

    def _frame(self, role: str, at: int) -> pd.DataFrame:
        n, rng = self.sizes[role], np.random.default_rng([self.seed, at])
        frame = pd.DataFrame({f"{kind} {i}": KINDS[kind](rng, n, at) for i, kind in enumerate(self.kinds)})
        if self.sources:  # of which train and holdout share some
            frame["source"] = rng.integers(0, max(2, n // self.sources), n) + 50 * at
        return frame


ROLES = (("train", "holdout", "synthetic"), ("real", "synthetic"), ("train", "holdout", "test", "synthetic"))


def drawn_sizes(rng: np.random.Generator) -> dict[str, int]:
    """Rows by role: from 1 to 300, few of them often."""
    roles = ROLES[rng.choice(len(ROLES), p=[0.6, 0.2, 0.2])]
    few = rng.choice([1, 2, 3, 5, 8, 12, 30, 100], len(roles), p=[0.04, *[0.96 / 7] * 7])
    return {
        role: int(small if rng.random() < 0.5 else rng.integers(2, 301)) for role, small in zip(roles, few, strict=True)
    }


def space(kind: str, sizes: Mapping[str, int], width: int, seed: int, *, labelled: bool) -> dict[str, Any]:
    """Feature arrays by role, with a table of labels, groups and sources beside them."""
    made: dict[str, Any] = {}
    for at, (role, n) in enumerate(sizes.items()):
        rng = np.random.default_rng([seed, at])
        features = SPACES[kind](rng.normal(size=(n, width)))
        beside = pd.DataFrame({"y": rng.choice(list("abc"), n), "g": rng.choice(["m", "f"], n, p=[0.9, 0.1])})
        made[role] = (features, beside) if labelled else features
    return made | ({"label": "y", "groups": ["g"]} if labelled else {})


def drawn_space(seed: int) -> dict[str, Any]:
    """A feature space by chance."""
    rng = np.random.default_rng(seed)
    kind, width = str(rng.choice(sorted(SPACES))), int(rng.choice([1, 2, 3, 8, 40]))
    return space(kind, drawn_sizes(rng), width, seed, labelled=bool(rng.random() < 0.5))
