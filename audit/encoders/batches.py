"""Encoding: images in, features out, in one pass of bounded memory over all cores.

Each thread processes a whole batch of images: it reads and decodes them, resizes them and runs
the network, on one core. So decoding of one batch runs beside the network of another,
and the features of a batch depend on nothing but its images.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterproof.encoders.base import BATCH, Encoder, images_per_call
from counterproof.inputs.images import Pixels
from counterproof.inputs.tables import first_line
from counterproof.inputs.threads import results_in_order
from counterproof.inputs.timings import Timings
from counterproof.metrics.engine.one_thread import torch_on_one_thread
from counterproof.refusal import Refusal

Image = Pixels | Callable[[], Pixels]
HUGE = 2**22  # pixels of an image that is unpacked one colour at a time


def encode(
    encoder: Encoder,
    images: Iterable[Image],
    *,
    done: Callable[[int], None] | None = None,
    timings: Timings | None = None,
    workers: int | None = None,
) -> NDArray[np.float32]:
    """Encode images in one pass; only the features grow with their number.

    The network always sees the same number of images at once (the last are filled up), so that an
    image's features depend neither on the others nor on the number of workers.

    Args:
        encoder: The encoder.
        images: ``(h, w, 3)`` pixels, or what reads them when called (in a worker's thread).
        done: Called with the number of images encoded so far.
        timings: Where the time of each stage is added.
        workers: Threads; one for each core by default.

    Raises:
        Refusal: The encoder fails, or gives features of another shape, or not finite.
    """
    with closing(batches(encoder, images, done=done, timings=timings, workers=workers)) as made:
        features = list(made)
    return np.concatenate(features) if features else np.zeros((0, 0), np.float32)


def batches(
    encoder: Encoder,
    images: Iterable[Image],
    *,
    done: Callable[[int], None] | None = None,
    timings: Timings | None = None,
    workers: int | None = None,
) -> Generator[NDArray[np.float32]]:
    """Features of :data:`counterproof.encoders.base.BATCH` images at a time, in order; see :func:`encode`."""
    kept = timings or Timings()
    stream, count = iter(images), 0
    width: int | None = None

    def work(batch: list[Image]) -> NDArray[np.float32]:
        return _encoded(encoder, batch, kept)

    taken = iter(lambda: list(islice(stream, BATCH)), [])
    with _deterministic(encoder.device), closing(results_in_order(work, taken, workers=workers)) as made:
        for features in made:
            if width not in (None, features.shape[1]):
                raise Refusal(f"the encoder {encoder.name} gives features of different lengths")
            count, width = count + len(features), features.shape[1]
            if done:
                done(count)
            yield features


def resized(batch: Sequence[Pixels], resize: Callable[[Tensor], Tensor]) -> Tensor:
    """``(n, 3, side, side)`` float32 from 0 to 255; one image is unpacked at a time, of huge ones one colour."""
    return torch.cat([_resized(image, resize) for image in batch])


def _resized(image: Pixels, resize: Callable[[Tensor], Tensor]) -> Tensor:
    if image.shape[0] * image.shape[1] <= HUGE:
        return resize(torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None])
    planes = (torch.from_numpy(image[..., colour].astype(np.float32))[None, None] for colour in range(3))
    return torch.cat([resize(plane) for plane in planes], 1)


def _encoded(encoder: Encoder, batch: Sequence[Image], timings: Timings) -> NDArray[np.float32]:
    """One batch: read, resized and encoded."""
    inputs = torch.zeros(BATCH, 3, encoder.side, encoder.side)
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for place, image in enumerate(batch):
                with timings.stage("decode"):
                    pixels = image() if callable(image) else image
                with timings.stage("resize"):
                    inputs[place] = resized([pixels], encoder.resize)[0]
            with timings.stage("encode"):
                found = _forward(encoder, inputs, len(batch), timings).numpy()
    except MemoryError:
        raise Refusal("there is not enough memory to read and resize the images; make them smaller") from None
    if not np.isfinite(found).all():
        raise Refusal(f"the encoder {encoder.name} gives features that are not finite")
    return found


def _forward(encoder: Encoder, inputs: Tensor, count: int, timings: Timings) -> Tensor:
    """Features of the first images of a batch, a few at a time; a device that is full gets fewer.

    Raises:
        torch.cuda.OutOfMemoryError: The device has no memory for a single image.
    """
    size = min(timings.images_at_once or BATCH, images_per_call(encoder))
    try:
        parts = [_features(encoder, inputs[start : start + size]) for start in range(0, count, size)]
    except torch.cuda.OutOfMemoryError:
        if size == 1:
            raise
        timings.limit_batch(size // 2)
    else:
        return torch.cat(parts)[:count]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return _forward(encoder, inputs, count, timings)


def _features(encoder: Encoder, inputs: Tensor) -> Tensor:
    try:
        return encoder.forward(inputs.to(encoder.device)).float().cpu()
    except (Refusal, MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:  # a network of others may raise any exception
        raise Refusal(f"the encoder {encoder.name} fails: {first_line(error)}") from error


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """One CPU thread for each worker and deterministic kernels: the same bytes whatever the machine's load."""
    with torch_on_one_thread():
        if device.type == "cuda":
            with torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False):
                yield
        else:
            yield
