"""The loaded data: the rows of all roles, encoded, with remarks and findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from counterproof.metrics.sample import Corpus, Rows

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Intake:
    """The loaded and encoded data of an audit, with remarks and findings.

    Attributes:
        corpus: All rows of all roles.
        roles: Positions of each role's rows in the corpus.
        sources: Path of each role, or what kind of object it was.
        digests: sha256 of each role's content; the order of rows counts, the file format does not.
        notes: Remarks by role (images that could not be read, pixels that were scaled).
        findings: What did not fit, by name: columns missing, extra or of another type, unseen categories.
        encoder: What encoded the rows.
        encoder_digest: sha256 of the encoder.
        released: Columns of the release, those that were left out of the corpus among them; none where it is no table.
        cached: Whether all features came from the cache.
        stages: Seconds of all threads together that images took by stage.
    """

    corpus: Corpus
    roles: dict[str, Rows]
    sources: dict[str, str]
    digests: dict[str, str]
    notes: dict[str, list[str]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    encoder: str
    encoder_digest: str
    released: tuple[str, ...] = ()
    cached: bool = False
    stages: dict[str, float] = field(default_factory=dict)
