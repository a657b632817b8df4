"""Encoders on OpenVINO, where it is installed: the same features, to float32's last digits, in less time."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from counterproof.encoders.base import Encoder, images_per_call, pooled_features
from counterproof.refusal import Refusal

PREFIX = "openvino:"
# One thread each: the encoding threads are the parallelism. float32, as in published numbers.
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}


def on_openvino(encoder: Encoder) -> Encoder:
    """The same encoder, its network compiled by OpenVINO for the CPU, in float32.

    The runtime stands in the protocol, since features may differ in the last digits.

    Args:
        encoder: One with a network, on the CPU.

    Raises:
        Refusal: OpenVINO is not installed or cannot be imported, or cannot take the network.
    """
    if encoder.network is None or encoder.device.type != "cpu":
        raise Refusal(f"{PREFIX}{encoder.name}: OpenVINO runs networks on the CPU; leave {PREFIX!r} out")
    runtime = _runtime()
    side, conventions, name = encoder.side, encoder.conventions, f"{encoder.name} on OpenVINO {_version(runtime)}"
    count = images_per_call(encoder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing tells of shapes that stay as they are
            model = runtime.convert_model(encoder.network, example_input=torch.zeros(count, 3, side, side))
            compiled = runtime.Core().compile_model(model, "CPU", SETTINGS)
    except Exception as error:
        raise Refusal(f"{PREFIX}{encoder.name}: OpenVINO cannot take this network ({type(error).__name__})") from None
    requests = threading.local()

    def forward(images: Tensor) -> Tensor:
        request = getattr(requests, "one", None)
        if request is None:
            request = requests.one = compiled.create_infer_request()
        made = request.infer([conventions.normalised(images).contiguous().numpy()])
        return pooled_features(torch.from_numpy(made[compiled.output(0)].copy()), len(images), name, side)

    return replace(encoder, name=name, forward=forward, network=None)


def _runtime() -> Any:
    try:
        import openvino
    except Exception as error:  # a broken installation may raise anything
        raise Refusal(
            f"{PREFIX}…: OpenVINO cannot be imported ({type(error).__name__}): pip install openvino, "
            f"or leave {PREFIX!r} out"
        ) from None
    return openvino


def _version(runtime: Any) -> str:
    return str(runtime.__version__).partition("-")[0]
