"""The record: the product of an audit, read from and written to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from counterproof.reports.model import RecordData
from counterproof.reports.serialise import write_text

if TYPE_CHECKING:
    import pandas as pd
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

    def to_frame(self, what: Literal["measurements", "gates"] = "measurements") -> pd.DataFrame:
        """The measurements, or the gates, as a pandas frame: one row each, in the order of the record.

        Measurements have ``metric``, ``field``, ``group`` (in words, empty for all rows), ``family``, ``title``,
        ``status``, ``value``, ``low``, ``high``, ``unit``, ``better``, ``floor`` (real against real) with its interval,
        ``n`` (rows of the smaller sample), ``alarm``, ``reason`` and how they were made. Gates have ``expression``,
        ``verdict``, ``level`` (fail or warn), ``value``, ``low``, ``high``, ``limit``, ``fail_limit``, ``bound`` (what
        a pass was decided by), ``floor``, ``margin``, ``n_needed``, how many ``cells`` they have, and ``why``.
        Missing numbers are NaN, missing counts ``<NA>``.

        Several records make one frame with a column that names the record:

        >>> frames = {name: record.to_frame("gates") for name, record in records.items()}  # doctest: +SKIP
        >>> pd.concat(frames, names=["release"]).reset_index("release")  # doctest: +SKIP

        Args:
            what: ``"measurements"`` or ``"gates"``.

        Raises:
            ValueError: There is no such frame.
        """
        from counterproof.reports.outputs.frames import frame_of

        return frame_of(self, what)

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
