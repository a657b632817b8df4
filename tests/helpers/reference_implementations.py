"""What other libraries make of the same pictures and weights; they import where they are installed.

Networks compute in float64, so that what is left between two of them is no rounding.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from helpers.networks import grey_levels

Grey = NDArray[np.uint8]


@cache
def stub_torchvision() -> Any:
    """Let torchvision import beside a torch without CUDA: it asks for two operators that its wheel lacks there."""
    if find_spec("torchvision") is None:
        return None
    with contextlib.suppress(Exception):
        return importlib.import_module("torchvision")
    stub = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        stub.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return stub  # lives as long as the cache


def clean_resize(image: Grey) -> NDArray[np.float32]:
    """clean-fid's ``clean``: ``(3, 299, 299)``."""
    from cleanfid.resize import build_resizer

    return _first(build_resizer("clean")(image))


def pytorch_resize(image: Grey) -> NDArray[np.float32]:
    """clean-fid's ``legacy_pytorch``, which is pytorch-fid's: ``(3, 299, 299)``."""
    from cleanfid.resize import build_resizer

    return _first(build_resizer("legacy_pytorch")(image))


def tensorflow_resize(image: Grey) -> NDArray[np.float32]:
    """torch-fidelity's: ``(3, 299, 299)``."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    found = interpolate_bilinear_2d_like_tensorflow1x(grey_levels(image), size=(299, 299), align_corners=False)
    return np.asarray(found[0].numpy(), dtype=np.float32)


def clean_features(weights: Path, image: Grey) -> NDArray[np.float64]:
    """clean-fid's resize, and its copy of pytorch-fid's network."""
    grey = torch.from_numpy(clean_resize(image))[None]
    return _pooled(weights, ((grey - 128) / 128 + 1) / 2)


def pytorch_features(weights: Path, image: Grey) -> NDArray[np.float64]:
    """pytorch-fid's features, by clean-fid's copy of it."""
    return _pooled(weights, torch.from_numpy(pytorch_resize(image))[None] / 255)


def _pooled(weights: Path, seen: torch.Tensor) -> NDArray[np.float64]:
    from cleanfid import inception_pytorch

    inception_pytorch.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
    with torch.no_grad():
        found = inception_pytorch.InceptionV3([3], resize_input=False).eval().double()(seen.double())[0]
    return np.asarray(found[0, :, 0, 0].numpy())


def fidelity_features(weights: Path, image: Grey) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """torch-fidelity's features and logits."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("peer", ["2048", "logits"], feature_extractor_weights_path=str(weights))
    network.double().feature_extractor_internal_dtype = torch.float64
    with torch.no_grad():
        features, logits = network(torch.from_numpy(image).permute(2, 0, 1)[None])
    return features[0].numpy(), logits[0].numpy()


def torchmetrics_features(weights: Path, image: Grey) -> NDArray[np.float64]:
    """torchmetrics' features, 1.8 or later."""
    with contextlib.redirect_stderr(io.StringIO()):
        from torchmetrics.image.fid import NoTrainInceptionV3
    network = NoTrainInceptionV3("peer", ["2048"], feature_extractor_weights_path=str(weights)).double()
    network._dtype = torch.float64
    with torch.no_grad():
        found = network(torch.from_numpy(image).permute(2, 0, 1)[None])
    return np.asarray(found.numpy().reshape(-1))


def _first(image: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
