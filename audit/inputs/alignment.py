"""Tables of all roles aligned into one: the same columns and kinds, with findings on what did not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from counterproof.inputs.columns import KINDS, Form, agreeing, kind_of, parse
from counterproof.inputs.findings import Finding, remark
from counterproof.inputs.tables import Table
from counterproof.metrics.sample import Mismatch, Rows
from counterproof.refusal import Refusal, nearest_names

ORDER = ("train", "holdout", "real", "test", "synthetic")
OPAQUE = ("identifier", "text")
CLASSES = 50  # a label with more distinct numbers is a quantity
A = {  # kinds and sorts in a sentence
    "number": "a number",
    "category": "a category",
    "boolean": "a truth value",
    "datetime": "a date",
    "text": "text",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Wanted:
    """Columns that the user asked the audit to use.

    Attributes:
        label: The label column, if any.
        groups: Group columns.
        cluster: Column that names the source of each row, if any.
        kinds: Kinds that override what is inferred.
    """

    label: str | None = None
    groups: tuple[str, ...] = ()
    cluster: str | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, str]:
        """Each requested column and its use."""
        asked = [(self.label, "label"), *((group, "group") for group in self.groups), (self.cluster, "cluster")]
        return {name: use for name, use in asked if name is not None}


@dataclass(frozen=True, eq=False, kw_only=True)
class Stack:
    """All roles in one table.

    Attributes:
        frame: Rows of all roles, columns in canonical form.
        kinds: Kind of each column.
        roles: Positions of each role's rows.
        compared: Columns that the release holds too and that are not identifiers.
        constant: Columns of one value in real data.
        schema: Columns that the release lacks, has in another type, or has in addition.
        findings: What did not fit, in sentences.
    """

    frame: pd.DataFrame
    kinds: dict[str, str]
    roles: dict[str, Rows]
    compared: tuple[str, ...]
    constant: tuple[str, ...]
    schema: tuple[Mismatch, ...]
    findings: list[str]


def positions(sizes: Mapping[str, int]) -> dict[str, Rows]:
    """Where the rows of each role lie when roles are stacked in their fixed order."""
    found: dict[str, Rows] = {}
    start = 0
    for role in ORDER:
        if role in sizes:
            found[role] = np.arange(start, start + sizes[role], dtype=np.intp)
            start += sizes[role]
    return found


def reconcile(tables: Mapping[str, Table], wanted: Wanted) -> Stack:
    """Align the tables of all roles; kinds come from the real ones.

    Raises:
        Refusal: A wanted column is absent or useless, real and synthetic share no column, a value
            is infinite, or an override names no column or kind.
    """
    tables = {role: tables[role] for role in ORDER if role in tables}
    findings: list[str] = []
    _refuse_absent(tables, wanted)
    columns = _real_columns(tables, findings)
    _refuse_overrides(wanted, columns)
    schema = _compared_names(tables, wanted, columns, findings)
    absent = {one.column for one in schema if one.left_out}
    made: dict[str, pd.Series[Any]] = {}
    kinds: dict[str, str] = {}
    constant: list[str] = []
    for name in columns:
        column = None if name in absent else _column(name, tables, wanted, schema, findings)
        if column is None:
            continue
        made[name], kinds[name], single = column
        constant += [name] if single else []
    if not made:
        raise Refusal(f"synthetic ({tables['synthetic'].source}) has every column of the real data in another type")
    inside = tables["synthetic"].frame.columns
    return Stack(
        frame=pd.DataFrame(made),
        kinds=kinds,
        roles=positions({role: len(table.frame) for role, table in tables.items()}),
        compared=tuple(name for name in made if name in inside and kinds[name] != "identifier"),
        constant=tuple(constant),
        schema=tuple(schema),
        findings=[*(one.sentence for one in schema), *findings],
    )


# -- which columns ----------------------------------------------------------------------------------


def _refuse_absent(tables: Mapping[str, Table], wanted: Wanted) -> None:
    for name, use in wanted.columns.items():
        for role, table in tables.items():
            if role == "synthetic" and use == "cluster":
                continue  # releases rarely say whom their rows were made from
            if name not in table.frame.columns:
                near = nearest_names(name, table.frame.columns)
                hint = f"; did you mean {near[0]!r}" if near else ""
                raise Refusal(f"{role} ({table.source}) has no column {name!r}, which is wanted as {use}{hint}")


def _real_columns(tables: Mapping[str, Table], findings: list[str]) -> list[str]:
    """Columns that all real roles hold; what only some of them hold becomes a finding."""
    real = {role: table for role, table in tables.items() if role != "synthetic"}
    every = list(dict.fromkeys(name for table in real.values() for name in table.frame.columns))
    for name in every:
        lacking = [role for role, table in real.items() if name not in table.frame.columns]
        if lacking:
            findings.append(Finding(f"column {name!r} is not in {', '.join(lacking)}: left out of the audit", 1.0))
    return [name for name in every if all(name in table.frame.columns for table in real.values())]


def _compared_names(
    tables: Mapping[str, Table], wanted: Wanted, columns: Sequence[str], findings: list[str]
) -> list[Mismatch]:
    """Columns that the release lacks, or has in addition; a new name that is like a lost one is no addition."""
    real = [table for role, table in tables.items() if role != "synthetic"]
    inside = tables["synthetic"].frame.columns
    missing = [name for name in columns if name not in inside]
    if len(missing) == len(columns):
        raise Refusal(f"synthetic ({tables['synthetic'].source}) shares no column with the real data")
    extra = [name for name in inside if not any(name in table.frame.columns for table in real)]
    found: list[Mismatch] = []
    for name in missing:
        if name == wanted.cluster:  # releases rarely say whom their rows were made from
            findings.append(remark(f"column {name!r} is missing from the release: every row is its own source"))
        elif any(len(table.form(name).present) for table in real):
            found.append(_lost(name, tables, wanted, extra))
    renamed = {lost.like for lost in found}
    for name in extra:
        if name not in renamed:
            sentence = f"column {name!r} is only in the release: left out of the audit"
            found.append(Mismatch(column=name, sentence=sentence, fails=False))
    return found


def _lost(name: str, tables: Mapping[str, Table], wanted: Wanted, extra: Sequence[str]) -> Mismatch:
    """A column of the real data that the release does not have."""
    forms = {role: table.form(name) for role, table in tables.items() if role != "synthetic"}
    sentence = f"column {name!r} is missing from the release"
    if _decide(name, forms, tables, wanted) == "identifier":
        sentence = f"{sentence}: an identifier, which a release can do without"
        return Mismatch(column=name, sentence=sentence, fails=False, left_out=False)
    plain = {other.casefold().strip().replace(" ", "_"): other for other in extra}
    near = nearest_names(name.casefold().strip().replace(" ", "_"), list(plain), most=1, cutoff=0.75)
    if not near:
        return Mismatch(column=name, sentence=sentence)
    like = plain[near[0]]
    return Mismatch(column=name, sentence=f"{sentence}; {like!r} looks like it", like=like)


def _refuse_overrides(wanted: Wanted, columns: Sequence[str]) -> None:
    for name, kind in wanted.kinds.items():
        if name not in columns:
            raise Refusal(f"kinds names the column {name!r}, which the real data do not have")
        if kind not in KINDS:
            raise Refusal(f"column {name!r}: {kind!r} is no kind; use one of {', '.join(KINDS)}")


# -- one column -------------------------------------------------------------------------------------


def _column(
    name: str, tables: Mapping[str, Table], wanted: Wanted, schema: list[Mismatch], findings: list[str]
) -> tuple[pd.Series[Any], str, bool] | None:
    """A column of all roles, its kind and whether real data hold one value only; None if it is left out."""
    forms = {role: _form(name, table) for role, table in tables.items()}
    real = {role: form for role, form in forms.items() if role != "synthetic"}
    if not any(len(form.present) for form in real.values()):
        if name in wanted.columns:
            raise Refusal(f"column {name!r}, wanted as {wanted.columns[name]}, has no value in the real data")
        findings.append(Finding(f"column {name!r} has no value in the real data: left out of the audit", 1.0))
        return None
    kind = _decide(name, real, tables, wanted)
    parsed = {role: parse(form, kind) for role, form in forms.items()}
    if kind == "category":
        parsed["synthetic"] = agreeing(forms["synthetic"], parsed["synthetic"], [parsed[role] for role in real])
    for role, column in parsed.items():
        _refuse_infinite(name, column, tables[role].source)
    known = pd.concat([parsed[role] for role in real], ignore_index=True)
    if not known.notna().any():
        raise Refusal(f"no real value of column {name!r} can be read as {kind}; change kinds")
    other = _other_type(name, kind, forms["synthetic"], parsed, tables["synthetic"].typed, wanted)
    if other:
        left_out = name not in (*wanted.groups, wanted.cluster)
        schema.append(Mismatch(column=name, sentence=other, left_out=left_out))
        if left_out:
            return None
    _report(name, kind, forms, parsed, tables, findings)
    single = known.nunique(dropna=False) == 1
    if single:
        if name == wanted.label:
            raise Refusal(f"the label {name!r} has one value in the real data: nothing can be learned from it")
        findings.append(remark(f"column {name!r} has one value in the real data: kept out of the features"))
    return pd.concat([known, *([parsed["synthetic"]])], ignore_index=True), kind, bool(single)


def _form(name: str, table: Table) -> Form:
    if name in table.frame.columns:
        return table.form(name)
    return Form("text", pd.Series([None] * len(table.frame), dtype=object))


def _decide(name: str, real: Mapping[str, Form], tables: Mapping[str, Table], wanted: Wanted) -> str:
    """The kind of a column, as overridden, as its use asks, or as inferred."""
    if name in wanted.kinds:
        return wanted.kinds[name]
    if name == wanted.cluster:
        return "identifier"
    fitted = {role: form for role, form in real.items() if role != "test"}
    kind: str = kind_of(name, list(fitted.values()), typed=all(tables[role].typed for role in fitted))
    if name == wanted.label and kind == "number":
        numbers = pd.concat([parse(form, "number") for form in fitted.values()])
        return "category" if numbers.nunique() <= CLASSES else "number"
    if kind in OPAQUE and (name == wanted.label or name in wanted.groups):
        return "category"
    return kind


def _other_type(
    name: str, kind: str, form: Form, parsed: Mapping[str, pd.Series[Any]], typed: bool, wanted: Wanted
) -> str:
    """What the release has in place of this kind of column, if none of its values can be read as one."""
    made = parsed["synthetic"].dropna()
    if kind in OPAQUE or not len(form.present):
        return ""
    if not len(made):
        return f"column {name!r} is {A[kind]} in real data and {A[form.sort]} in the release"
    if kind in ("number", "datetime"):
        return ""
    known = pd.concat([column for role, column in parsed.items() if role != "synthetic"]).dropna()
    levels, odd = set(known.unique()), set(made.unique())
    of_release = kind_of(name, [form], typed=typed)
    numbers = pd.to_numeric(known, errors="coerce").notna().all()
    if odd.isdisjoint(levels) and of_release in ("number", "datetime") and not numbers:
        return f"column {name!r} is {A[kind]} in real data and {A[of_release]} in the release"
    new = len(odd - levels)
    if len(levels) <= CLASSES < new and (name == wanted.label or (numbers and of_release == "number")):
        what = "label" if name == wanted.label else "column"
        return f"{what} {name!r} has {len(levels)} classes in real data and {new} other values in the release"
    return ""


def _refuse_infinite(name: str, column: pd.Series[Any], source: str) -> None:
    if column.dtype == np.float64:
        bad = np.flatnonzero(np.isinf(column.to_numpy()))
        if len(bad):
            more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            raise Refusal(
                f"{source}: column {name!r} is infinite in row {bad[0]}{more} (the first row is 0); "
                "make it a number or leave it empty"
            )


# -- findings ---------------------------------------------------------------------------------------


def _report(
    name: str,
    kind: str,
    forms: Mapping[str, Form],
    parsed: Mapping[str, pd.Series[Any]],
    tables: Mapping[str, Table],
    findings: list[str],
) -> None:
    if kind in OPAQUE:
        what = "an identifier" if kind == "identifier" else "free text"
        findings.append(remark(f"column {name!r} is {what}: kept out of the features"))
        return
    for role, form in forms.items():
        lost = form.values.notna().to_numpy() & parsed[role].isna().to_numpy()
        if lost.any():
            findings.append(_unreadable(name, kind, role, form, lost))
    if kind in ("category", "boolean") and name in tables["synthetic"].frame.columns:
        findings += _unseen(name, parsed)
    if kind == "number":
        findings += _fractions(name, parsed)


def _unreadable(name: str, kind: str, role: str, form: Form, lost: Any) -> str:
    """A finding: values that cannot be read as the column's kind."""
    count, total = int(lost.sum()), len(form.present)
    if count == total:
        return f"column {name!r} is {A[kind]} in other real data and {A[form.sort]} in {role}: all missing there"
    first = f"first in row {np.flatnonzero(lost)[0]}, where the first row is 0"
    return f"column {name!r}: {count} of {total} values in {role} are no {kind} and count as missing ({first})"


