"""Encoders from other packages: ONNX files, and networks by name from timm and transformers where these are installed.

What the network was trained to see (side, filter, mean and deviation of the channels) is read from
the network and stands in the protocol. Images are resized whole; nothing is cropped away.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from counterproof.encoders.base import Encoder, head_of, module_digest, network_encoder, pooled_features
from counterproof.encoders.protocols import Protocol, Resampling
from counterproof.encoders.weight_files import load, matched_state
from counterproof.inputs.tables import first_line
from counterproof.metrics.sample import Head
from counterproof.refusal import Refusal, listed

LAYER = "pooled features"


# -- ONNX -------------------------------------------------------------------------------------------


def from_onnx(path: Path, side: int | None, usual: int, device: torch.device) -> Encoder:
    """An ONNX file that takes RGB from 0 to 1, channels first or last, run by ONNX Runtime on one thread.

    Args:
        path: The file, weights inside.
        side: The side that was asked for.
        usual: The side where neither the user nor the file sets one.
        device: Where torch would run; ONNX Runtime always runs on the CPU here.

    Raises:
        Refusal: There is no such file or no ONNX Runtime, or the network takes something else.
    """
    runtime = _imported("onnxruntime", "onnxruntime")
    if not path.is_file():
        raise Refusal(f"{path}: there is no such ONNX file")
    raw = path.read_bytes()
    try:
        session = runtime.InferenceSession(raw, _session_options(runtime), providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has a dozen exceptions, all of its own
        raise Refusal(f"{path}: cannot be loaded as ONNX, weights inside: {first_line(error)}") from None
    last, fixed, held = _layout(session, str(path))
    if side is not None and fixed not in (None, side):
        raise Refusal(f"{path}: takes images of {fixed} pixels: leave encoder_size out")
    conventions = Protocol(side=side or fixed or usual, layer="output", note="ONNX Runtime")
    name = path.name

    def forward(images: Tensor) -> Tensor:
        seen = conventions.normalised(images).cpu()
        arrays = seen.permute(0, 2, 3, 1).contiguous().numpy() if last else seen.numpy()
        found = _run_session(session, arrays, held)
        return pooled_features(found, len(images), name, conventions.side)

    cpu = torch.device("cpu")
    return Encoder(
        name=name, digest=hashlib.sha256(raw).hexdigest(), conventions=conventions, forward=forward, device=cpu
    )


def _session_options(runtime: ModuleType) -> Any:
    """Session options: one thread, deterministic, errors only."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    return options


def _layout(session: Any, title: str) -> tuple[bool, int | None, int | None]:
    """Whether channels come last, the side if it is fixed, and the number of images a run if it is."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise Refusal(f"{title}: takes {len(inputs)} inputs ({listed(one.name for one in inputs)}), not one of images")
    kind, shape = inputs[0].type, list(inputs[0].shape)
    told_shape = f"{kind} of shape {tuple(shape)}"
    if kind != "tensor(float)" or len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise Refusal(f"{title}: takes {told_shape}, not float32 (n, 3, side, side) or (n, side, side, 3)")
    last = shape[1] != 3
    high, wide = (part if isinstance(part, int) else None for part in (shape[1:3] if last else shape[2:4]))
    if high != wide:
        raise Refusal(f"{title}: takes {told_shape}; images are encoded as squares")
    return last, high, shape[0] if isinstance(shape[0], int) else None


def _run_session(session: Any, images: np.ndarray[Any, Any], held: int | None) -> object:
    """The first output over all images, in runs of the network's batch size; the last run is filled up."""
    name, step = session.get_inputs()[0].name, held or len(images)
    made = []
    for start in range(0, len(images), step):
        part = images[start : start + step]
        filled = np.concatenate([part, np.zeros((step - len(part), *part.shape[1:]), np.float32)])
        try:
            found = session.run(None, {name: filled})[0]
        except Exception as error:
            raise Refusal(
                f"the ONNX network cannot encode images of {images.shape[2]} pixels: {first_line(error)}"
            ) from None
        if not isinstance(found, np.ndarray) or found.ndim == 0:
            return None
        made.append(found[: len(part)])
    return torch.from_numpy(np.concatenate(made))


# -- networks by name -------------------------------------------------------------------------------


