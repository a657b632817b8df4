"""Panels: the typed shape of each kind of figure's data, read before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from counterproof.reports.model import PanelReading
from counterproof.reports.serialise import rounded

Limits = tuple[float | None, float | None]
"""Lower and upper limit of a quantity; None where there is none."""


class Shape(BaseModel):
    """Base of all panel data; further keys are allowed and ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class Marginal(Shape):
    """One column of real against synthetic shares; None is hidden."""

    column: str
    kind: str = "numeric"
    statistic: str = ""
    value: float | None = None
    floor: float | None = None
    labels: list[str]
    real: list[float | None]
    synthetic: list[float | None]

    @model_validator(mode="after")
    def _one_share_per_label(self) -> Self:
        if not len(self.labels) == len(self.real) == len(self.synthetic):
            raise ValueError("a column has not as many shares as labels")
        return self


class Marginals(Shape):
    """Columns, worst first."""

    columns: list[Marginal]


class Map(Shape):
    """Real counts on a grid under synthetic points."""

    axes: tuple[str, str]
    x_edges: list[float]
    y_edges: list[float]
    real: list[list[int | None]]
    x: list[float | None]
    y: list[float | None]

    @model_validator(mode="after")
    def _the_grid_fits(self) -> Self:
        if len(self.real) != len(self.y_edges) - 1 or any(len(row) != len(self.x_edges) - 1 for row in self.real):
            raise ValueError("the grid of counts does not match its edges")
        if len(self.x) != len(self.y):
            raise ValueError("not as many points across as up")
        return self


class Pair(Shape):
    """A synthetic row and the real row nearest to it."""

    synthetic: str
    real: str
    note: str = ""
    distance: float | None = None
    exact: bool = False
    agree: int | None = None
    of: int | None = None
    synthetic_shown: bool = False
    synthetic_image: str | None = None
    real_image: str | None = None
    synthetic_record: dict[str, object] | None = None
    real_record: dict[str, object] | None = None


class Pairs(Shape):
    """Closest pairs; hidden unless said otherwise."""

    modality: str = "table"
    redacted: bool = True
    pairs: list[Pair]


class Cell(Shape):
    """Share in the release over share in real data, at one crossing."""

    row: int = Field(ge=0)
    column: int = Field(ge=0)
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n_real: int | None = None
    n_synthetic: int | None = None
    state: Literal["ok", "thin", "empty", "too few"] = "ok"


class Cells(Shape):
    """A cross table of ratios."""

    row_title: str = ""
    column_title: str = ""
    rows: list[str]
    columns: list[str]
    cells: list[Cell]

    @model_validator(mode="after")
    def _every_cell_has_its_names(self) -> Self:
        if any(cell.row >= len(self.rows) or cell.column >= len(self.columns) for cell in self.cells):
            raise ValueError("a cell stands outside the table")
        return self


class Reach(Shape):
    """A value with its interval."""

    value: float
    low: float
    high: float


class Entry(Shape):
    """One row of a forest plot."""

    label: str
    real: Reach | None = None
    synthetic: Reach | None = None
    change: Reach | None = None


class Forest(Shape):
    """Real-trained beside synthetic-trained, and the change against a limit."""

    limit: float | None = None
    unit: str = ""
    titles: tuple[str, str] = ("trained on real data", "trained on the release")
    entries: list[Entry]

    @property
    def limits(self) -> Limits:
        """Of the change: both sides of a limit above 0; a limit below 0 is the least that is tolerated."""
        if self.limit is None:
            return None, None
        return (self.limit, None) if self.limit < 0 else (-self.limit, self.limit)


class Bars(Shape):
    """One bar per label."""

    labels: list[str]
    values: list[float | None]
    value_title: str = ""

    @model_validator(mode="after")
    def _one_value_per_label(self) -> Self:
        if len(self.labels) != len(self.values):
            raise ValueError("not as many values as labels")
        return self


class Curves(Shape):
    """A curve of the release, and the band of real data against real data."""

    x_title: str = ""
    y_title: str = ""
    x: list[float]
    release: list[float]
    low: list[float]
    high: list[float]

    @model_validator(mode="after")
    def _all_have_one_length(self) -> Self:
        if not len(self.x) == len(self.release) == len(self.low) == len(self.high):
            raise ValueError("the curves have not as many points as places")
        return self


class MosaicGroup(Shape):
    """One group of a mosaic; None is hidden."""

    name: str
    real: float | None = None
    synthetic: float | None = None
    n_real: int | None = None
    n_synthetic: int | None = None
    real_labels: list[float | None]
    synthetic_labels: list[float | None]


class Mosaic(Shape):
    """Groups by label, real beside synthetic."""

    group_title: str = ""
    label_title: str = ""
    labels: list[str]
    groups: list[MosaicGroup]

    @model_validator(mode="after")
    def _one_share_per_label(self) -> Self:
        if any(len(part) != len(self.labels) for g in self.groups for part in (g.real_labels, g.synthetic_labels)):
            raise ValueError("a group has not as many shares as there are labels")
        return self


SHAPES: Mapping[str, type[Shape]] = {
    "marginals": Marginals,
    "map": Map,
    "pairs": Pairs,
    "cells": Cells,
    "forest": Forest,
    "bars": Bars,
    "curves": Curves,
    "mosaic": Mosaic,
}


def shape_of(panel: PanelReading) -> Any:
    """The typed data of a panel.

    Raises:
        ValueError: They have another shape; the message says what is wrong.
    """
    try:
        return SHAPES[panel.kind].model_validate(rounded(panel.data))
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"its data have another shape: {what}") from None
