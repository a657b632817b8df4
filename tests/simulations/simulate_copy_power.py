"""How often ``leakage.copies`` finds what is planted, and how often it cries wolf.

``python tests/simulations/simulate_copy_power.py [REPEATS [points|tables|images POOL.npz]]`` prints one line a
scenario: how often the exact tests and the near test reject at 0.05, and how often an alarm (at 0.002) fails the
release. Images need ``POOL.npz`` with ``images`` of one size, grey: 3,000 of them are dealt anew each time, and
encoded by the default encoder.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.records import desk
from helpers.workbenches import bench

from counterproof.metrics.leakage._copy_search.matching import find_matches, tally
from counterproof.metrics.leakage._copy_search.near_copies import near_test, rank_spaces
from counterproof.metrics.leakage.copies import copy_alarm, same_columns, shared_level
from counterproof.metrics.workbench import Workbench

N = 1000
Floats = NDArray[np.float64]
Setting = tuple[str, Callable[[int], Workbench]]


def judged(at: Workbench) -> NDArray[np.bool_]:
    """Whether the exact tests reject at 0.05, the near test does, and an alarm goes off."""
    assert at.train is not None
    found = find_matches(at)
    member = np.isin(at.real.rows[found.rows], at.train.rows)
    exact = tally(at, at.real, found, member, found.matched, np.ones(len(member), dtype=bool))
    tests = [exact, *same_columns(at, found, member)]
    level, near_level = shared_level(tests)
    alarm, p = copy_alarm(tests, "", level)
    spaces = rank_spaces(at, found, member)
    near = near_test(spaces).p if spaces else 1.0
    return np.array([p < 0.05, near < 0.05, bool(alarm) or near < near_level])


# -- points -----------------------------------------------------------------------------------------


def points(rng: np.random.Generator, n: int, d: int) -> Floats:
    """A mixture of eight normal clouds."""
    centres = np.random.default_rng(d).normal(size=(8, d)) * 2
    return np.asarray(centres[rng.integers(0, 8, n)] + rng.normal(size=(n, d)))


def planted(release: Floats, train: Floats, k: int, noise: float, rng: np.random.Generator) -> Floats:
    """The release with ``k`` rows from train, with noise in standard deviations of each column."""
    rows = train[rng.permutation(len(train))[:k]]
    return np.concatenate([rows + noise * train.std(0) * rng.normal(size=rows.shape), release[k:]])


def points_bench(d: int, flaw: str, seed: int) -> Workbench:
    """Train, holdout and a release with one flaw."""
    rng = np.random.default_rng([d, seed])
    train, holdout, release = (points(rng, N, d) for _ in range(3))
    if flaw == "1 % exact":
        release = planted(release, train, N // 100, 0.0, rng)
    if flaw == "1 % near":
        release = planted(release, train, N // 100, 0.03, rng)
    if flaw == "train itself":
        release = train.copy()
    if flaw == "collapsed":  # one row in ten is a row of its own: the others repeat it with a little noise
        release = np.repeat(release[: N // 10], 10, axis=0) + 0.01 * rng.normal(size=(N, d))
    if flaw == "shrunken":
        release = release.mean(0) + 0.5 * (release - release.mean(0))
    if flaw == "far Gaussian":
        release = rng.normal(size=(N, d)) + 6.0
    return bench(train, holdout, release)


# -- tables -----------------------------------------------------------------------------------------


def table(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Fifteen columns of one hidden talent: seven numbers, eight categories."""
    talent = rng.normal(size=n)
    numbers = {f"n{i}": np.round(0.6 * talent + rng.normal(size=n), 3) for i in range(7)}
    kinds = {f"c{i}": np.clip(np.digitize(talent + rng.normal(size=n), [-1.0, 0, 1.0]), 0, 3) for i in range(8)}
    return pd.DataFrame({**numbers, **{name: np.array(list("abcd"))[code] for name, code in kinds.items()}})


