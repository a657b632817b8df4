"""The record: the product of an audit, read from and written to files."""

from __future__ import annotations

from pathlib import Path

from counterproof.reports.model import RecordData
from counterproof.reports.serialise import write_text


class Record(RecordData):
    """The whole result of an audit.

    ``record["leakage.copies"]`` gives the metric's headline reading,
    ``record["fidelity.marginals.lost"]`` a field, and
    ``record["coverage.representation[sex=F]"]`` a group.
    """

    @classmethod
    def read(cls, path: str | Path) -> Record:
        """Read ``record.json``.

        Raises:
            OSError: It cannot be read.
            ValueError: It is not a record of this schema.
        """
        return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))

    def write(self, path: str | Path) -> None:
        """Write ``record.json`` atomically."""
        write_text(Path(path), self.to_json())

    def to_html(self, path: str | Path) -> None:
        """Write the report: one self-contained offline file."""
        from counterproof.reports.outputs.html import render

        write_text(Path(path), render(self))

    def _repr_html_(self) -> str:
        from counterproof.reports.outputs.html import render_summary

        return render_summary(self)
