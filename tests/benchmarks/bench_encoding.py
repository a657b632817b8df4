"""Encoding on the CPU: images per core-second by variant, and what each stage takes; run it by hand.

``python tests/benchmarks/bench_encoding.py [--rounds 5] [--images 600] [--quick]``
One thread, CPU seconds, all variants in turn within a round, medians over rounds. OpenVINO is
measured where it can be imported.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from counterproof.encoders.base import AT_ONCE, BATCH
from counterproof.encoders.efficientnet import load
from counterproof.encoders.folding import ChannelsLast, folded
from counterproof.encoders.inception import Inception
from counterproof.inputs.threads import cores
from counterproof.loading.load import take_in

Forward = Callable[[Tensor], Tensor]


def calibrated() -> nn.Module:
    """Inception with random weights that see their input."""
    torch.manual_seed(0)
    network = Inception()
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 299, 299))
    return network.eval()


def variants(plain: nn.Module, side: int) -> dict[str, Forward]:
    """What is compared; each takes normalised images."""
    ours = folded(copy.deepcopy(plain))
    half = copy.deepcopy(ours).bfloat16()
    size = min(BATCH, 2 ** (max(1, AT_ONCE // side**2).bit_length() - 1))
    made: dict[str, Forward] = {
        "torch, eager (channels first)": plain,
        "torch, channels last": ChannelsLast(copy.deepcopy(plain)),
        "**counterproof** (folded, channels last)": lambda x: torch.cat([ours(part) for part in x.split(size)]),
        "the same in bfloat16": lambda x: torch.cat([half(part.bfloat16()).float() for part in x.split(size)]),
    }
    return made | openvino(plain, side)


def openvino(plain: nn.Module, side: int) -> dict[str, Forward]:
    """OpenVINO in float32 and bfloat16, where it is installed."""
    try:
        import openvino as ov
    except Exception as error:
        print(f"OpenVINO cannot be imported: {type(error).__name__}: {error}", file=sys.stderr)
        return {}
    shape = (BATCH, 3, side, side)
    model = ov.convert_model(plain, example_input=torch.zeros(shape), input=[shape])
    made: dict[str, Forward] = {}
    for precision in ("f32", "bf16"):
        options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
        ready = ov.Core().compile_model(model, "CPU", options)
        made[f"OpenVINO {precision}"] = lambda x, ready=ready: torch.from_numpy(np.array(ready(x.numpy())[0]))  # type: ignore[misc]
    return made


def measured(name: str, plain: nn.Module, side: int, rounds: int) -> list[str]:
    """Table rows of one network."""
    torch.manual_seed(1)
    x = torch.rand(BATCH, 3, side, side) * 2 - 1
    ways = variants(plain, side)
    took: dict[str, list[float]] = {way: [] for way in ways}
    errors: dict[str, float] = {}
    with torch.inference_mode():
        exact = copy.deepcopy(plain).double()(x[:8].double())
        for turn in range(rounds + 1):
            for way, forward in ways.items():
                started = time.process_time()
                found = forward(x)
                if turn:  # the first is not counted
                    took[way].append(time.process_time() - started)
                errors[way] = float((found[:8] - exact).abs().max() / exact.abs().max())
            print(f"{name}: round {turn} of {rounds}", file=sys.stderr)
    first = median(next(iter(took.values())))
    return [
        f"| {name} | {way} | {BATCH / median(times):.1f} | {first / median(times):.2f} | {errors[way]:.0e} |"
        for way, times in took.items()
    ]


def photographs(folder: Path, count: int, kind: str) -> Path:
    """Smooth images of 256 pixels with some noise, about as compressible as photographs."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        rough = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((256, 256))
        noisy = np.asarray(rough).astype(float) + rng.normal(0, 4, (256, 256, 3))
        image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        image.save(folder / f"{i:04}.{kind}", quality=90)
    return folder


def stages(count: int) -> list[str]:
    """Table rows of the whole way from files to features."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for kind in ("png", "jpg"):
            folder = photographs(Path(place) / kind, count, kind)
            started, before = time.perf_counter(), time.process_time()
            found = take_in({"real": folder, "synthetic": folder}, cache=None)
            wall, spent = time.perf_counter() - started, time.process_time() - before
            total = sum(found.stages.values())
            shares = " | ".join(f"{took:.1f} s ({100 * took / total:.0f} %)" for took in found.stages.values())
            rows.append(
                f"| {kind.upper()} | {shares} | {wall:.1f} s | {spent / wall:.2f} of {cores()} | {count / wall:.0f} |"
            )
            print(f"{kind}: done", file=sys.stderr)
    return rows


def main() -> None:
    """Print the section."""
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--images", type=int, default=600)
    options.add_argument("--quick", action="store_true", help="one round, few images, without Inception")
    given = options.parse_args()
    rounds, images = (1, 64) if given.quick else (given.rounds, given.images)
    torch.set_num_threads(1)
    networks = [("EfficientNet-Lite0, 224", load(), 224), ("EfficientNet-Lite0, 64", load(), 64)]
    if not given.quick:
        networks.append(("Inception, 299 (random weights)", calibrated(), 299))
    print("## Encoding images on the CPU\n")
    print(f"`{' '.join(['python', *sys.argv])}`, torch {torch.__version__}, batch {BATCH}, one thread\n")
    print("| network | variant | images per core-second | times eager | largest error |\n|---|---|---|---|---|")
    for name, network, side in networks:
        print("\n".join(measured(name, network, side, rounds)), flush=True)
    print("\nThe error is that of the largest feature difference from float64, over the largest feature.")
    print("counterproof uses the third line everywhere; bfloat16 and other runtimes stand here to compare.\n")
    print(f"{images} images of 256 pixels from files to features at 224, looked through once and encoded once:\n")
    print("| files | decode | resize | encode | wall | cores busy | images per second |\n|---|---|---|---|---|---|---|")
    print("\n".join(stages(images)))
    print("\nSeconds of a stage are those of all threads together; both roles are the same folder, encoded once.")
    print("Cores busy is CPU time over wall time: on a machine that others use it is what they left.")


if __name__ == "__main__":
    main()
