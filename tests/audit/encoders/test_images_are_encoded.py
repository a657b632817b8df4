"""Image encoders: the embedded network is the published one, and an image's features are its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from counterproof.encoders import efficientnet
from counterproof.encoders.base import BATCH, Encoder, module_digest
from counterproof.encoders.batches import encode
from counterproof.encoders.protocols import CLEAN
from counterproof.encoders.registry import encoder_for
from counterproof.inputs.images import Pixels
from counterproof.loading.load import take_in
from counterproof.refusal import Refusal

# of efficientnet_lite_pytorch 0.1.0 with the same weights, on the picture below
PUBLISHED = {
    64: ({2: 1.56937, 264: 2.54574, 422: 0.0882, 616: 6.0, 887: 0.19023, 1105: 0.83114}, 401.605, 1192.895),
    224: ({9: 0.65392, 338: 0.27277, 645: 0.22388, 944: 0.92341, 1247: 0.14786}, 128.914, 248.737),
}


def picture(side: int) -> Pixels:
    y, x = np.mgrid[0:side, 0:side]
    return np.stack([(x * 4) % 256, (y * 4) % 256, ((x + y) * 2) % 256], axis=2).astype(np.uint8)


def photos(n: int, shape: tuple[int, int] = (40, 40), seed: int = 0) -> list[Pixels]:
    return list(np.random.default_rng(seed).integers(0, 256, (n, *shape, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def network() -> Encoder:
    return encoder_for("efficientnet", largest=28)


@pytest.mark.parametrize("side", [64, 224])
def test_the_embedded_network_is_the_published_one(side: int) -> None:
    encoder = encoder_for("auto", largest=28, side=side)
    features = encode(encoder, [picture(side)])
    values, total, square = PUBLISHED[side]
    assert features.shape == (1, 1280)
    assert features.dtype == np.float32
    assert {i: features[0, i] for i in values} == pytest.approx(values, abs=1e-4)
    assert features.sum() == pytest.approx(total, abs=2e-3)
    assert (features.astype(float) ** 2).sum() == pytest.approx(square, abs=2e-2)


def test_small_images_are_encoded_at_64_and_larger_ones_at_224() -> None:
    assert encoder_for("auto", largest=96).side == 64
    assert encoder_for("auto", largest=97).side == 224
    assert "side 64, bicubic antialiased clamped" in encoder_for("auto", largest=96).protocol


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"rubbish")
    with pytest.raises(Refusal, match="not the published ones"):
        efficientnet.load(tmp_path / "w.pth")
    with pytest.raises(Refusal, match="cannot be read"):
        efficientnet.load(tmp_path / "none.pth")


@pytest.mark.parametrize(("shape", "side"), [((28, 28), 64), ((300, 200), 64), ((17, 90), 32)])
def test_images_are_resized_as_pillow_does_without_rounding(shape: tuple[int, int], side: int) -> None:
    image = photos(1, shape)[0]
    grey = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    ours = replace(CLEAN, side=side).resized(grey)[0].numpy()
    for channel in range(3):
        plane = Image.fromarray(image[:, :, channel].astype(np.float32))
        theirs = np.clip(np.asarray(plane.resize((side, side), Image.Resampling.BICUBIC)), 0, 255)
        assert np.abs(ours[channel] - theirs).max() < 0.01


def test_features_do_not_depend_on_neighbours_or_their_number(network: Encoder) -> None:
    images = photos(BATCH + 5, (28, 28)) + photos(3, (20, 33))
    together = encode(network, images)
    assert np.array_equal(together[-1], encode(network, images[-1:])[0])
    assert np.array_equal(together[::-1], encode(network, images[::-1]))


def test_the_number_of_threads_changes_nothing(network: Encoder) -> None:
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(encode(network, photos(8)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*found)


def test_pixels_are_encoded_as_they_are_up_to_32() -> None:
    small = encoder_for("pixels", largest=12)
    image = photos(1, (12, 12))[0]
    expected = (image.transpose(2, 0, 1).reshape(-1).astype(np.float32) - 127.5) / 127.5
    assert encode(small, [image])[0] == pytest.approx(expected, abs=1e-6)
    assert encoder_for("pixels", largest=500).side == 32


class Mean(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(x * self.scale)


def test_any_module_encodes_rgb_from_0_to_1() -> None:
    module = Mean(2.0)
    encoder = encoder_for(module, largest=40)
    image = np.full((40, 40, 3), (255, 0, 51), dtype=np.uint8)
    assert encode(encoder, [image])[0] == pytest.approx([2, 0, 0.4])
    assert encoder.name == "Mean"
    assert module.training  # the caller's module is left as it was


def test_the_digest_of_a_module_follows_its_weights_and_code() -> None:
    class Other(Mean):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.drop(x - self.scale)

    Other.__name__ = Other.__qualname__ = "Mean"
    assert module_digest(Mean(2.0)) == module_digest(Mean(2.0))
    assert len({module_digest(m) for m in (Mean(2.0), Mean(3.0), Other(2.0))}) == 3


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_files_encode_like_their_module(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Mean(2.0).eval()), str(tmp_path / "mean.pt"))  # type: ignore[no-untyped-call]
    images = photos(3)
    scripted = encode(encoder_for(str(tmp_path / "mean.pt"), largest=40), images)
    assert np.array_equal(scripted, encode(encoder_for(Mean(2.0), largest=40), images))


class Wrong(nn.Module):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: torch.Tensor) -> Any:
        return self.answer(x)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x.mean(), "must turn"),
        (lambda x: x[:1].flatten(1), "must turn"),
        (lambda x: (x,), "must turn"),
        (lambda x: x.flatten(1) / 0, "not finite"),
    ],
)
def test_modules_that_give_no_features_are_refused(answer: Any, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        encode(encoder_for(Wrong(answer), largest=8), photos(2, (8, 8)))


def test_copies_and_worse_images_show_in_the_features() -> None:
    rng = np.random.default_rng(0)
    smooth = [np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((7, 7, 1))).astype(np.uint8) for _ in range(40)]
    noisy = np.clip(np.array(smooth) + rng.normal(0, 60, (40, 28, 28, 3)), 0, 255).astype(np.uint8)
    found = take_in(
        {"train": np.array(smooth[:20]), "holdout": np.array(smooth[20:]), "synthetic": noisy[:20]}, cache=None
    )
    train, holdout, made = (found.corpus.features[rows].mean(0) for rows in found.roles.values())
    assert np.linalg.norm(made - train) > 2 * np.linalg.norm(holdout - train)
    assert found.encoder == "efficientnet-lite0"
    assert found.corpus.protocol.startswith("efficientnet-lite0, side 64")
