"""Encoding: images in, features out, in one pass of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby, islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterproof.encoders import BATCH, Encoder
from counterproof.images import Pixels
from counterproof.refusal import Refusal


def encode(
    encoder: Encoder, images: Iterable[Pixels], *, done: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """Encode images in one pass; memory does not grow with their number but for the features.

    Every batch has the same shape (the last is filled up), so that an image's features do not
    depend on how many others there are.

    Args:
        encoder: The encoder.
        images: ``(h, w, 3)`` pixels.
        done: Called with the number of images encoded so far.

    Raises:
        Refusal: The encoder gives features of another shape, or not finite.
    """
    made: list[NDArray[np.float32]] = []
    count = 0
    with _steady(encoder.device), torch.inference_mode():
        stream = iter(images)
        while batch := list(islice(stream, BATCH)):
            inputs = torch.zeros(BATCH, 3, encoder.side, encoder.side)
            inputs[: len(batch)] = resized(batch, encoder.resize)
            found = encoder.forward(inputs.to(encoder.device))[: len(batch)]
            made.append(found.float().cpu().numpy())
            count += len(batch)
            if done:
                done(count)
    features = np.concatenate(made) if made else np.zeros((0, 0), np.float32)
    if not np.isfinite(features).all():
        raise Refusal(f"the encoder {encoder.name} gives features that are not finite")
    return features


def resized(batch: list[Pixels], resize: Callable[[Tensor], Tensor]) -> Tensor:
    """``(n, 3, side, side)`` float32 from 0 to 255."""
    parts: list[Tensor] = []
    for _, group in groupby(batch, key=lambda image: image.shape):
        stacked = torch.from_numpy(np.stack(list(group))).permute(0, 3, 1, 2).float()
        parts.append(resize(stacked))
    return torch.cat(parts)


@contextmanager
def _steady(device: torch.device) -> Iterator[None]:
    """One CPU thread and deterministic kernels: the same bytes whatever the machine's load."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if device.type == "cuda":
            with torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False):
                yield
        else:
            yield
    finally:
        torch.set_num_threads(threads)
