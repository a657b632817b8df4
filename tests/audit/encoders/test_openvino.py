"""OpenVINO gives the features of torch, from any number of threads; without it there is one sentence."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from counterproof.encoders.batches import encode
from counterproof.encoders.registry import encoder_for
from counterproof.refusal import Refusal


def images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return list(coarse.repeat(8, axis=1).repeat(8, axis=2))


def test_features_are_those_of_torch_and_do_not_depend_on_workers() -> None:
    pytest.importorskip("openvino")
    fast, plain = (encoder_for(name, largest=64) for name in ("openvino:auto", "auto"))
    seen = images(40)
    features = encode(fast, seen, workers=2)
    np.testing.assert_array_equal(features, encode(fast, seen, workers=1))
    expected = encode(plain, seen)
    assert abs(features - expected).max() < 1e-5 * abs(expected).max()
    assert "OpenVINO" in fast.protocol
    assert fast.protocol != plain.protocol
    assert fast.head is not None


def test_without_openvino_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(Refusal, match="pip install openvino"):
        encoder_for("openvino:auto", largest=64)


def test_pixels_are_no_network() -> None:
    with pytest.raises(Refusal, match="OpenVINO runs networks"):
        encoder_for("openvino:pixels", largest=64)
