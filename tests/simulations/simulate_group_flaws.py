"""One group rendered worse: how often it is found, how often faithful releases alarm, and how wide gaps are by luck.

Fresh real rows are dealt into train, holdout and release. In the planted releases one group is
rendered worse: of a table's group, some of every row's columns come from other rows of the group (its
columns stay faithful, what joins them is blurred), or every row gets noise; of images, one class is
blurred with a Gaussian. A flaw is found where a gap beyond that of real groups fails its tolerance, as one of 60
gates and cells.

    python tests/simulations/simulate_group_flaws.py census --n 1000 --draws 60
    python tests/simulations/simulate_group_flaws.py fashion --n 1000 --draws 30
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.workbenches import bench
from simulate_policy import census

from counterproof.loading.load import take_in, take_in_one
from counterproof.metrics.estimate import Group
from counterproof.metrics.fairness.subgroup_fidelity import subgroup_fidelity
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Floats

Plant = Callable[[np.random.Generator, Floats, dict[str, np.ndarray], np.ndarray], None]
GATES = 60  # gates and cells that a FAIL is adjusted for
FASHION = Path(__file__).parents[1] / "data" / "fashion"


def table_pool() -> tuple[Floats, dict[str, np.ndarray], dict[str, Plant]]:
    """Encoded census rows, their groups, and how each flaw is planted among rows of the release."""
    frame = census()
    parts = {role: frame.iloc[k::3].reset_index(drop=True) for k, role in enumerate(("train", "holdout", "synthetic"))}
    corpus = take_in(parts, label="income", groups=["sex", "race"]).corpus
    assert corpus.blocks is not None
    blocks = corpus.blocks

    def mixed(column: str, value: str, share: float) -> Plant:
        def plant(rng: np.random.Generator, rows: Floats, groups: dict[str, np.ndarray], _: np.ndarray) -> None:
            inside = np.flatnonzero(groups[column] == value)
            taken = rows[inside].copy()
            for block in blocks:
                moved = rng.random(len(inside)) < share
                rows[np.ix_(inside[moved], block)] = taken[np.ix_(rng.permutation(len(inside))[moved], block)]

        return plant

    def noised(column: str, value: str, share: float) -> Plant:
        def plant(rng: np.random.Generator, rows: Floats, groups: dict[str, np.ndarray], _: np.ndarray) -> None:
            inside = groups[column] == value
            rows[inside] += share * rows.std(axis=0) * rng.normal(size=(int(inside.sum()), rows.shape[1]))

        return plant

    plants = {
        "Female, half mixed": mixed("sex", "Female", 0.5),
        "Black, half mixed": mixed("race", "Black", 0.5),
        "Black, all mixed": mixed("race", "Black", 1.0),
        "Black, noise of half a spread": noised("race", "Black", 0.5),
        "Black, noise of a spread": noised("race", "Black", 1.0),
    }
    return np.asarray(corpus.features, dtype=np.float64), dict(corpus.groups), plants


def image_pool(
    blurred: str = "pullover", radius: float = 1.5
) -> tuple[Floats, dict[str, np.ndarray], dict[str, Plant]]:
    """Encoded real images, their classes as groups, and the same images of one class blurred."""
    from PIL import Image, ImageFilter

    with tempfile.TemporaryDirectory() as folder:
        plain, soft = Path(folder, "plain"), Path(folder, "soft")
        labels = []
        for part in ("train", "holdout"):
            with zipfile.ZipFile(FASHION / f"{part}.zip") as packed:
                for name in sorted(n for n in packed.namelist() if n.endswith(".png")):
                    labels.append(Path(name).parent.name)
                    image, stem = Image.open(io.BytesIO(packed.read(name))), f"{len(labels):05}.png"
                    for root, made in ((plain, image), (soft, image.filter(ImageFilter.GaussianBlur(radius)))):
                        root.mkdir(exist_ok=True)
                        if root is plain or labels[-1] == blurred:
                            made.save(root / stem)
        sharp = take_in_one(plain).corpus.features
        veiled = np.zeros_like(sharp)
        veiled[np.array(labels) == blurred] = take_in_one(soft).corpus.features

    def plant(_: np.random.Generator, rows: Floats, groups: dict[str, np.ndarray], at: np.ndarray) -> None:
        inside = groups["label"] == blurred
        rows[inside] = veiled[at[inside]]

    return np.asarray(sharp, dtype=np.float64), {"label": np.array(labels)}, {f"{blurred} blurred": plant}


def judged(
    features: Floats, groups: dict[str, np.ndarray], order: np.ndarray, n: int, plant: Plant | None, seed: int
) -> dict[tuple[str, Group], Value]:
    """The metric on one deal of the rows."""
    parts = [features[order[k * n : (k + 1) * n]] for k in range(3)]
    dealt = {name: values[order[: 3 * n]] for name, values in groups.items()}
    if plant is not None:
        made = {name: values[2 * n :] for name, values in dealt.items()}
        plant(np.random.default_rng([5, seed]), parts[2], made, order[2 * n : 3 * n])
    at = bench(*parts, groups=dealt, seed=seed)
    return {(v.field, v.group): v for v in subgroup_fidelity.values(at, subgroup_fidelity.configure({}))}


def main() -> None:
    """Print, for each flaw, how often each gap fails, passes and is decidable, and its median."""
    features, groups, plants = table_pool() if ARGS.data == "census" else image_pool(radius=ARGS.radius)
    limits = {tolerance.field: tolerance.limit for tolerance in subgroup_fidelity.tolerances}
    print(f"{ARGS.data}, n = {ARGS.n}, {ARGS.draws} draws", flush=True)
    for name, plant in {"fresh rows": None, **({} if ARGS.fresh else plants)}.items():
        seen: dict[tuple[str, Group], list[tuple[float, bool, bool, bool]]] = {}
        for draw in range(ARGS.draws):
            order = np.random.default_rng([20261122, draw]).permutation(len(features))
            for place, value in judged(features, groups, order, ARGS.n, plant, draw).items():
                e, faithful, limit = value.estimate, value.expected, limits.get(place[0])
                if e is None or faithful is None or limit is None:
                    continue
                room = limit - 1.645 * faithful.error
                seen.setdefault(place, []).append(
                    (
                        e.value,
                        e.bound("low", 1 - 0.05 / GATES) > limit,
                        e.bound("high", 0.95) <= limit,
                        room >= 1.282 * faithful.spread,
                    )
                )
        for (field, group), found in seen.items():
            values, fails, passes, decidable = np.array(found, dtype=float).T
            print(
                f"  {name}: {field} of {group[0][1]}: fails {fails.mean():.2f}, passes {passes.mean():.2f}, decidable "
                f"{decidable.mean():.2f} of {len(found)}; median {np.median(values):.3f}, most {values.max():.3f}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["census", "fashion"])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--radius", type=float, default=1.0, help="of the blur, in pixels")
    parser.add_argument("--fresh", action="store_true", help="no planted flaws")
    ARGS = parser.parse_args()
    main()
