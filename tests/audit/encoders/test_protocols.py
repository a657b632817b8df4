"""Each named protocol gives the pixels and features of the package it is named after.

Stored values were made by ``tests/simulations/protocol_fixtures.py`` with clean-fid 0.1.35, torch-fidelity 0.4.0 and
torchmetrics 1.9.0; where these packages import, they are compared with at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import reference_implementations as peers
from helpers.networks import SIZES, drawn_inception, grey_levels, picture

from counterproof.encoders.batches import encode
from counterproof.encoders.inception import empty, inception
from counterproof.encoders.protocols import (
    CLEAN,
    LEGACY_PYTORCH,
    LEGACY_TENSORFLOW,
    NAMED,
    Protocol,
    protocol_named,
)
from counterproof.encoders.registry import encoder_for
from counterproof.encoders.weight_files import load, matched_state
from counterproof.refusal import Refusal

STORED: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "protocols.json").read_text())
PICTURES = [picture(*size, seed=i) for i, size in enumerate(SIZES)]
NAMES = list(NAMED)
SEEN = [PICTURES[0], PICTURES[3]]  # one that is resized, and one of 299 pixels that is not
WITHIN = (5e-4, 1e-5)  # of features about 0.5: networks compute in float64, but resized pixels are float32


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "drawn.pth"
    torch.save(drawn_inception(), path)
    return path


@pytest.fixture(scope="module")
def features(weights: Path) -> dict[str, np.ndarray[Any, Any]]:
    """In float64: what is left between two packages is no rounding."""
    network = inception(matched_state(load(str(weights)), empty().state_dict())).double()
    with torch.inference_mode():
        return {name: network(seen(NAMED[name]).double()).numpy() for name in NAMES}


def seen(protocol: Protocol) -> torch.Tensor:
    return protocol.normalised(torch.cat([protocol.resized(grey_levels(image)) for image in SEEN]))


@pytest.mark.parametrize("name", STORED["resized"])
@pytest.mark.parametrize("which", range(len(SIZES)))
def test_pixels_are_those_of_the_package(name: str, which: int) -> None:
    grey = NAMED[name].resized(grey_levels(PICTURES[which]))[0].numpy()
    told = STORED["resized"][name][which]
    assert grey.mean(dtype=float) == pytest.approx(told["mean"], abs=1e-4)
    assert [grey[tuple(place)] for place in STORED["places"]] == pytest.approx(told["values"], abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_the_package(name: str, features: dict[str, np.ndarray[Any, Any]]) -> None:
    for ours, told, within in zip(features[name], STORED["features"][name], WITHIN, strict=True):
        assert ours[STORED["parts"]] == pytest.approx(told, abs=within)


def test_the_encoder_computes_in_float32(weights: Path, features: dict[str, np.ndarray[Any, Any]]) -> None:
    found = encode(encoder_for(f"inception@{weights}", largest=64), SEEN)
    assert found.dtype == np.float32
    assert np.abs(found - features["clean"]).max() < 1e-4 * features["clean"].max()


def test_protocols_are_further_apart_than_their_packages_are_from_us(
    features: dict[str, np.ndarray[Any, Any]],
) -> None:
    for i, one in enumerate(NAMES):
        for other in NAMES[:i]:
            assert np.abs(features[one] - features[other])[0].mean() > 0.01


@pytest.mark.parametrize(
    ("package", "name", "resize", "within"),
    [
        ("cleanfid", "clean", peers.clean_resize, 1e-3),
        ("cleanfid", "legacy-pytorch", peers.pytorch_resize, 1e-4),
        ("torch_fidelity", "legacy-tensorflow", peers.tensorflow_resize, 1e-4),
    ],
)
def test_pixels_here_and_now(package: str, name: str, resize: Callable[..., Any], within: float) -> None:
    importable(package)
    for image in PICTURES:
        ours = NAMED[name].resized(grey_levels(image))[0].numpy()
        assert np.abs(ours - resize(image)).max() <= within


@pytest.mark.parametrize(
    ("package", "name", "of"),
    [
        ("cleanfid", "clean", peers.clean_features),
        ("cleanfid", "legacy-pytorch", peers.pytorch_features),
        ("torch_fidelity", "legacy-tensorflow", lambda path, image: peers.fidelity_features(path, image)[0]),
        ("torch_fidelity", "torchmetrics", peers.torchmetrics_features),
    ],
)
def test_features_here_and_now(
    package: str, name: str, of: Callable[..., Any], weights: Path, features: dict[str, np.ndarray[Any, Any]]
) -> None:
    importable(package)
    for ours, image, within in zip(features[name], SEEN, WITHIN, strict=True):
        assert np.abs(ours - of(weights, image)).max() <= within


def test_logits_here_and_now(weights: Path, features: dict[str, np.ndarray[Any, Any]]) -> None:
    importable("torch_fidelity")
    head = encoder_for(f"inception@{weights}", largest=64).head
    assert head is not None
    ours = features["legacy-tensorflow"] @ head.weight.T + head.bias
    theirs = np.stack([peers.fidelity_features(weights, image)[1] for image in SEEN])
    assert ours[1] == pytest.approx(theirs[1], abs=1e-5)  # which torch-fidelity returns in float32


def importable(package: str) -> None:
    peers.stub_torchvision()
    try:
        __import__(package)
    except Exception as error:  # torchvision inside them fails in many ways
        pytest.skip(f"{package} cannot be imported: {error}")


# -- properties of each resize ----------------------------------------------------------------------


@pytest.mark.parametrize("protocol", NAMED.values(), ids=NAMES)
def test_one_colour_stays_and_bounds_hold(protocol: Protocol) -> None:
    plain = torch.full((1, 3, 17, 60), 93.0)
    assert protocol.resized(plain).numpy() == pytest.approx(93, abs=1e-4)
    harsh = grey_levels(((np.indices((40, 40)).sum(0) % 2)[..., None].repeat(3, 2) * 255).astype(np.uint8))
    made = protocol.resized(harsh)
    assert made.shape == (1, 3, 299, 299)
    assert made.min() >= 0
    assert made.max() <= 255


@pytest.mark.parametrize("protocol", NAMED.values(), ids=NAMES)
def test_images_of_the_right_size_are_left_alone(protocol: Protocol) -> None:
    image = grey_levels(picture(299))
    assert protocol.resized(image) is image


def test_tensorflow_samples_at_corners_by_hand() -> None:
    ramp = torch.tensor([0.0, 30.0, 60.0]).expand(1, 3, 3, 3)
    made = replace(LEGACY_TENSORFLOW, side=6).resized(ramp)
    assert made[0, 0, 0].tolist() == [0, 15, 30, 45, 60, 60]  # places 0, ½, 1, 1½, 2, and 2½ held at the edge
    centred = replace(LEGACY_PYTORCH, side=6).resized(ramp)
    assert centred[0, 0, 0].tolist() == pytest.approx([0, 7.5, 22.5, 37.5, 52.5, 60])


def test_a_single_pixel_can_be_resized() -> None:
    for protocol in NAMED.values():
        assert protocol.resized(torch.full((1, 3, 1, 1), 7.0)).numpy() == pytest.approx(7, abs=1e-5)


def test_quantised_pixels_are_whole() -> None:
    made = replace(CLEAN, quantise=True, side=50).resized(grey_levels(picture(64)))
    assert torch.equal(made, made.round())


def test_normalising_follows_the_stated_formula() -> None:
    grey = torch.tensor([0.0, 128.0, 255.0]).reshape(1, 1, 1, 3).expand(1, 3, 1, 3)
    assert LEGACY_PYTORCH.normalised(grey)[0, 0, 0].tolist() == pytest.approx([-1, 2 * 128 / 255 - 1, 1])
    assert CLEAN.normalised(grey)[0, 0, 0].tolist() == pytest.approx([-1, 0, 127 / 128])
    each = Protocol(side=1, layer="x", shift=(0.0, 1.0, 2.0), scale=(1.0, 2.0, 4.0)).normalised(grey)
    assert each[0, :, 0, 2].tolist() == pytest.approx([255, 127, 63.25])


def test_every_protocol_tells_itself_apart_in_one_line() -> None:
    lines = {str(protocol) for protocol in NAMED.values()}
    assert len(lines) == len(NAMED)
    assert str(CLEAN) == "side 299, bicubic antialiased clamped, (x - 128) / 128, pool of 2048, float32"


def test_unknown_protocols_are_refused_with_the_nearest() -> None:
    with pytest.raises(Refusal, match="did you mean legacy-pytorch"):
        protocol_named("legacy_pytorch")
    with pytest.raises(Refusal, match="there are clean, legacy-tensorflow, legacy-pytorch, torchmetrics"):
        protocol_named("zzz")
