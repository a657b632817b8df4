"""ONNX files, and networks of timm and transformers, encode as themselves; what is missing is one sentence."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from helpers import reference_implementations as peers
from helpers.networks import drawn_inception, grey_levels, picture

from counterproof.encoders.base import BATCH, device_named
from counterproof.encoders.batches import encode
from counterproof.encoders.registry import encoder_for
from counterproof.refusal import Refusal

PICTURES = [picture(20, 24, seed=i) for i in range(BATCH + 3)]


def here(name: str) -> Any:
    """A package, or skip the test."""
    peers.stub_torchvision()
    try:
        return importlib.import_module(name)
    except Exception as error:  # timm and transformers fail in many ways without their companions
        pytest.skip(f"{name} cannot be imported: {error}")


# -- ONNX -------------------------------------------------------------------------------------------


def onnx_file(path: Path, shape: list[Any], *, kind: int = 1, inputs: int = 1, flat: bool = True) -> Path:
    """A network that adds 1 to every pixel and flattens."""
    onnx = here("onnx")
    here("onnxruntime")
    helper = onnx.helper
    given = [helper.make_tensor_value_info(f"x{i}", kind, shape) for i in range(inputs)]
    nodes = [
        helper.make_node("Cast", ["x0"], ["f"], to=1),
        helper.make_node("Add", ["f", "one"], ["y"]),
        helper.make_node("Flatten", ["y"], ["z"], axis=1 if flat else 0),
    ]
    one = helper.make_tensor("one", 1, [1], [1.0])
    made = helper.make_tensor_value_info("z", 1, None)
    graph = helper.make_graph(nodes, "test", given, [made], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("batch", ["n", BATCH, 1, 5])
@pytest.mark.parametrize("last", [False, True])
def test_onnx_files_see_rgb_from_0_to_1(tmp_path: Path, batch: int | str, last: bool) -> None:
    shape = [batch, 16, 16, 3] if last else [batch, 3, 16, 16]
    encoder = encoder_for(str(onnx_file(tmp_path / "plus.onnx", shape)), largest=24)
    seen = torch.cat([encoder.resize(grey_levels(one)) for one in PICTURES]) / 255 + 1
    expected = (seen.permute(0, 2, 3, 1) if last else seen).flatten(1).numpy()
    found = encode(encoder, PICTURES)
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(found, encode(encoder, PICTURES))
    assert encoder.side == 16
    assert encoder.protocol.startswith(
        "plus.onnx, side 16, bicubic antialiased clamped, x / 255, output, float32, ONNX"
    )


def test_onnx_files_of_any_side_take_the_one_asked_for(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "plus.onnx", ["n", 3, "h", "w"])
    assert encoder_for(str(path), largest=24).side == 64
    assert encoder_for(str(path), largest=24, side=48).side == 48


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ([1, 1, 16, 16], {}, "not float32"),
        (["n", 768], {}, "not float32"),
        (["n", 3, 16, 16], {"kind": 2}, "takes tensor.uint8. of shape"),
        (["n", 3, 16, 32], {}, "encoded as squares"),
        (["n", 3, 16, 16], {"inputs": 2}, r"takes 2 inputs \('x0', 'x1'\)"),
    ],
)
def test_onnx_files_that_take_something_else(
    tmp_path: Path, shape: list[Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refusal, match=words):
        encoder_for(str(onnx_file(tmp_path / "odd.onnx", shape, **options)), largest=24)


def test_onnx_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "plus.onnx", ["n", 3, 16, 16])
    with pytest.raises(Refusal, match="takes images of 16 pixels"):
        encoder_for(str(path), largest=24, side=32)
    (tmp_path / "cut.onnx").write_bytes(path.read_bytes()[:-40])
    with pytest.raises(Refusal, match=r"cut\.onnx: cannot be loaded as ONNX"):
        encoder_for(str(tmp_path / "cut.onnx"), largest=24)
    with pytest.raises(Refusal, match="no such ONNX file"):
        encoder_for(str(tmp_path / "absent.onnx"), largest=24)
    flat = encoder_for(str(onnx_file(tmp_path / "flat.onnx", ["n", 3, 16, 16], flat=False)), largest=24)
    with pytest.raises(Refusal, match="must turn"):
        encode(flat, PICTURES)


# -- timm and transformers --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    timm = here("timm")
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("timm") / "drawn.pth"
    torch.save(timm.create_model("resnet18", pretrained=False).state_dict(), path)
    return path


def test_timm_networks_see_what_they_were_trained_on(resnet: Path) -> None:
    timm = here("timm")
    encoder = encoder_for(f"timm:resnet18@{resnet}", largest=24, side=64)
    network = timm.create_model("resnet18", pretrained=False).eval()
    network.load_state_dict(torch.load(resnet, weights_only=True))
    about = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(about[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    seen = (torch.cat([encoder.resize(grey_levels(one)) for one in PICTURES[:3]]) / 255 - mean) / std
    with torch.inference_mode():
        logits = network(seen).numpy()
        pooled = network.global_pool(network.forward_features(seen)).numpy()
    found = encode(encoder, PICTURES[:3])
    assert found == pytest.approx(pooled, abs=1e-4)
    assert encoder.head is not None
    assert found @ encoder.head.weight.T + encoder.head.bias == pytest.approx(logits, abs=1e-4)
    assert f"timm {timm.__version__} resnet18 with weights of drawn.pth, side 64, b" in encoder.protocol


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    here("timm")
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pth")
    with pytest.raises(Refusal, match=r"w\.pth: misses 'conv1\.weight'"):
        encoder_for(f"timm:resnet18@{tmp_path / 'w.pth'}", largest=24)


def test_networks_that_timm_does_not_know(tmp_path: Path) -> None:
    here("timm")
    with pytest.raises(Refusal, match=r"timm:no_such_network cannot be loaded \(.*\); check the name"):
        encoder_for("timm:no_such_network", largest=24)


@pytest.mark.parametrize("kind", ["clip", "dinov2"])
def test_transformers_networks_from_a_folder(tmp_path: Path, kind: str) -> None:
    transformers = here("transformers")
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"image_size": 28, "patch_size": 14}
    torch.manual_seed(0)
    network: Any
    if kind == "clip":
        vision = transformers.CLIPVisionConfig(**sizes, intermediate_size=64, projection_dim=16)
        network = transformers.CLIPVisionModelWithProjection(vision)
    else:
        network = transformers.Dinov2Model(transformers.Dinov2Config(**sizes))
    network.save_pretrained(tmp_path)
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.2, 0.25]
    about = {"image_mean": mean, "image_std": std, "resample": 3, "crop_size": {"height": 28, "width": 28}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(about))
    encoder = encoder_for(f"transformers:{tmp_path}", largest=24)
    seen = torch.cat([encoder.resize(grey_levels(one)) for one in PICTURES[:2]]) / 255
    seen = (seen - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(3, 1, 1)
    with torch.inference_mode():
        out = network.eval()(pixel_values=seen)
    expected = out.image_embeds if kind == "clip" else out.pooler_output
    assert encoder.side == 28
    assert encode(encoder, PICTURES[:2]) == pytest.approx(expected.numpy(), abs=1e-4)


@pytest.mark.parametrize("source", ["timm", "transformers"])
def test_packages_that_are_missing_or_broken(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setitem(sys.modules, source, None)
    with pytest.raises(Refusal, match=f"needs {source}: run pip install {source}"):
        encoder_for(f"{source}:some", largest=24)

    def broken(name: str, *_: Any) -> ModuleType:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("counterproof.encoders.onnx_and_hubs.importlib.import_module", broken)
    with pytest.raises(Refusal, match=r"installed but cannot be imported: operator torchvision::nms"):
        encoder_for(f"{source}:some", largest=24)


def test_a_source_without_a_name() -> None:
    with pytest.raises(Refusal, match="name the network: timm:NAME"):
        encoder_for("timm:", largest=24)


# -- the Inception network --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "drawn.pth"
    torch.save(drawn_inception(), path)
    return path


def test_inception_tells_its_protocol_and_weights(drawn: Path) -> None:
    encoder = encoder_for(f"inception:legacy-pytorch@{drawn}", largest=24)
    told = "inception:legacy-pytorch with unpublished weights, side 299, bilinear clamped, (x - 127.5) / 127.5, pool of"
    assert encoder.protocol.startswith(told)
    assert encoder_for(f"inception@{drawn}", largest=24).protocol.startswith("inception:clean with unpublished weights")
    assert encoder.head is not None
    assert encoder.head.weight.shape == (1008, 2048)


def test_inception_without_weights_says_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPROOF_WEIGHTS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inception").write_bytes(b"a file that happens to be called so")
    with pytest.raises(
        Refusal, match=r"get https://github\.com/\S+6726825d\.pth and run counterproof weights add FILE"
    ):
        encoder_for("inception", largest=24)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("inception:clen@x", "no protocol is called 'clen'; did you mean clean"),
        ("inception@../none.pth", "none.pth: the weights cannot be read"),
        ("inceptio", "'inceptio' is no encoder: use auto, efficientnet, inception"),
    ],
)
def test_misspelt_choices(choice: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        encoder_for(choice, largest=24)


def test_inception_has_one_side(drawn: Path) -> None:
    with pytest.raises(Refusal, match="takes images of 299 pixels"):
        encoder_for(f"inception@{drawn}", largest=24, side=64)


def test_apples_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(Refusal, match="no MPS device here"):
        device_named("mps")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert device_named("mps").type == "mps"


def test_the_embedded_network_has_its_classifier() -> None:
    encoder = encoder_for("efficientnet", largest=224)
    assert encoder.head is not None
    assert encoder.head.weight.shape == (1000, 1280)
    from sklearn.datasets import load_sample_images

    flower = load_sample_images().images[1]
    with torch.inference_mode():
        features = encoder.forward(encoder.resize(grey_levels(np.array(flower))))[0].numpy()
    logits = features @ encoder.head.weight.T + encoder.head.bias
    assert logits.argmax() == 985  # a daisy, to ImageNet