def from_hub(choice: str, side: int | None, device: torch.device) -> Encoder:
    """``timm:NAME[@WEIGHTS]`` or ``transformers:NAME``.

    Args:
        choice: The source, the name there and, for timm, weights by name in the store or from a file.
        side: Resize to this side instead of the network's own.
        device: Where it runs.

    Raises:
        Refusal: The package is not installed, there is no such network, or its weights cannot be had.
    """
    source, _, name = choice.partition(":")
    if not name:
        raise Refusal(f"name the network: {source}:NAME")
    return _from_timm(name, side, device) if source == "timm" else _from_transformers(name, side, device)


class _Pooled(nn.Module):
    """A timm network up to its classifier."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.network.forward_head(self.network.forward_features(x), pre_logits=True)
        return found


def _from_timm(name: str, side: int | None, device: torch.device) -> Encoder:
    timm = _imported("timm", "timm")
    plain, _, given = name.partition("@")
    try:
        network = timm.create_model(plain, pretrained=not given)
    except Exception as error:  # what it raises depends on which of its hubs failed
        raise _unavailable("timm", plain, error) from None
    if given:
        network.load_state_dict(matched_state(load(given), network.state_dict()))
    about = timm.data.resolve_model_data_config(network)
    conventions = _conventions(
        side or about["input_size"][-1], about.get("interpolation"), about["mean"], about["std"], LAYER
    )
    classifier = network.get_classifier()
    head = head_of(classifier) if isinstance(classifier, nn.Linear) else None
    title = f"timm {timm.__version__} {plain}" + (f" with weights of {Path(given).name}" if given else "")
    return _named(title, conventions, _Pooled(network), device, head)


class _Embedded(nn.Module):
    """A vision network of transformers: CLIP's image features, else the pooled or first token."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        found = self.network(pixel_values=x)
        for name in ("image_embeds", "pooler_output"):
            if getattr(found, name, None) is not None:
                made: Tensor = getattr(found, name)
                return made.flatten(1)
        first: Tensor = found.last_hidden_state[:, 0]
        return first


def _from_transformers(name: str, side: int | None, device: torch.device) -> Encoder:
    transformers = _imported("transformers", "transformers")
    try:
        clip = transformers.AutoConfig.from_pretrained(name).model_type in ("clip", "clip_vision_model")
        maker = transformers.CLIPVisionModelWithProjection if clip else transformers.AutoModel
        network = maker.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
        about = transformers.image_processing_utils.BaseImageProcessor.get_image_processor_dict(name)[0]
    except Exception as error:
        raise _unavailable("transformers", name, error) from None
    own = _side_of(about)
    filters: dict[object, str] = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers for them
    conventions = _conventions(
        side or own, filters.get(about.get("resample")), about["image_mean"], about["image_std"], LAYER
    )
    return _named(f"transformers {transformers.__version__} {name}", conventions, _Embedded(network), device)


def _side_of(about: Mapping[str, Any]) -> int:
    size = about.get("crop_size") or about.get("size") or 224
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge") or 224
    return int(size)


def _conventions(side: int, kernel: object, mean: Any, std: Any, layer: str) -> Protocol:
    resample: Resampling = "bilinear" if kernel == "bilinear" else "bicubic"
    shift, scale = (tuple(round(255 * float(part), 4) for part in parts) for parts in (mean, std))
    return Protocol(side=side, resample=resample, shift=shift, scale=scale, layer=layer)


def _named(
    name: str, conventions: Protocol, network: nn.Module, device: torch.device, head: Head | None = None
) -> Encoder:
    """The encoder, with its digest of structure, code and weights."""
    return network_encoder(name, module_digest(network), conventions, network, device, head)


def _imported(module: str, package: str) -> ModuleType:
    """A package that is not one of ours to depend on.

    Raises:
        Refusal: It is not installed, or fails when imported (torchvision, which timm needs, does so beside
            a torch without CUDA).
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise Refusal(f"this encoder needs {package}: run pip install {package}") from None
        raise Refusal(f"{package} is installed but cannot be imported: {first_line(error)}") from None
    except Exception as error:
        raise Refusal(f"{package} is installed but cannot be imported: {first_line(error)}") from None


def _unavailable(source: str, name: str, error: Exception) -> Refusal:
    return Refusal(
        f"{source}:{name} cannot be loaded ({first_line(error)}); check the name, or fetch the weights where there is "
        "a network and copy that machine's Hugging Face cache (HF_HOME) here"
    )