def _unseen(name: str, parsed: Mapping[str, pd.Series[Any]]) -> list[str]:
    """A finding: categories in the release alone. Their row is named; the value may be another column's."""
    known = set().union(*(set(column.dropna().unique()) for role, column in parsed.items() if role != "synthetic"))
    made = parsed["synthetic"]
    odd = (made.notna() & ~made.isin(list(known))).to_numpy()
    if not odd.any():
        return []
    count = made[odd].nunique()
    what = "a category" if count == 1 else f"{count} categories"
    rows = f"{int(odd.sum())} rows" if odd.sum() > 1 else "1 row"
    first = f"first in row {np.flatnonzero(odd)[0]}, where the first row is 0"
    return [f"column {name!r}: synthetic holds {what} never seen in real data, in {rows} ({first})"]


def _fractions(name: str, parsed: Mapping[str, pd.Series[Any]]) -> list[str]:
    real = np.concatenate([column.to_numpy() for role, column in parsed.items() if role != "synthetic"])
    made = parsed["synthetic"].to_numpy()
    if np.all((real == np.floor(real)) | np.isnan(real)):
        broken = int(np.sum(made != np.floor(made)) - np.isnan(made).sum())
        if broken:
            return [f"column {name!r}: whole numbers in real data, fractions in {broken} synthetic rows"]
    return []
