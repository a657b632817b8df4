"""The record: the product of an audit, read from and written to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from counterproof.reports.model import RecordData
from counterproof.reports.serialise import write_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


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

    def figure(self, name: str, panel: int | str | None = None, *, theme: Literal["light", "dark"] = "light") -> Figure:
        """A figure of one metric or reading, as a plotly ``Figure`` to show, change or save.

        What a metric draws of itself comes first; where it draws nothing, its intervals are drawn beside the floor
        (real rows against real rows) and the limits of its gates: a row for each group. Contents of real records are
        in it only where the audit was run with ``show_real``.

        >>> record.figure("fidelity.marginals").show()  # doctest: +SKIP
        >>> record.figure("coverage.representation", 1).write_html("by_sex.html")  # doctest: +SKIP

        Args:
            name: A metric, or one reading as in ``record[name]``: ``fidelity.detectability.excess``.
            panel: Which of several figures, by its number or title; the first unless given. ``figures()`` lists them.
            theme: Colours for light or dark paper.

        Raises:
            KeyError: There is no such reading or panel; the message names those that there are.
            ValueError: Nothing was measured, or the panel's data cannot be drawn.
        """
        from counterproof.reports.outputs.plotly_figures import figure_of

        return figure_of(self, name, panel, theme)

    def figures(self) -> dict[str, list[str]]:
        """The figures that metrics draw of themselves: their titles, by metric."""
        from counterproof.reports.outputs.plotly_figures import panel_titles

        return panel_titles(self)

    def _repr_html_(self) -> str:
        from counterproof.reports.outputs.html import render_summary

        return render_summary(self)
