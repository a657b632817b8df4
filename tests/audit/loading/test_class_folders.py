"""Class folders of images: used as labels where asked for, and told where not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from counterproof.loading.load import take_in


@pytest.fixture
def roles(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    for role in ("real", "synthetic"):
        for name in ("cat", "dog"):
            folder = tmp_path / role / name
            folder.mkdir(parents=True)
            for at in range(6):
                Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(folder / f"{at}.png")
    return {role: tmp_path / role for role in ("real", "synthetic")}


def test_labels_that_are_not_used_are_told(roles: dict[str, Path]) -> None:
    told = "the images carry labels (class folders or metadata) that are not used: add --label label"
    assert told in take_in(roles, encoder="pixels", cache=None).findings
    for asked in ({"label": "label"}, {"groups": ("label",)}):
        assert told not in take_in(roles, encoder="pixels", cache=None, **asked).findings  # type: ignore[arg-type]


def test_images_without_labels_say_nothing(roles: dict[str, Path]) -> None:
    flat = {role: folder / "cat" for role, folder in roles.items()}
    assert not [text for text in take_in(flat, encoder="pixels", cache=None).findings if "labels" in text]
