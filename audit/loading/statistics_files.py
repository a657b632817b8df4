"""Reference statistics in files: ``npz`` with ``mu`` and ``sigma``, as clean-fid and pytorch-fid keep them."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.inputs.archives import refuse_unsafe
from counterproof.inputs.tables import first_line, refuse_missing
from counterproof.loading.intake import Intake
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.frechet.moments import Moments
from counterproof.metrics.frechet.reference_statistics import frechet_distance_from_statistics
from counterproof.refusal import Refusal, listed

Array = NDArray[Any]
ASKEW = 1e-5  # of the largest entry: the asymmetry of sums in float32
INDEFINITE = 1e-6  # of the largest variance: negative eigenvalues from rounding


@dataclass(frozen=True, eq=False, kw_only=True)
class Statistics:
    """Statistics of a reference whose rows are not available.

    Attributes:
        moments: Mean and covariance; ``n`` is 0 where the file does not state it.
        protocol: The encoder and its conventions; empty where the file does not state them.
        source: Its name in sentences.
    """

    moments: Moments
    protocol: str
    source: str


def statistics_of(intake: Intake) -> Statistics:
    """Statistics of one loaded set, streamed in float64.

    Raises:
        Refusal: There are fewer than two rows.
    """
    features, source = intake.corpus.features, intake.sources["synthetic"]
    if len(features) < 2:
        raise Refusal(f"{source}: a covariance needs two rows or more, and there is {len(features)}")
    running = Moments.empty(features.shape[1])
    for start in range(0, len(features), 4096):
        running = running.add(features[start : start + 4096])
    return Statistics(moments=running.finish(), protocol=intake.corpus.protocol, source=source)


def write_statistics(statistics: Statistics, path: Path) -> None:
    """Write ``mu`` and ``sigma`` as other libraries read them, and our ``n`` and ``protocol`` beside.

    Raises:
        Refusal: The file is not called ``.npz`` or cannot be written.
    """
    if path.suffix.lower() != ".npz":
        raise Refusal(f"{path}: statistics are kept in an .npz file; name it so")
    moments = statistics.moments
    held: dict[str, Any] = {"mu": moments.mean, "sigma": moments.covariance}
    extra: dict[str, Any] = {"n": np.array(moments.n), "protocol": np.array(statistics.protocol)}
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".npz")
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **held, **extra)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise Refusal(f"{path}: cannot be written ({error.strerror})") from None


def read_statistics(path: Path) -> Statistics:
    """Read statistics of ours, of clean-fid or of pytorch-fid.

    Raises:
        Refusal: The file cannot be read, misses a key, or its arrays are no mean and covariance.
    """
    held = _arrays(path)
    missing = [key for key in ("mu", "sigma") if key not in held]
    if missing:
        raise Refusal(f"{path}: holds {listed(held) or 'nothing'}, no {' and no '.join(missing)}: it is no statistics")
    mean, covariance = _checked(held["mu"], held["sigma"], path)
    moments = Moments(_rows(held, path), mean, covariance)
    return Statistics(moments=moments, protocol=_protocol(held, path), source=str(path))


def _arrays(path: Path) -> dict[str, Array]:
    refuse_missing(path)
    try:
        with zipfile.ZipFile(path) as packed:
            refuse_unsafe(path, packed.infolist())
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files if key in ("mu", "sigma", "n", "protocol")} or {
                key: np.empty(0) for key in file.files
            }
    except Refusal:
        raise
    except Exception as error:  # a broken archive raises whatever its parts do (zlib.error among them)
        raise Refusal(f"{path}: cannot be read as npz statistics: {first_line(error)}") from None


def _checked(mean: Array, covariance: Array, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)) or not len(mean):
        raise Refusal(
            f"{path}: mu must be (d,) and sigma (d, d), not {mean.shape} and {covariance.shape}; "
            "were the features one row or one column?"
        )
    for name, array in (("mu", mean), ("sigma", covariance)):
        if array.dtype.kind not in "fiu":
            raise Refusal(f"{path}: {name} holds {array.dtype}, not real numbers")
        if not np.isfinite(array).all():
            raise Refusal(f"{path}: {name} holds NaN or an infinity; compute the statistics again")
    sigma = covariance.astype(np.float64)
    largest = float(np.abs(sigma).max())
    if np.abs(sigma - sigma.T).max() > ASKEW * largest:
        raise Refusal(f"{path}: sigma is not symmetric, so it is no covariance")
    sigma = (sigma + sigma.T) / 2
    try:
        np.linalg.cholesky(sigma + (INDEFINITE * largest + np.finfo(float).tiny) * np.eye(len(sigma)))
    except np.linalg.LinAlgError:
        raise Refusal(f"{path}: sigma has negative eigenvalues, so it is no covariance") from None
    return mean.astype(np.float64), sigma


def _rows(held: Mapping[str, Array], path: Path) -> int:
    if "n" not in held:
        return 0
    n = held["n"]
    if n.ndim != 0 or n.dtype.kind not in "iu" or n < 2:
        raise Refusal(f"{path}: n must be one whole number of 2 or more")
    return int(n)


def _protocol(held: Mapping[str, Array], path: Path) -> str:
    if "protocol" not in held:
        return ""
    protocol = held["protocol"]
    if protocol.ndim != 0 or protocol.dtype.kind != "U":
        raise Refusal(f"{path}: protocol must be one text")
    return str(protocol)


def compare(intake: Intake, reference: Statistics, *, unchecked: bool = False, level: float = 0.95) -> Estimate:
    """The plain Fréchet distance between loaded rows and reference statistics.

    Args:
        intake: One set of images or features.
        reference: The statistics.
        unchecked: Accept statistics without a stated protocol.
        level: Confidence of the interval.

    Raises:
        Refusal: Another protocol, an unknown one without ``unchecked``, another dimension, or one row.
    """
    corpus, source = intake.corpus, intake.sources["synthetic"]
    if not reference.protocol and not unchecked:
        raise Refusal(
            f"{reference.source}: does not tell its protocol, and distances of different ones do not compare; "
            "if you know that it is this one, say --protocol-unchecked: " + corpus.protocol
        )
    if reference.protocol and reference.protocol != corpus.protocol:
        raise Refusal(
            f"{reference.source}: made by another protocol ({reference.protocol}) than the one of {source} "
            f"({corpus.protocol}); distances across protocols do not compare"
        )
    d = len(reference.moments.mean)
    if corpus.features.shape[1] != d:
        raise Refusal(f"{source}: {corpus.features.shape[1]} features in a row, but {reference.source} has {d}")
    if len(corpus.features) < 2:
        raise Refusal(f"{source}: a distance needs two rows or more, and there is {len(corpus.features)}")
    known = reference.moments.n > 0
    rows = np.asarray(corpus.features)
    return frechet_distance_from_statistics(rows, reference.moments, reference_known=known, level=level)
