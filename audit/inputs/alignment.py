"""Tables of all roles aligned into one: the same columns and kinds, with findings on what did not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from counterproof.inputs.column_readings import FORMATS, AmbiguousError, Asked, ColumnReading, read_column
from counterproof.inputs.columns import KINDS, best_mark, date_fit, kind_of, number_fit
from counterproof.inputs.domain import domain_findings, key_findings, reading_findings, spelling_findings
from counterproof.inputs.findings import Finding, remark
from counterproof.inputs.forms import Flags, Form
from counterproof.inputs.number_texts import MARKS
from counterproof.inputs.read_options import DEFAULT, ReadOptions, chosen
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
INDEX = ("", "Unnamed: 0", "index", "level_0", "__index_level_0__")  # what programs call the numbers of rows
ODD = 0.01  # share of the release's values beyond the real share that may be none of the column's kind
SURE = 3.0  # standard errors by which it must be more


@dataclass(frozen=True, eq=False, kw_only=True)
class Wanted:
    """Columns that the user asked the audit to use.

    Attributes:
        label: The label column, if any.
        groups: Group columns.
        cluster: Column that names the source of each row, if any.
        kinds: Kinds that override what is inferred.
        read: How texts are to be read.
    """

    label: str | None = None
    groups: tuple[str, ...] = ()
    cluster: str | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    read: ReadOptions = DEFAULT

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
        released: Columns of the release as real data call them, aligned ones first; numbers of rows are none.
        findings: What did not fit, in sentences.
    """

    frame: pd.DataFrame
    kinds: dict[str, str]
    roles: dict[str, Rows]
    compared: tuple[str, ...]
    constant: tuple[str, ...]
    schema: tuple[Mismatch, ...]
    released: tuple[str, ...]
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
    findings: list[str] = [
        remark(f"{named(role, table)}: {said}") for role, table in tables.items() for said in table.remarks
    ]
    tables = _without_index(_alike_names(tables, findings), wanted, findings)
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
    if not made and not any(
        tables[role].form(name).count for role in tables if role != "synthetic" for name in columns
    ):
        raise Refusal("no column of the real data has a value: there is nothing to compare")
    if not made:
        raise Refusal(f"{named('synthetic', tables['synthetic'])} has every column of the real data in another type")
    inside = tables["synthetic"].frame.columns
    return Stack(
        frame=pd.DataFrame(made),
        kinds=kinds,
        roles=positions({role: len(table.frame) for role, table in tables.items()}),
        compared=tuple(name for name in made if name in inside and kinds[name] != "identifier"),
        constant=tuple(constant),
        schema=tuple(schema),
        released=(*(name for name in made if name in inside), *(name for name in inside if name not in made)),
        findings=[*(one.sentence for one in schema), *findings],
    )


def named(role: str, table: Table) -> str:
    """A role's table in a sentence: the role, and its file where it has one."""
    return role if table.source == role else f"{role} ({table.source})"


# -- which columns ----------------------------------------------------------------------------------


def _plain_name(name: str) -> str:
    return "_".join(name.casefold().replace("_", " ").split())


def _alike_names(tables: Mapping[str, Table], findings: list[str]) -> dict[str, Table]:
    """Columns whose names differ by case or spaces alone are called as in the first table."""
    first, *others = tables
    known = list(tables[first].frame.columns)
    aligned = {first: tables[first]}
    for role in others:
        table, names = tables[role], list(tables[role].frame.columns)
        plain = {_plain_name(name): name for name in known if name not in names}
        meant = {name: plain[_plain_name(name)] for name in names if name not in known and _plain_name(name) in plain}
        meant = {name: old for name, old in meant.items() if list(meant.values()).count(old) == 1}
        for name, old in meant.items():
            sentence = f"column {name!r} of {role} is taken for {old!r}: the names differ by case or spaces alone"
            findings.append(remark(sentence))
        frame = table.frame.set_axis([meant.get(name, name) for name in names], axis=1) if meant else table.frame
        aligned[role] = replace(table, frame=frame, forms={}) if meant else table
        known += [name for name in frame.columns if name not in known]
    return aligned


def _without_index(tables: Mapping[str, Table], wanted: Wanted, findings: list[str]) -> dict[str, Table]:
    """The numbers of rows that programs save beside a table are no column of it."""
    kept: dict[str, Table] = {}
    for role, table in tables.items():
        used = {*wanted.columns, *wanted.kinds}
        index = [name for name in INDEX if name in table.frame.columns and name not in used and _counts(table, name)]
        index = index[: len(table.frame.columns) - 1]
        for name in index:
            findings.append(remark(f"column {name!r} of {role} is the number of the row: left out of the audit"))
        kept[role] = replace(table, frame=table.frame.drop(columns=index), forms={}) if index else table
    return kept


