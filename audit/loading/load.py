"""Data in: the sources of all roles become one corpus of encoded rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.config import Read
from counterproof.encoders.table_encoder import PROTOCOL, encode_table
from counterproof.inputs.alignment import ORDER, Wanted, positions, reconcile
from counterproof.inputs.arrays import Arrays, arrays_of, read_arrays, refuse_bad_features
from counterproof.inputs.digests import array_digests, joint_digest, row_digests, table_digest
from counterproof.inputs.labels_and_groups import attributes_of, described
from counterproof.inputs.read_options import DEFAULT, ReadOptions
from counterproof.inputs.tables import Table, holds_images, read_table, refuse_missing, table_of
from counterproof.loading.intake import Intake, Progress
from counterproof.metrics.sample import Corpus, Modality, Rows
from counterproof.refusal import Refusal, shown_path

if TYPE_CHECKING:
    import torch


Source = str | Path | pd.DataFrame | NDArray[Any] | tuple[NDArray[Any], pd.DataFrame]
Opened = Table | Arrays | Path


def take_in(
    sources: Mapping[str, Source],
    *,
    label: str | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    kinds: Mapping[str, str] | None = None,
    reading: ReadOptions = DEFAULT,
    encoder: str | Path | torch.nn.Module = "auto",
    encoder_size: int | None = None,
    bad_images: float = 0.01,
    cache: Path | str | None = "auto",
    progress: Progress | None = None,
    device: str = "cpu",
    recode: Literal["auto", "never"] = "auto",
    memory: int = 256 * 2**20,
) -> Intake:
    """Read, reconcile and encode the data of an audit.

    Args:
        sources: ``synthetic`` and either ``train`` and/or ``holdout`` (and ``test``) or ``real``;
            tables, images or feature arrays, all of one kind.
        label: Label column.
        groups: Group columns.
        cluster: Column that names the source of each row.
        kinds: Kinds of columns that override what is inferred.
        reading: How text files and texts in tables are read.
        encoder: For images: what :func:`counterproof.encoders.registry.encoder_for` takes as ``choice``.
        encoder_size: Side in pixels that images are resized to.
        bad_images: Share of unreadable images above which the audit is refused.
        cache: Folder of cached image features; ``auto`` is the user's, None keeps none.
        progress: Called with stage, done and total.
        device: Where image encoders run.
        recode: ``auto`` re-encodes all images alike where the formats of the roles differ, ``never`` leaves them.
        memory: Bytes of decoded images that are kept until they are encoded; the others are decoded twice.

    Raises:
        Refusal: The data cannot be audited; one sentence says why.
    """
    _refuse_roles(sources)
    wanted = Wanted(
        label=label or None, groups=tuple(groups), cluster=cluster or None, kinds=dict(kinds or {}), read=reading
    )
    opened = {role: _open(sources[role], role, reading) for role in ORDER if role in sources}
    names = {role: _name(sources[role], role) for role in opened}
    modality = _modality(opened)
    if modality == "image":
        from counterproof.loading.load_images import Encoding, take_in_images

        encoding = Encoding(encoder, encoder_size, bad_images, cache, progress, device, recode, memory)
        return take_in_images(_only(opened, (Path, Arrays)), wanted, names, encoding)
    if encoder != "auto":
        raise Refusal(f"an encoder is for images, but the data are {'a table' if modality == 'table' else 'features'}")
    if modality == "table":
        return _tables(_only(opened, (Table,)), wanted, names)
    return _features(_only(opened, (Arrays,)), wanted, names)


def take_in_one(
    source: Source,
    *,
    encoder: str | Path | torch.nn.Module = "auto",
    encoder_size: int | None = None,
    cache: Path | str | None = "auto",
    progress: Progress | None = None,
    device: str = "cpu",
) -> Intake:
    """Read and encode one set of images or features by itself, in no role but ``synthetic``.

    Args:
        source: Images or a feature array; see :func:`take_in` for the rest.
        encoder: For images.
        encoder_size: Side in pixels that images are resized to.
        cache: Folder of cached image features.
        progress: Called with stage, done and total.
        device: Where image encoders run.

    Raises:
        Refusal: It cannot be read, or is a table: those are encoded by what they are held against.
    """
    opened, names, wanted = _open(source, "synthetic", DEFAULT), {"synthetic": _name(source, "synthetic")}, Wanted()
    if isinstance(opened, Table):
        raise Refusal(f"{names['synthetic']}: is a table, which has no encoding of its own; give images or features")
    if isinstance(opened, Path) or opened.are_images:
        from counterproof.loading.load_images import Encoding, take_in_images

        how = Encoding(encoder, encoder_size, cache=cache, progress=progress, device=device)
        return take_in_images({"synthetic": opened}, wanted, names, how)
    if encoder != "auto":
        raise Refusal("an encoder is for images, but the data are features")
    return _features({"synthetic": opened}, wanted, names)


def read_options(section: Read) -> ReadOptions:
    """``[data.read]`` as the readers take it; what it leaves out is theirs to decide."""
    return ReadOptions(**section.model_dump(exclude_none=True))


def _only(opened: Mapping[str, Opened], types: tuple[type, ...]) -> dict[str, Any]:
    return {role: one for role, one in opened.items() if isinstance(one, types)}


# -- sources -----------------------------------------------------------------------------------------


def _refuse_roles(sources: Mapping[str, Source]) -> None:
    odd = [role for role in sources if role not in ORDER]
    if odd:
        raise Refusal(f"{odd[0]!r} is no role; give {', '.join(ORDER)}")
    if "synthetic" not in sources:
        raise Refusal("there is no synthetic data to audit: give synthetic")
    if "real" in sources and ("train" in sources or "holdout" in sources):
        raise Refusal("give either real, or train and holdout, not both")
    if not {"real", "train", "holdout"} & set(sources):
        raise Refusal("there are no real data to hold the synthetic data against: give train and holdout, or real")


def _open(source: Source, role: str, reading: ReadOptions) -> Opened:
    """Tables and arrays are read; images are left where they are."""
    if isinstance(source, pd.DataFrame):
        return table_of(source, role, reading)
    if isinstance(source, np.ndarray):
        return arrays_of(source, source=role)
    if isinstance(source, tuple):
        beside = source[1] if len(source) == 2 else source
        paired = len(source) == 2 and (beside is None or isinstance(beside, pd.DataFrame))
        if not paired or not isinstance(source[0], np.ndarray):
            raise Refusal(f"{role}: give an array of features and a pandas frame as a pair, or one of them alone")
        return arrays_of(source[0], beside, role)
    if isinstance(source, str) and source == "":
        raise Refusal("the path of a role is empty; give a file or a folder")
    if not isinstance(source, (str, Path)):
        raise Refusal(f"{role}: cannot read {type(source).__name__}: give a path, a pandas frame or a numpy array")
    path = Path(source)
    refuse_missing(path)
    if path.is_dir() or path.suffix.lower() == ".zip":
        return path
    if path.suffix.lower() in (".npy", ".npz"):
        return read_arrays(path)
    return path if holds_images(path) else read_table(path, reading)


def _name(source: Source, role: str) -> str:
    """A source in sentences: its path, or whose frame or array it is."""
    if isinstance(source, (str, Path)):
        return shown_path(source)
    return f"{role} ({type(source[0] if isinstance(source, tuple) else source).__name__})"


def _modality(opened: Mapping[str, Opened]) -> Modality:
    def of(one: Opened) -> Modality:
        if isinstance(one, Table):
            return "table"
        return "features" if isinstance(one, Arrays) and not one.are_images else "image"

    found = {role: of(one) for role, one in opened.items()}
    if len(set(found.values())) > 1:
        raise Refusal("all roles must be of one kind, but " + ", ".join(f"{r} is {m}" for r, m in found.items()))
    return next(iter(found.values()))


# -- tables and features ----------------------------------------------------------------------------


def _tables(tables: Mapping[str, Table], wanted: Wanted, sources: dict[str, str]) -> Intake:
    stack = reconcile(tables, wanted)
    found = attributes_of(stack, wanted)
    encoded = encode_table(stack)
    if not encoded.features.shape[1]:
        raise Refusal("no column of the real data varies: there is nothing to compare")
    corpus = Corpus(
        features=encoded.features,
        protocol=PROTOCOL,
        modality="table",
        digests=row_digests(stack.frame, stack.compared),
        names=row_names(stack.roles),
        blocks=encoded.blocks,
        block_names=encoded.block_names,
        frame=stack.frame,
        kinds=stack.kinds,
        mixed=encoded.mixed,
        schema=stack.schema,
        label=found.label,
        labels=found.labels,
        no_labels=found.no_labels,
        groups=found.groups,
        clusters=found.clusters,
        cluster=wanted.cluster or "",
    )
    return Intake(
        corpus=corpus,
        roles=stack.roles,
        sources=sources,
        digests={role: table_digest(table) for role, table in tables.items()},
        notes={role: [] for role in tables},
        findings=stack.findings + found.findings + encoded.findings,
        encoder="table",
        encoder_digest=encoded.digest,
        released=stack.released,
    )


def _features(arrays: Mapping[str, Arrays], wanted: Wanted, sources: dict[str, str]) -> Intake:
    width = next(iter(arrays.values())).values.shape[1]
    for read in arrays.values():
        refuse_bad_features(read, width)
    roles = positions({role: len(read.values) for role, read in arrays.items()})
    features = np.concatenate([read.values for read in arrays.values()]).astype(np.float64)
    digests = array_digests(features)
    found = described({role: (read.table, read.source) for role, read in arrays.items()}, wanted)
    corpus = Corpus(
        features=features,
        protocol=f"features as given, d={width}",
        modality="features",
        digests=digests,
        names=row_names(roles),
        label=found.label,
        labels=found.labels,
        no_labels=found.no_labels,
        groups=found.groups,
        clusters=found.clusters,
        cluster=wanted.cluster or "",
    )
    return Intake(
        corpus=corpus,
        roles=roles,
        sources=sources,
        digests={role: joint_digest(digests[rows]) for role, rows in roles.items()},
        notes={role: [] for role in arrays},
        findings=found.findings,
        encoder="as given",
        encoder_digest="",
    )


def row_names(roles: Mapping[str, Rows]) -> NDArray[np.str_]:
    """Rows by their number within the role, from 0."""
    return np.concatenate([np.arange(len(rows)) for rows in roles.values()]).astype(np.str_)
