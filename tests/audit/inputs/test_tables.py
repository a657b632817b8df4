"""Tables are read the same from every format, and what does not fit is told by name."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in
from counterproof.metrics.sample import Mismatch


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "person_id": np.arange(n) + 1000 * seed,
            "age": rng.integers(18, 90, n),
            "income": np.round(rng.lognormal(10, 1, n), 2),
            "job": rng.choice(["nurse", "baker", "clerk"], n),
            "married": rng.choice(["true", "false"], n),
            "zip": rng.choice(["02139", "10001", "94110"], n),
            "born": pd.to_datetime("1950-01-01") + pd.to_timedelta(rng.integers(0, 20000, n), unit="D"),
            "note": [" ".join(rng.choice(["a", "bb", "ccc", "dd"], 6)) + f" {i}" for i in range(n)],
        }
    )
    frame.loc[frame.index[::7], "income"] = np.nan
    frame.loc[frame.index[::5], "job"] = None
    return frame


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return {"train": people(60, 1), "holdout": people(50, 2), "synthetic": people(40, 3)}


def stored(frames: dict[str, pd.DataFrame], folder: Path, kind: str) -> dict[str, Any]:
    paths = {role: folder / f"{role}.{kind}" for role in frames}
    for role, frame in frames.items():
        if kind == "csv":
            frame.to_csv(paths[role], index=False)
        elif kind == "parquet":
            frame.to_parquet(paths[role], index=False)
        else:
            frame.to_feather(paths[role])
    return dict(paths)


@pytest.mark.parametrize("kind", ["csv", "parquet", "feather"])
def test_the_file_format_changes_nothing(frames: dict[str, pd.DataFrame], tmp_path: Path, kind: str) -> None:
    plain = take_in(frames, label="job", groups=["zip"])
    read = take_in(stored(frames, tmp_path, kind), label="job", groups=["zip"])
    assert np.array_equal(plain.corpus.features, read.corpus.features)
    assert np.array_equal(plain.corpus.digests, read.corpus.digests)
    assert plain.digests == read.digests
    assert plain.corpus.kinds == read.corpus.kinds
    assert plain.corpus.labels is not None
    assert read.corpus.labels is not None
    assert plain.corpus.labels.tolist() == read.corpus.labels.tolist()


def test_roles_may_come_in_different_formats(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    paths = stored(frames, tmp_path, "csv")
    mixed = take_in({**frames, "synthetic": paths["synthetic"]})
    assert np.array_equal(mixed.corpus.features, take_in(frames).corpus.features)


def test_kinds_are_inferred_and_can_be_overridden(frames: dict[str, pd.DataFrame]) -> None:
    assert take_in(frames).corpus.kinds == {
        "person_id": "identifier",
        "age": "number",
        "income": "number",
        "job": "category",
        "married": "boolean",
        "zip": "category",
        "born": "datetime",
        "note": "text",
    }
    other = take_in(frames, kinds={"age": "category", "zip": "identifier"})
    assert other.corpus.kinds["age"] == "category"
    assert "zip" not in other.corpus.block_names


def test_identifiers_and_free_text_stay_out_of_the_features(frames: dict[str, pd.DataFrame]) -> None:
    found = take_in(frames)
    assert found.corpus.block_names == ("age", "income", "job", "married", "zip", "born")
    assert any("'person_id' is an identifier" in finding for finding in found.findings)
    assert any("'note' is free text" in finding for finding in found.findings)


def test_frames_are_never_changed(frames: dict[str, pd.DataFrame]) -> None:
    before = {role: frame.copy(deep=True) for role, frame in frames.items()}
    take_in(frames, label="job", groups=["zip", "age"])
    for role, frame in frames.items():
        pd.testing.assert_frame_equal(frame, before[role])


def test_roles_are_stacked_in_a_fixed_order(frames: dict[str, pd.DataFrame]) -> None:
    found = take_in(dict(reversed(frames.items())) | {"test": people(10, 4)})
    assert {role: (int(rows[0]), len(rows)) for role, rows in found.roles.items()} == {
        "train": (0, 60),
        "holdout": (60, 50),
        "test": (110, 10),
        "synthetic": (120, 40),
    }
    assert found.corpus.frame is not None
    assert found.corpus.frame["age"].tolist()[120:] == frames["synthetic"]["age"].astype(float).tolist()
    assert found.corpus.names[120] == "0"


def test_the_frame_is_in_canonical_form(frames: dict[str, pd.DataFrame]) -> None:
    frame = take_in(frames).corpus.frame
    assert frame is not None
    assert frame["age"].dtype == np.float64
    assert frame["born"].dtype == "datetime64[us]"
    assert frame["job"].iloc[0] is None
    assert set(frame["married"]) == {"True", "False"}


def digest_groups(columns: dict[str, list[Any]]) -> list[int]:
    frame = pd.DataFrame(columns)
    found = take_in({"real": frame, "synthetic": frame}, kinds={"v": "number"} if "v" in columns else None)
    return np.unique(found.corpus.digests[: len(frame)], return_inverse=True)[1].tolist()


def test_rows_have_equal_digests_exactly_where_they_are_equal() -> None:
    codes = digest_groups({"v": [1, 1.0, None, float("nan"), 2, -0.0, 0.0], "w": ["a", "a", "b", "b", "a", "a", "a"]})
    assert codes[0] == codes[1]
    assert codes[2] == codes[3]
    assert codes[5] == codes[6]
    assert len(set(codes)) == 4


def test_digests_match_a_join_of_the_tables(frames: dict[str, pd.DataFrame]) -> None:
    made = pd.concat([frames["synthetic"], frames["train"].iloc[[3, 5, 5]]], ignore_index=True)
    found = take_in({**frames, "synthetic": made.drop(columns="person_id")})
    synthetic, train = (found.corpus.digests[found.roles[role]] for role in ("synthetic", "train"))
    assert np.flatnonzero(np.isin(synthetic, train)).tolist() == [40, 41, 42]
    assert np.flatnonzero(np.isin(train, synthetic)).tolist() == [3, 5]


def test_the_digest_of_a_role_follows_content_and_order_alone(frames: dict[str, pd.DataFrame]) -> None:
    plain = take_in(frames).digests
    other = take_in({**frames, "synthetic": frames["holdout"].iloc[::-1]}, label="age").digests
    assert plain["train"] == other["train"]
    assert plain["holdout"] == other["holdout"]
    assert other["synthetic"] != plain["holdout"]


def finding(found: Intake, column: str) -> str:
    return next(text for text in found.findings if f"column {column!r}" in text)


def test_what_does_not_fit_is_told_by_name(frames: dict[str, pd.DataFrame]) -> None:
    made = frames["synthetic"].drop(columns="born").assign(extra=1, zip="00000", married=frames["synthetic"]["note"])
    made["age"] = ["old"] * 3 + [float(age) + 0.5 for age in made["age"][3:]]
    found = take_in({**frames, "synthetic": made})
    assert "missing from the release" in finding(found, "born")
    assert "only in the release" in finding(found, "extra")
    assert "never seen in real data, in 40 rows, 100.00% (first in row 0, counted from 0)" in finding(found, "zip")
    assert "40 categories never seen" in finding(found, "married")
    assert "3 of 40 values in synthetic are no number and count as missing (first in row 0" in finding(found, "age")
    assert any("fractions in the release, in 37 rows, 100.00% (first in row 3" in text for text in found.findings)
    assert found.corpus.frame is not None
    rows = found.roles["synthetic"]
    assert "born" not in found.corpus.frame
    assert found.corpus.frame["age"].iloc[rows].isna().sum() == 3
    assert "extra" not in found.corpus.frame


def mismatches(found: Intake) -> dict[str, Mismatch]:
    return {one.column: one for one in found.corpus.schema}


def test_a_column_of_another_type_is_left_out_and_told(frames: dict[str, pd.DataFrame]) -> None:
    made = frames["synthetic"].assign(age="young", job=np.arange(40) + 0.5, born=True)
    found = take_in({**frames, "synthetic": made})
    assert {name: one.sentence for name, one in mismatches(found).items()} == {
        "age": "column 'age' is a number in real data and text in the release",
        "job": "column 'job' is a category in real data and a number in the release",
        "born": "column 'born' is a date in real data and a truth value in the release",
    }
    assert all(one.fails and one.left_out for one in mismatches(found).values())
    assert found.corpus.frame is not None
    assert not {"age", "job", "born"} & set(found.corpus.frame)
    assert {"income", "married"} <= set(found.corpus.block_names)


def test_a_missing_column_is_left_out_of_all_roles_and_one_like_it_is_named(frames: dict[str, pd.DataFrame]) -> None:
    made = frames["synthetic"].rename(columns={"income": "In come", "job": "profession"}).drop(columns="person_id")
    found = take_in({**frames, "synthetic": made})
    told = mismatches(found)
    assert told["income"].sentence == "column 'income' is missing from the release; 'In come' looks like it"
    assert told["job"].sentence == "column 'job' is missing from the release"
    assert told["profession"].sentence == "column 'profession' is only in the release: left out of the audit"
    assert {name: one.fails for name, one in told.items()} == {
        "income": True,
        "job": True,
        "person_id": False,
        "profession": False,
    }
    assert found.corpus.frame is not None
    assert not {"income", "job", "In come"} & set(found.corpus.frame)


def test_a_group_of_another_type_stays_as_missing(frames: dict[str, pd.DataFrame]) -> None:
    found = take_in({**frames, "synthetic": frames["synthetic"].assign(age="young")}, groups=["age"])
    assert not mismatches(found)["age"].left_out
    assert set(found.corpus.groups["age"][found.roles["synthetic"]]) == {""}


def test_findings_never_quote_real_values(frames: dict[str, pd.DataFrame]) -> None:
    train = frames["train"].assign(age=frames["train"]["age"].astype(object))
    train.loc[0, "age"] = "secret"
    found = take_in({**frames, "train": train}, kinds={"age": "number"})
    assert "1 of 60 values in train are no number" in finding(found, "age")
    assert not any("secret" in text for text in found.findings)


def test_findings_quote_no_value_of_the_release_that_a_record_may_have_lent(frames: dict[str, pd.DataFrame]) -> None:
    frames["train"].loc[3, "note"] = "ann.secret@firm.org"
    made = frames["synthetic"].astype({"age": object})
    made.loc[5, "job"] = made.loc[6, "age"] = frames["train"].loc[3, "note"]
    found = take_in({**frames, "synthetic": made})
    assert "in 1 row, 3.03% (first in row 5, counted from 0)" in finding(found, "job")
    assert "1 of 40 values in synthetic are no number and count as missing (first in row 6" in finding(found, "age")
    assert not any("secret" in text for text in found.findings)


def test_useless_columns_are_findings(frames: dict[str, pd.DataFrame]) -> None:
    roles = {role: frame.assign(one="x", void=np.nan) for role, frame in frames.items()}
    found = take_in(roles)
    assert "one value" in finding(found, "one")
    assert "no value" in finding(found, "void")
    assert "one" not in found.corpus.block_names
    assert "one" in found.corpus.kinds
    assert "void" not in found.corpus.kinds


def test_labels_and_groups_are_strings(frames: dict[str, pd.DataFrame]) -> None:
    found = take_in(frames, label="job", groups=["age", "married"])
    assert found.corpus.labels is not None
    assert set(found.corpus.labels) == {"", "nurse", "baker", "clerk"}
    assert "cut into fifths" in next(text for text in found.findings if "'age'" in text)
    ages = np.concatenate([frames[role]["age"] for role in ("train", "holdout")])
    edges = np.quantile(ages, [0.2, 0.4, 0.6, 0.8])
    values = found.corpus.groups["age"][: len(ages)]
    assert np.array_equal(values == f"≤ {edges[0]:g}", ages <= edges[0])
    assert np.array_equal(values == f"({edges[1]:g}, {edges[2]:g}]", (edges[1] < ages) & (ages <= edges[2]))
    assert np.array_equal(values == f"> {edges[3]:g}", ages > edges[3])
    assert {"age", "job", "married"} <= set(found.corpus.block_names)


def test_a_group_of_one_is_a_finding_that_does_not_name_it(frames: dict[str, pd.DataFrame]) -> None:
    train = frames["train"].assign(zip=["99999", *frames["train"]["zip"][1:]])
    found = take_in({**frames, "train": train}, groups=["zip"])
    (told,) = [text for text in found.findings if "single real row" in text]
    assert "99999" not in told


def test_a_numeric_label_is_a_class_only_while_values_are_few(frames: dict[str, pd.DataFrame]) -> None:
    quantity = take_in(frames, label="income")
    assert quantity.corpus.labels is None
    assert quantity.corpus.label == ""
    assert quantity.corpus.no_labels == "'income' is a number"
    assert "utility and fairness were not judged: 'income' is a number" in quantity.findings
    scored = {role: frame.assign(score=np.arange(len(frame)) % 5) for role, frame in frames.items()}
    classes = take_in(scored, label="score")
    assert classes.corpus.labels is not None
    assert set(classes.corpus.labels) == set("01234")


BINARY: dict[str, Callable[[Any], Any]] = {
    "whole": lambda y: y.astype(int),
    "float": lambda y: y.astype(float),
    "single": lambda y: y.astype("float32"),
    "text": lambda y: y.astype(int).astype(str),
    "float text": lambda y: y.astype(float).astype(str),
    "boolean": lambda y: y.astype(bool),
    "boolean text": lambda y: y.astype(bool).astype(str),
}


@pytest.mark.parametrize(
    "forms",
    [*itertools.product(["whole"], BINARY, BINARY), *itertools.product(["boolean text"], BINARY, ["float"])],
    ids="-".join,
)
def test_labels_are_reconciled_where_their_values_agree(forms: tuple[str, ...]) -> None:
    y = pd.Series(np.arange(60) % 2)
    x = np.random.default_rng(0).normal(size=60)
    roles = ("train", "holdout", "synthetic")
    found = take_in(
        {role: pd.DataFrame({"x": x, "y": BINARY[form](y)}) for role, form in zip(roles, forms, strict=True)}, label="y"
    )
    labels = found.corpus.labels
    assert labels is not None
    assert len(set(labels)) == 2
    assert np.array_equal(labels == labels[1], np.tile(y, 3) == 1)
    assert not found.corpus.schema


def test_single_precision_is_the_number_that_it_rounds() -> None:
    real = pd.DataFrame({"dose": np.arange(60) % 3 / 10, "x": np.random.default_rng(0).normal(size=60)})
    found = take_in({"real": real, "synthetic": real.astype({"dose": "float32"})}, label="dose")
    assert found.corpus.labels is not None
    assert set(found.corpus.labels) == {"0", "0.1", "0.2"}


def test_a_label_that_the_release_holds_as_a_quantity_is_no_label(frames: dict[str, pd.DataFrame]) -> None:
    rng = np.random.default_rng(0)
    real = {role: frame.assign(y=np.arange(len(frame)) % 2) for role, frame in frames.items()}
    made = pd.DataFrame(
        {**{c: np.resize(frames["synthetic"][c], 200) for c in frames["synthetic"]}, "y": rng.random(200)}
    )
    found = take_in({**real, "synthetic": made}, label="y")
    sentence = "label 'y' has 2 classes in real data and 200 other values in the release"
    assert mismatches(found)["y"].sentence == found.corpus.no_labels == sentence
    assert found.corpus.labels is None


def test_sources_of_rows_are_numbered(frames: dict[str, pd.DataFrame]) -> None:
    roles = {role: frame.assign(patient=np.arange(len(frame)) // 2) for role, frame in frames.items()}
    roles["holdout"].loc[0:1, "patient"] = np.nan
    found = take_in(roles, cluster="patient")
    codes = found.corpus.clusters
    assert codes is not None
    assert codes[0] == codes[1] != codes[2]
    assert codes[60] != codes[61]
    assert codes[62] == codes[2]
    assert not set(codes[found.roles["synthetic"]]) & set(codes[:110])
    assert "patient" not in found.corpus.block_names


def test_hostile_names_and_values_are_only_text() -> None:
    evil = "</script><script>alert(1)</script>"
    values = pd.Series(["=1+1", "\x00", "\ud800", evil] * 10, dtype=object)
    frame = pd.DataFrame({evil: values, "b\n": range(40)})
    found = take_in({"real": frame, "synthetic": frame.assign(**{evil: "\nFAKE"})}, label=evil)
    assert found.corpus.labels is not None
    assert "\\ud800" in found.corpus.labels
    assert found.corpus.label == evil
    assert all("\n" not in text for text in found.findings)


def test_semicolons_quotes_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffa;"b;c"\r\n1;"x\ny"\r\n2;NA\r\n'.encode())
    found = take_in({"real": path, "synthetic": path})
    assert found.corpus.frame is not None
    assert found.corpus.frame["a"].tolist() == [1, 2, 1, 2]
    assert found.corpus.frame["b;c"].tolist()[:2] == ["x\ny", None]


def test_pandas_types_are_understood() -> None:
    frame = pd.DataFrame(
        {
            "nullable": pd.array([1, None, 3] * 10, dtype="Int64"),
            "levels": pd.Categorical([1, 2, 1] * 10),
            "truth": pd.array([True, None, False] * 10, dtype="boolean"),
            "zoned": pd.date_range("2020-01-01", periods=30, tz="Europe/Paris"),
            "span": pd.to_timedelta(range(30), unit="s"),
            "mixed": ["a", 1, 2.0] * 10,
        }
    )
    found = take_in({"real": frame, "synthetic": frame})
    assert found.corpus.kinds == {
        "nullable": "number",
        "levels": "category",
        "truth": "boolean",
        "zoned": "datetime",
        "span": "number",
        "mixed": "category",
    }
    assert found.corpus.frame is not None
    assert found.corpus.frame["mixed"].tolist()[:3] == ["a", "1", "2"]
    assert found.corpus.frame["zoned"].iloc[0] == pd.Timestamp("2019-12-31 23:00")