def _counts(table: Table, name: str) -> bool:
    """Whether a column counts rows: from 0 or 1, in order; or in any order where only programs call a column so."""
    form = table.form(name)
    values = pd.to_numeric(form.values, errors="coerce").to_numpy(dtype=float)
    if np.isnan(values).any() or np.any(values != np.floor(values)) or len(np.unique(values)) < len(values):
        return False
    return name not in ("index", "") or bool((np.diff(values) == 1).all() and values[0] in (0, 1))


def _refuse_absent(tables: Mapping[str, Table], wanted: Wanted) -> None:
    for name, use in wanted.columns.items():
        for role, table in tables.items():
            if role == "synthetic" and use == "cluster":
                continue  # releases rarely say whom their rows were made from
            if name not in table.frame.columns:
                near = nearest_names(name, table.frame.columns)
                hint = f"; did you mean {near[0]!r}" if near else ""
                raise Refusal(f"{named(role, table)} has no column {name!r}, which is wanted as {use}{hint}")


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
        raise Refusal(f"{named('synthetic', tables['synthetic'])} shares no column with the real data")
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
    if not any(form.count for form in real.values()):
        if name in wanted.columns:
            raise Refusal(f"column {name!r}, wanted as {wanted.columns[name]}, has no value in the real data")
        findings.append(Finding(f"column {name!r} has no value in the real data: left out of the audit", 1.0))
        return None
    kind = _decide(name, real, tables, wanted)
    found = _read(name, kind, forms, tables, wanted)
    parsed = found.values
    for role, column in parsed.items():
        _refuse_infinite(name, column, tables[role].source)
    known = pd.concat([parsed[role] for role in real], ignore_index=True)
    other = _other_type(name, kind, forms["synthetic"], parsed, tables["synthetic"].typed, wanted)
    if other:
        left_out = name not in (*wanted.groups, wanted.cluster)
        schema.append(Mismatch(column=name, sentence=other, left_out=left_out))
        if left_out:
            return None
    elif odd := _odd_values(name, kind, forms, found.lost):
        schema.append(odd)
    _report(name, kind, forms, found, tables, findings)
    single = known.nunique(dropna=False) == 1
    if single:
        if name == wanted.label:
            raise Refusal(f"the label {name!r} has one value in the real data: nothing can be learned from it")
        findings.append(remark(f"column {name!r} has one value in the real data: kept out of the features"))
    return pd.concat([known, parsed["synthetic"]], ignore_index=True), kind, bool(single)


def _form(name: str, table: Table) -> Form:
    if name in table.frame.columns:
        return table.form(name)
    return Form("number", pd.Series(np.full(len(table.frame), np.nan)))


def _decide(name: str, real: Mapping[str, Form], tables: Mapping[str, Table], wanted: Wanted) -> str:
    """The kind of a column, as overridden, as its use asks, or as inferred."""
    if name in wanted.kinds:
        return wanted.kinds[name]
    if name == wanted.cluster:
        return "identifier"
    fitted = {role: form for role, form in real.items() if role != "test"} or dict(real)
    typed = all(tables[role].typed for role in fitted)
    kind: str = kind_of(name, list(fitted.values()), typed=typed, limit=wanted.read.unreadable)
    if name == wanted.label and kind == "number":
        numbers = pd.concat(list(_read(name, "number", fitted, tables, wanted).values.values()))
        return "category" if numbers.nunique() <= CLASSES else "number"
    if kind in OPAQUE and (name == wanted.label or name in wanted.groups):
        return "category"
    return kind


def _read(
    name: str, kind: str, forms: Mapping[str, Form], tables: Mapping[str, Table], wanted: Wanted
) -> ColumnReading:
    """The column as its kind.

    Raises:
        Refusal: It can be read in two ways and nothing decides, or what the user said of it cannot be met.
    """
    asked = Asked(
        decimal=chosen(wanted.read.decimal, name),
        dates=chosen(wanted.read.dates, name),
        kept=name == wanted.label or name in wanted.groups,
        hint=partial(_mark_elsewhere, name, tables, wanted),
    )
    try:
        found = read_column(forms, kind, asked)
    except AmbiguousError as error:
        option, ways = ("decimal", ('"."', '","')) if kind == "number" else ("dates", ('"day-first"', '"month-first"'))
        raise Refusal(
            f"column {name!r}: {error}, and no value decides; say which: {option} = {ways[0]} or {ways[1]} under "
            f"[data.read], or --{option} {ways[0]} or {ways[1]}".replace('--decimal "."', "--decimal .")
        ) from None
    for role, lost in found.lost.items():
        held, total = int(lost.sum()), forms[role].total
        said = asked.decimal if kind == "number" else asked.dates if kind == "datetime" else ""
        told = name in wanted.kinds or bool(said)
        best = number_fit if kind == "number" else date_fit
        if role == "synthetic" and not (said and best(forms[role]).lost < held):
            continue  # what a release holds is judged, not refused
        if told and held and not _may_be_lost(kind, forms[role], held, total, wanted.read.unreadable):
            what = f"as {kind}" + (f", where {FORMATS[said]}" if said else "")
            raise Refusal(
                f"{named(role, tables[role])}: {held:,} of {total:,} values of column {name!r} cannot be read {what}, "
                f"the first in row {lost.argmax()} (the first row is 0); mend them or change the option"
            )
    return found


