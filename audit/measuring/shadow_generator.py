"""Regeneration: the user's generator called on known real rows, its rows encoded like the release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from counterproof.config import Data
from counterproof.inputs.tables import first_line
from counterproof.loading.intake import Intake
from counterproof.loading.load import read_options, take_in
from counterproof.metrics.errors import MetricError
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.workbench import Synthesiser
from counterproof.refusal import Refusal

Generator = Callable[[Any, int], Any]


def synthesiser_of(generator: Generator, sources: Mapping[str, Any], intake: Intake, data: Data) -> Synthesiser:
    """What fits the generator on rows of the corpus, and encodes what it makes.

    The encoder is fitted on the real rows alone, and these do not change: what is made now is
    encoded as the release was.

    Args:
        generator: Called with real rows (a frame or an array, as they were given) and a seed;
            returns synthetic rows of the same columns.
        sources: What the audit was given.
        intake: What was read of it.
        data: How it was to be read.

    Raises:
        Refusal: Train or holdout is missing, or is no frame or array of features.
    """
    known = {role: sources[role] for role in ("train", "holdout") if role in sources}
    plain = all(isinstance(source, (pd.DataFrame, np.ndarray)) for source in known.values())
    if len(known) < 2 or not plain or intake.corpus.modality == "image":
        raise Refusal("to try a generator, give train and holdout as pandas frames or as arrays of features")
    places = np.concatenate([intake.roles[role] for role in known])

    def synthesise(rows: Rows, seed: int) -> Floats:
        at = np.flatnonzero(np.isin(places, rows))
        made = _made(generator, _joined(list(known.values()), at), seed)
        try:
            again = take_in(
                {**known, "synthetic": made},
                label=data.label,
                groups=data.groups,
                cluster=data.cluster,
                kinds=data.kinds,
                reading=read_options(data.read),
            )
        except Refusal as refused:
            raise MetricError(f"what the generator makes cannot be read: {refused}") from None
        found = again.corpus.features[again.roles["synthetic"]].astype(np.float64)
        if found.shape[1] != intake.corpus.features.shape[1]:
            raise MetricError("what the generator makes has other columns than the release")
        return found

    return synthesise


def _made(generator: Generator, real: Any, seed: int) -> Any:
    try:
        return generator(real, seed)
    except Exception as error:  # whatever the code of others may raise
        raise MetricError(f"the generator fails on {len(real)} real rows: {first_line(error)}") from error


def _joined(parts: list[Any], at: Rows) -> Any:
    if isinstance(parts[0], pd.DataFrame):
        return pd.concat(parts, ignore_index=True).iloc[at].reset_index(drop=True)
    return np.concatenate(parts)[at]
