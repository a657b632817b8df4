"""Panels: the typed shape of each kind of figure's data, read before anything is drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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


class Bars(Shape):
    """One bar per label."""

    labels: list[str]
    values: list[float | None]
    value_title: str = ""


class Curves(Shape):
    """A curve of the release, and the band of real data against real data."""

    x_title: str = ""
    y_title: str = ""
    x: list[float]
    release: list[float]
    low: list[float]
    high: list[float]


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