def _may_be_lost(kind: str, form: Form, held: int, total: int, limit: float) -> bool:
    """Whether so many values may be none of their column's kind."""
    if held <= limit * total:
        return True
    fit = number_fit(form) if kind == "number" else date_fit(form)
    return held < total and fit.lost == held and fit.holds(limit)


def _mark_elsewhere(name: str, tables: Mapping[str, Table], wanted: Wanted) -> str:
    """The mark before decimals that the other columns of all tables have, empty where they have none or both."""
    marks = set()
    for table in tables.values():
        for other in table.frame.columns:
            form = table.form(other)
            if other == name:
                continue
            if form.sort == "number":
                values = form.present.to_numpy(dtype=float)
                if not table.typed and np.any(values != np.floor(values)):
                    marks.add(".")
            elif form.sort == "text" and number_fit(form).holds(wanted.read.unreadable):
                lost = [form.numbers.lost(mark, form.counts) for mark in MARKS]
                marks |= {best_mark(form)} if lost[0] != lost[1] else set()
    return marks.pop() if len(marks) == 1 else ""


def _other_type(
    name: str, kind: str, form: Form, parsed: Mapping[str, pd.Series[Any]], typed: bool, wanted: Wanted
) -> str:
    """What the release has in place of this kind of column, if none of its values can be read as one."""
    made = parsed["synthetic"].dropna()
    if kind in OPAQUE or not form.total:
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


def _odd_values(name: str, kind: str, forms: Mapping[str, Form], lost: Mapping[str, Flags]) -> Mismatch | None:
    """A release that holds values of no kind more often than real data do, beyond what a consumer can bear."""
    total, made = forms["synthetic"].total, int(lost["synthetic"].sum())
    if not made:
        return None
    known = sum(form.total for role, form in forms.items() if role != "synthetic")
    odd = sum(int(flags.sum()) for role, flags in lost.items() if role != "synthetic")
    shares = made / total, (odd + 1) / (known + 1)
    error = np.sqrt(shares[0] * (1 - shares[0]) / total + shares[1] * (1 - shares[1]) / (known + 1))
    if shares[0] - shares[1] - ODD <= SURE * error:
        return None
    sentence = f"column {name!r}: {made:,} of {total:,} values in the release are no {kind}"
    return Mismatch(column=name, sentence=sentence, left_out=False)


def _report(
    name: str,
    kind: str,
    forms: Mapping[str, Form],
    found: ColumnReading,
    tables: Mapping[str, Table],
    findings: list[str],
) -> None:
    """What is to be said of a column: how it was read, what could not be, and what only the release has."""
    held = name in tables["synthetic"].frame.columns
    if held:
        findings += key_findings(name, kind, forms)
    if kind in OPAQUE:
        what = "an identifier" if kind == "identifier" else "free text"
        findings.append(remark(f"column {name!r} is {what}: kept out of the features"))
        return
    odd = found.lost.get("synthetic")
    sorts = {role: str(form.sort) for role, form in forms.items() if form.total and (odd is None or not odd.any())}
    findings += reading_findings(name, {r: FORMATS[way] for r, way in found.ways.items()}, found.units, sorts)
    for role, lost in found.lost.items():
        if lost.any():
            findings.append(_unreadable(name, kind, role, forms[role], lost))
    if held:
        findings += spelling_findings(name, forms)
        findings += domain_findings(name, kind, found.values)


def _unreadable(name: str, kind: str, role: str, form: Form, lost: Flags) -> str:
    """A finding: values that cannot be read as the column's kind."""
    count, total = int(lost.sum()), form.total
    if count == total:
        sentence = f"column {name!r} is {A[kind]} in other real data and {A[form.sort]} in {role}: all missing there"
        return Finding(sentence, 1.0)
    first = f"first in row {np.flatnonzero(lost)[0]}, counted from 0"
    sentence = f"column {name!r}: {count} of {total} values in {role} are no {kind} and count as missing ({first})"
    return Finding(sentence, count / total)
