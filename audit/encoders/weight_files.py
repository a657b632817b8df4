"""Tensors by name out of files: parsed from the same bytes that were hashed, and nothing but tensors."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from counterproof.encoders.weight_store import (
    NAME,
    PUBLISHED,
    check_digest,
    entry,
    is_published,
    is_stored,
    weights_folder,
)
from counterproof.refusal import Refusal, listed


@dataclass(frozen=True, eq=False)
class Weights:
    """A state dict and where it came from.

    Attributes:
        state: Tensors by name.
        sha256: Digest of the file.
        source: Its name in sentences.
        published: Whether it is the file that others publish.
    """

    state: dict[str, Tensor]
    sha256: str
    source: str
    published: bool


def load(given: str, *, role: str | None = None) -> Weights:
    """Weights by their name in the store, or from a file.

    Args:
        given: A name, or a path.
        role: The published weights that these stand for, if any.

    Raises:
        Refusal: There are none, they were changed since, or they hold more than tensors by name.
    """
    if NAME.fullmatch(given) and (given in PUBLISHED or is_stored(given) or not Path(given).is_file()):
        found = entry(given)
        raw = _read(weights_folder() / found.sha256, given)
        digest = hashlib.sha256(raw).hexdigest()
        check_digest(found, digest)
    else:
        raw = _read(Path(given), given)
        digest = hashlib.sha256(raw).hexdigest()
    return Weights(_tensors(raw, given), digest, given, is_published(role or given, digest))


def _read(path: Path, label: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal(f"{label}: the weights cannot be read ({error.strerror}); add the file again") from None


def _tensors(raw: bytes, label: str) -> dict[str, Tensor]:
    try:
        state = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise Refusal(
            f"{label}: holds more than tensors, such as code, or is no PyTorch file; nothing was run"
        ) from None
    except Exception:  # torch raises many kinds of exceptions on damaged files
        raise Refusal(f"{label}: cannot be read as a PyTorch state dict; it may be cut short") from None
    if not isinstance(state, dict) or not state:
        raise Refusal(f"{label}: holds no state dict; save the weights with torch.save(network.state_dict(), …)")
    odd = next((key for key, value in state.items() if not (isinstance(key, str) and torch.is_tensor(value))), None)
    if odd is not None:
        raise Refusal(
            f"{label}: {listed([odd])} is no tensor by name; save the weights alone, with network.state_dict()"
        )
    return {key: value.detach() for key, value in state.items()}


def matched_state(weights: Weights, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict that a network wants, taken from weights; counters of batches need not be there.

    Args:
        weights: What was loaded.
        wanted: The network's own state dict: names and shapes count.

    Raises:
        Refusal: A tensor is missing, unexpected, of another shape, or not of finite numbers.
    """
    expected = {name: value for name, value in wanted.items() if not _is_batch_counter(name)}
    given = {name: value for name, value in weights.state.items() if not _is_batch_counter(name)}
    for label, one, other in (("misses", expected, given), ("holds the unexpected", given, expected)):
        odd = [name for name in one if name not in other]
        if odd:
            raise Refusal(f"{weights.source}: {label} {listed(odd, 1)}; these are weights of another network")
    for name, value in expected.items():
        found = given[name]
        if found.shape != value.shape:
            shapes = f"{tuple(found.shape)}, not {tuple(value.shape)}"
            raise Refusal(f"{weights.source}: {name} is of shape {shapes}; these are weights of another network")
        if not found.is_floating_point() or not bool(torch.isfinite(found).all()):
            raise Refusal(f"{weights.source}: {name} does not hold finite numbers; get the file again")
    plain = {name: value.float().contiguous() for name, value in given.items()}
    return plain | {name: torch.zeros((), dtype=torch.long) for name in wanted if _is_batch_counter(name)}


def _is_batch_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")
