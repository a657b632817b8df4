"""The default policy on fresh real rows: how often it passes, fails, or cannot tell.

Every draw deals real rows anew into train, holdout, test and a "release" of fresh real rows, and
runs the whole audit. A good policy says PASS; at small n INCONCLUSIVE is right and FAIL never is.

    python tests/simulations/simulate_policy.py --table census --n 5000 --draws 100
    python tests/simulations/simulate_policy.py --images tests/data/fashion --n 2000 --draws 40

Tables: ``census`` (15,000 rows that ship), or a CSV with ``--label`` and ``--groups``; images: a
``.npz`` with ``images`` and ``labels``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Outcome = tuple[str, dict[str, str], float]


def census() -> pd.DataFrame:
    """All 15,000 shipped rows."""
    folder = Path(str(files("counterproof") / "data" / "census"))
    return pd.concat(
        [pd.read_parquet(folder / f"{n}.parquet") for n in ("train", "holdout", "test")], ignore_index=True
    )


def table_draw(
    draw: int, frame: pd.DataFrame, n: int, label: str, groups: tuple[str, ...], metrics: tuple[str, ...] = ()
) -> Outcome:
    """One audit of fresh rows; with rows to spare, the rest (at most n) is the test role."""
    from counterproof import audit

    order = np.random.default_rng([20261121, draw]).permutation(len(frame))
    parts = [frame.iloc[order[i * n : (i + 1) * n]].reset_index(drop=True) for i in range(4)]
    roles: dict[str, Any] = dict(zip(("train", "holdout", "synthetic", "test"), parts, strict=True))
    if len(roles["test"]) < n // 2:
        del roles["test"]
    started = time.perf_counter()
    record = audit(**roles, label=label, groups=groups, metrics=metrics, seed=draw)
    return record.verdict, {g.expression: g.verdict for g in record.gates}, time.perf_counter() - started


def image_draw(draw: int, path: str, n: int) -> Outcome:
    """One audit of fresh images; features of the whole pool are encoded once and dealt."""
    from counterproof import audit

    with np.load(path, allow_pickle=False) as stored:
        features, labels = stored["features"], stored["labels"]
    order = np.random.default_rng([20261121, draw]).permutation(len(features))
    parts = [order[i * n : (i + 1) * n] for i in range(3)]
    roles = {
        role: (features[part], pd.DataFrame({"label": labels[part]}))
        for role, part in zip(("train", "holdout", "synthetic"), parts, strict=True)
    }
    started = time.perf_counter()
    record = audit(**roles, label="label", seed=draw)
    return record.verdict, {g.expression: g.verdict for g in record.gates}, time.perf_counter() - started


def encode_pool(path: Path, out: Path) -> None:
    """Encode a pool of images once: ``images`` (n, h, w) and ``labels`` to ``features``."""
    from counterproof.loading.load import take_in

    with np.load(path, allow_pickle=False) as stored:
        images, labels = stored["images"], stored["labels"]
    with tempfile.TemporaryDirectory() as folder:
        halves = [Path(folder) / "real.npz", Path(folder) / "synthetic.npz"]
        np.savez(halves[0], images=images[::2])
        np.savez(halves[1], images=images[1::2])
        intake = take_in({"real": halves[0], "synthetic": halves[1]})
    features = np.empty((len(images), intake.corpus.features.shape[1]), dtype=np.float32)
    features[::2], features[1::2] = (intake.corpus.features[intake.roles[role]] for role in ("real", "synthetic"))
    np.savez(out, features=features, labels=labels.astype(str))


def tell(outcomes: list[Outcome]) -> None:
    """Print the table."""
    whole = Counter(verdict for verdict, _, _ in outcomes)
    seconds = np.median([s for _, _, s in outcomes])
    print(f"\n{'gate':<72} pass incl fail  n/a  err")
    names = list(dict.fromkeys(name for _, gates, _ in outcomes for name in gates))
    for name in names:
        seen = Counter(gates.get(name, "not_applicable") for _, gates, _ in outcomes)
        cells = (seen[v] for v in ("pass", "inconclusive", "fail", "not_applicable", "error"))
        print(f"{name:<72} " + " ".join(f"{k:>4}" for k in cells))
    print(f"{'WHOLE':<72} " + " ".join(f"{whole[v]:>4}" for v in ("pass", "inconclusive", "fail")))
    print(f"median {seconds:.1f} s an audit", flush=True)


def main() -> None:
    """Read options, run the draws, print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--table", default="census")
    options.add_argument("--images")
    options.add_argument("--label", default="income")
    options.add_argument("--groups", default="sex,race")
    options.add_argument("--n", type=int, default=5000)
    options.add_argument("--draws", type=int, default=100)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--metrics", default="", help="families or metrics, all by default; tables only")
    options.add_argument("--workers", type=int, default=2)
    chosen = options.parse_args()
    os.environ.setdefault("COUNTERPROOF_CACHE", tempfile.mkdtemp())
    if chosen.images:
        pool = Path(tempfile.mkdtemp()) / "features.npz"
        encode_pool(Path(chosen.images), pool)
        one = partial(image_draw, path=str(pool), n=chosen.n)
    else:
        frame = census() if chosen.table == "census" else pd.read_csv(chosen.table)
        groups = tuple(name for name in chosen.groups.split(",") if name)
        metrics = tuple(filter(None, chosen.metrics.split(",")))
        one = partial(table_draw, frame=frame, n=chosen.n, label=chosen.label, groups=groups, metrics=metrics)
    context = multiprocessing.get_context("spawn")
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(chosen.workers, mp_context=context) as pool_of:
        for outcome in pool_of.map(one, range(chosen.first, chosen.first + chosen.draws)):
            outcomes.append(outcome)
            odd = [f"{name}: {v}" for name, v in outcome[1].items() if v not in ("pass", "not_applicable")]
            print(len(outcomes), outcome[0], f"{outcome[2]:.0f} s", *odd, sep="  ", flush=True)
    tell(outcomes)


if __name__ == "__main__":
    main()