def table_bench(flaw: str, held: int, n: int, seed: int) -> Workbench:
    """A mixed table with 1 % of the rows of the release from train, as they are or with noise on the numbers."""
    rng = np.random.default_rng([n, held, seed])
    train, holdout, release = table(rng, n), table(rng, held), table(rng, n)
    k = 0 if flaw == "perfect" else n // 100
    rows = train.iloc[rng.permutation(n)[:k]].reset_index(drop=True)
    if flaw == "1 % near":
        numbers = [name for name in rows if name.startswith("n")]
        rows[numbers] += 0.03 * train[numbers].std().to_numpy() * rng.normal(size=(k, len(numbers)))
    return desk(sources={"train": train, "holdout": holdout, "synthetic": pd.concat([rows, release[k:]])})


# -- images -----------------------------------------------------------------------------------------


def changed(images: NDArray[np.uint8], how: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Images shifted by one pixel, flipped, cropped by one pixel a side, or stored as JPEG."""
    from PIL import Image

    if how == "flipped":
        return images[:, :, ::-1]
    made = []
    for image in images:
        if how == "shifted":
            steps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
            made.append(np.roll(image, steps[rng.integers(8)], (0, 1)))
        elif how == "cropped":
            size = image.shape[::-1]
            made.append(np.asarray(Image.fromarray(image[1:-1, 1:-1]).resize(size, Image.Resampling.BILINEAR)))
        else:
            stored = io.BytesIO()
            Image.fromarray(image).save(stored, "JPEG", quality=int(rng.integers(50, 96)))
            made.append(np.asarray(Image.open(stored)))
    return np.stack(made)


def encoded(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features of the default encoder."""
    from counterproof.encoders.batches import encode
    from counterproof.encoders.registry import encoder_for

    return encode(encoder_for("auto", largest=images.shape[1]), np.repeat(images[..., None], 3, axis=-1))


def image_bench(pool: NDArray[np.uint8], features: NDArray[np.float32], flaw: str, seed: int) -> Workbench:
    """1,000 images a side; 2 % of the release are changed training images."""
    rng = np.random.default_rng([28, seed])
    order = rng.permutation(len(pool))[: 3 * N]
    images, known = pool[order].copy(), features[order].copy()
    if flaw != "perfect":
        k = N // 50
        images[2 * N : 2 * N + k] = changed(images[rng.permutation(N)[:k]], flaw, rng)
        known[2 * N : 2 * N + k] = encoded(images[2 * N : 2 * N + k])
    return bench(
        *np.split(known, 3),
        modality="image",
        digests=np.array([image.tobytes() for image in images]),
        pixels=lambda at: np.repeat(images[at][..., None], 3, axis=-1),
    )


def settings(chosen: list[str]) -> Iterator[Setting]:
    """The scenarios asked for."""
    if "points" in chosen:
        for d in (8, 16, 64):
            for flaw in ("perfect", "1 % exact", "1 % near", "collapsed", "shrunken", "far Gaussian", "train itself"):
                yield f"{flaw}, {d} dimensions", lambda seed, d=d, flaw=flaw: points_bench(d, flaw, seed)
    if "tables" in chosen:
        for n, held in ((1000, 1000), (2000, 500)):
            for flaw in ("perfect", "1 % exact", "1 % near"):
                name = f"{flaw}, 15 columns, train {n}, holdout {held}"
                yield name, lambda seed, flaw=flaw, held=held, n=n: table_bench(flaw, held, n, seed)
    if "images" in chosen:
        with np.load(chosen[-1]) as stored:
            pool = stored["images"][: 6 * N]
        features = encoded(pool)
        for flaw in ("perfect", "shifted", "flipped", "cropped", "stored as JPEG"):
            yield f"2 % {flaw} images", lambda seed, flaw=flaw: image_bench(pool, features, flaw, seed)


def main() -> None:
    """Print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    chosen: list[Any] = sys.argv[2:] or ["points", "tables"]
    print("| scenario | exact tests at 0.05 | near test at 0.05 | alarm |\n|---|---|---|---|")
    for name, make in settings(chosen):
        rates = np.mean([judged(make(seed)) for seed in range(repeats)], axis=0)
        print(f"| {name} | {' | '.join(f'{rate:.2f}' for rate in rates)} |", flush=True)


if __name__ == "__main__":
    main()
