"""Features given as arrays, with or without a table beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from counterproof.loading.load import take_in


@pytest.fixture
def features() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


def test_features_pass_unchanged(features: np.ndarray[Any, Any]) -> None:
    found = take_in({"train": features, "holdout": features[:10], "synthetic": features[5:]})
    assert found.corpus.modality == "features"
    assert np.array_equal(found.corpus.features, np.concatenate([features, features[:10], features[5:]]))
    assert np.array_equal(found.corpus.digests[:10], found.corpus.digests[30:40])
    assert len(np.unique(found.corpus.digests)) == 30
    assert found.corpus.blocks is None


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_files_are_read_with_the_table_beside_them(features: np.ndarray[Any, Any], tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"label": ["a", "b", "c"] * 10, "sex": ["f", "m"] * 15})
    if name.endswith("npy"):
        np.save(tmp_path / name, features)
    else:
        np.savez(tmp_path / name, features=features)
    frame.to_parquet(tmp_path / "x.parquet")
    read = take_in({"real": tmp_path / name, "synthetic": (features, frame)}, label="label", groups=["sex"])
    assert read.digests["real"] == read.digests["synthetic"]
    assert read.corpus.labels is not None
    assert read.corpus.labels.tolist() == ["a", "b", "c"] * 20
    assert read.corpus.groups["sex"].tolist() == ["f", "m"] * 30
    assert read.sources["real"] == f"…/{tmp_path.name}/{name}", "as reports name it"


def test_labels_may_lie_in_the_npz(features: np.ndarray[Any, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=features, y=np.arange(30) % 2)
    read = take_in({"real": tmp_path / "x.npz", "synthetic": tmp_path / "x.npz"}, label="label")
    assert read.corpus.labels is not None
    assert read.corpus.labels[:3].tolist() == ["0", "1", "0"]


def test_zero_and_minus_zero_are_the_same_row() -> None:
    found = take_in({"real": np.array([[0.0, 1.0], [2.0, 3.0]]), "synthetic": np.array([[-0.0, 1.0], [2.0, 4.0]])})
    assert (found.corpus.digests[:2] == found.corpus.digests[2:]).tolist() == [True, False]
