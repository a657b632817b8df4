"""Writes tests/data/protocols.json: what clean-fid, torch-fidelity and torchmetrics make of drawn pictures.

Run where they import: ``python tests/simulations/protocol_fixtures.py``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from helpers import reference_implementations as peers  # noqa: E402
from helpers.networks import SIZES, drawn_inception, picture  # noqa: E402

from counterproof.encoders.protocols import TORCHMETRICS  # noqa: E402

PLACES = [(i % 3, i * 37 % 299, i * 101 % 299) for i in range(24)]
PARTS = list(range(0, 2048, 128))


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    peers.stub_torchvision()
    resizes = {
        "clean": peers.clean_resize,
        "legacy-tensorflow": peers.tensorflow_resize,
        "legacy-pytorch": peers.pytorch_resize,
    }
    made: dict[str, object] = {"places": PLACES, "parts": PARTS}
    pictures = [picture(*size, seed=i) for i, size in enumerate(SIZES)]
    made["resized"] = {name: [_told(resize(one)) for one in pictures] for name, resize in resizes.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.pth"
        torch.save(drawn_inception(), path)
        features = {
            "clean": lambda one: peers.clean_features(path, one),
            "legacy-tensorflow": lambda one: peers.fidelity_features(path, one)[0],
            "legacy-pytorch": lambda one: peers.pytorch_features(path, one),
            TORCHMETRICS.name: lambda one: peers.torchmetrics_features(path, one),
        }
        made["features"] = {
            name: [_parts(of(one)) for one in (pictures[0], pictures[3])] for name, of in features.items()
        }
    (ROOT / "data" / "protocols.json").write_text(json.dumps(made) + "\n")


def _told(grey: np.ndarray) -> dict[str, object]:
    return {"mean": float(grey.mean()), "values": [round(float(grey[place]), 6) for place in PLACES]}


def _parts(features: np.ndarray) -> list[float]:
    return [round(float(features[i]), 8) for i in PARTS]


if __name__ == "__main__":
    main()
