"""Parts of a Fréchet distance equal the closed form of each column, and the rest is what lies between columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.workbenches import bench
from scipy.linalg import sqrtm

from counterproof.metrics.frechet.contributions import SHOWN, contributions

N = 400


def frechet(left: np.ndarray, right: np.ndarray) -> float:
    """The textbook formula."""
    one, other = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (left, right))
    shift = left.mean(0) - right.mean(0)
    return float(shift @ shift + np.trace(one + other - 2 * np.real(sqrtm(one @ other))))


def rows(
    real: np.ndarray, release: np.ndarray, whole: float | None = None, **corpus: Any
) -> dict[str, tuple[Any, ...]]:
    evidence, panel = contributions(bench(real[:N], real[N:], release, **corpus), whole=whole)
    assert panel.data["values"] == [row[1] for row in evidence.rows]
    assert panel.data["labels"] == [row[0] for row in evidence.rows]
    return {row[0]: row[1:] for row in evidence.rows}


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    """Columns a (one feature, shifted), b (one, wider), c (two features, turned)."""
    rng = np.random.default_rng(4)
    real, release = rng.normal(size=(2 * N, 4)), rng.normal(size=(N, 4))
    real[:, 3] += 2 * real[:, 2]
    release[:, 0] += 3
    release[:, 1] *= 2
    release[:, 3] -= 2 * release[:, 2]
    return real, release


def test_each_column_has_the_closed_form_of_its_own_features(table: tuple[np.ndarray, np.ndarray]) -> None:
    real, release = table
    blocks = {"a": [0], "b": [1], "c": [2, 3]}
    found = rows(real, release, blocks=tuple(map(np.array, blocks.values())), block_names=tuple(blocks))
    assert list(found) == sorted(blocks, key=lambda name: -found[name][0]), "the largest part first"
    for name, block in blocks.items():
        part, shift, spread = found[name]
        left, right = real[N:][:, block], release[:, block]
        assert part == pytest.approx(frechet(left, right), rel=1e-8)
        assert shift == pytest.approx(((left.mean(0) - right.mean(0)) ** 2).sum(), rel=1e-12)
        assert part == pytest.approx(shift + spread)
    one_feature = (real[N:, 1].std(ddof=1) - release[:, 1].std(ddof=1)) ** 2
    assert found["b"][2] == pytest.approx(one_feature, rel=1e-9)


def test_the_rest_is_dependence_between_columns(table: tuple[np.ndarray, np.ndarray]) -> None:
    real, release = table
    whole = frechet(real[N:], release)
    columns = tuple(np.array([at]) for at in range(4))
    found = rows(real, release, whole, blocks=columns, block_names=("a", "b", "c", "d"))
    parts = sum(part for name, (part, _, _) in found.items() if name != "between columns")
    assert found["between columns"][0] == pytest.approx(whole - parts)
    assert found["between columns"][0] > 1, "c and d hang together the other way round"
    merged = rows(real, release, whole, blocks=(np.arange(4),), block_names=("all",))
    assert merged["between columns"][0] == pytest.approx(0, abs=1e-9)


def test_a_space_is_taken_apart_by_principal_axes(table: tuple[np.ndarray, np.ndarray]) -> None:
    real, release = table
    found = rows(real, release)
    assert sorted(found) == ["axis 1", "axis 2", "axis 3", "axis 4"]
    shift = sum(shift for _, shift, _ in found.values())
    assert shift == pytest.approx(((real[N:].mean(0) - release.mean(0)) ** 2).sum(), rel=1e-9), "axes are a rotation"
    assert all(spread >= 0 for _, _, spread in found.values())


def test_the_smallest_parts_are_left_out_of_long_lists() -> None:
    rng = np.random.default_rng(5)
    real, release = rng.normal(size=(2 * N, 20)), rng.normal(size=(N, 20)) + np.arange(20)
    found = rows(real, release, blocks=tuple(np.array([at]) for at in range(20)))
    assert list(found) == [f"block {at}" for at in range(20, 20 - SHOWN, -1)]
