"""A column is read as people write it: nearly all cells decide its kind, and all roles how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.field_tables import Frames, comma, days_first, each, staff, three, written

from counterproof.inputs.read_options import ReadOptions
from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in
from counterproof.refusal import Refusal

N = 300


@pytest.fixture(scope="module")
def frames() -> Frames:
    return three(N)


def column(found: Intake, name: str, role: str = "train") -> np.ndarray[Any, Any]:
    assert found.corpus.frame is not None
    values: np.ndarray[Any, Any] = found.corpus.frame[name].to_numpy()[found.roles[role]]
    return values


def labels(found: Intake) -> set[str]:
    assert found.corpus.labels is not None
    return set(found.corpus.labels.tolist())


def findings(found: Intake, name: str) -> list[str]:
    return [text for text in found.findings if f"column {name!r}" in text]


def refusal(sources: Any, **options: Any) -> str:
    with pytest.raises(Refusal) as caught:
        take_in(sources, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- numbers ----------------------------------------------------------------------------------------------

WAYS = {
    "thousands": lambda v: f"{v:,.2f}",
    "decimal comma": comma,
    "apostrophes": lambda v: f"{v:,.2f}".replace(",", "'"),
    "thin spaces": lambda v: f"{v:,.2f}".replace(",", "\u202f").replace(".", ","),
    "dollars": lambda v: f"${v:,.2f}",
    "euros behind": lambda v: f"{comma(v)} €",
    "a currency's code": lambda v: f"CHF {v:.2f}",
    "per cent": lambda v: f"{v:.2f} %",
    "a unit": lambda v: f"{v:.2f} kg",
    "spaces": lambda v: f"  {v:.2f} ",
    "scientific": lambda v: f"{v:.6e}",
    "a plus": lambda v: f"+{v:.2f}",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("roles", [(), ("train", "holdout"), ("synthetic",)], ids=["all", "real", "release"])
@pytest.mark.parametrize("as_files", [True, False])
def test_numbers_are_read_however_they_are_written(
    frames: Frames, tmp_path: Path, way: str, roles: tuple[str, ...], as_files: bool
) -> None:
    changed = each(frames, "pay", WAYS[way], *roles)
    found = take_in(written(changed, tmp_path) if as_files else changed, label="label")
    assert found.corpus.kinds["pay"] == "number"
    for role, frame in frames.items():
        np.testing.assert_allclose(column(found, "pay", role), frame["pay"], rtol=1e-12)
    assert not any("no number" in text or "never seen" in text for text in findings(found, "pay"))


def test_parentheses_are_negative(frames: Frames, tmp_path: Path) -> None:
    signed = {role: frame.assign(pay=frame["pay"] - 1800) for role, frame in frames.items()}
    texts = each(signed, "pay", lambda v: f"({-v:,.2f})" if v < 0 else f"{v:,.2f}")
    found = take_in(written(texts, tmp_path))
    np.testing.assert_allclose(column(found, "pay"), signed["train"]["pay"], atol=1e-9)


@pytest.mark.parametrize("word", ["?", "NA", "None", "null", "-", ".", "n/a", "nan", " ", "<NA>"])
def test_words_for_missing_are_missing(frames: Frames, tmp_path: Path, word: str) -> None:
    gone = np.arange(N) % 4 == 0
    texts = {
        role: frame.assign(
            pay=frame["pay"].astype(object).where(~gone, word),
            city=frame["city"].where(~gone, word),
            joined=frame["joined"].astype(str).where(~gone, word),
        )
        for role, frame in frames.items()
    }
    found = take_in(written(texts, tmp_path))
    assert found.corpus.kinds["pay"] == "number"
    assert found.corpus.kinds["joined"] == "datetime"
    for name in ("pay", "city", "joined"):
        assert np.array_equal(pd.isna(column(found, name)), gone)
        assert not findings(found, name)


def test_a_word_for_missing_can_be_a_class(frames: Frames) -> None:
    named = {role: frame.assign(grade=np.resize(["None", "Mild", "-"], N)) for role, frame in frames.items()}
    found = take_in(named, label="grade")
    assert labels(found) == {"None", "Mild", "-"}
    empty = {role: frame.assign(grade=frame["grade"].where(frame["grade"] != "-")) for role, frame in named.items()}
    empty["synthetic"]["grade"] = empty["synthetic"]["grade"].fillna("?")  # which no real row has
    assert labels(take_in(empty, label="grade")) == {"None", "Mild", ""}


def test_further_words_may_mean_missing(frames: Frames) -> None:
    odd = {role: frame.assign(pay=frame["pay"].astype(object)) for role, frame in frames.items()}
    for frame in odd.values():
        frame.loc[:99, "pay"] = "refused"
    found = take_in(odd, reading=ReadOptions(missing=("refused",)))
    assert np.isnan(column(found, "pay")).sum() == 100
    assert not findings(found, "pay")


@pytest.mark.parametrize("as_files", [True, False])
def test_one_odd_cell_does_not_change_a_columns_kind(frames: Frames, tmp_path: Path, as_files: bool) -> None:
    odd = {role: frame.astype({"pay": object, "age": object}) for role, frame in frames.items()}
    odd["train"].loc[5, "pay"], odd["holdout"].loc[7, "age"] = "unknown", "old"
    odd["train"]["joined"] = odd["train"]["joined"].astype(str).where(odd["train"].index != 3, "never")
    found = take_in(written(odd, tmp_path) if as_files else odd)
    assert [found.corpus.kinds[name] for name in ("pay", "age", "joined")] == ["number", "number", "datetime"]
    assert "1 of 300 values in train are no number and count as missing (first in row 5" in findings(found, "pay")[0]
    assert "1 of 300 values in holdout are no number" in findings(found, "age")[0]
    assert (
        "1 of 300 values in train are no datetime and count as missing (first in row 3" in findings(found, "joined")[0]
    )
    assert not any("unknown" in text or "never" in text for text in found.findings)


@pytest.mark.parametrize(("share", "kind"), [(0.04, "number"), (0.08, "category")])
def test_the_limit_is_stated(frames: Frames, share: float, kind: str) -> None:
    changed = {role: frame.assign(age=frame["age"].astype(str)) for role, frame in frames.items()}
    for frame in changed.values():
        frame.loc[: int(N * share) - 1, "age"] = [f"about {k}" for k in range(int(N * share))]
    assert take_in(changed).corpus.kinds["age"] == kind
    wider = ReadOptions(unreadable=0.1)
    assert take_in(changed, reading=wider).corpus.kinds["age"] == "number"


def test_a_word_that_stands_for_no_number_is_no_category(frames: Frames) -> None:
    changed = {role: frame.assign(pay=frame["pay"].astype(str)) for role, frame in frames.items()}
    for frame in changed.values():
        frame.loc[::4, "pay"] = "top coded"
    found = take_in(changed)
    assert found.corpus.kinds["pay"] == "number"
    assert "75 of 300 values in train are no number" in findings(found, "pay")[0]


def test_codes_with_leading_zeros_stay_text(frames: Frames, tmp_path: Path) -> None:
    codes = np.resize(["02139", "10001", "94110"], N)
    zips = {role: frame.assign(zip=codes, age=frame["age"].astype(str)) for role, frame in frames.items()}
    zips["train"].loc[0, "age"] = "007"  # one odd cell among numbers of other widths
    found = take_in(written(zips, tmp_path))
    assert found.corpus.kinds["zip"] == "category"
    assert set(column(found, "zip")) == {"02139", "10001", "94110"}
    assert found.corpus.kinds["age"] == "number"
    lost = {**zips, "synthetic": zips["synthetic"].assign(zip=np.resize([2139, 10001, 94110], N))}
    told = findings(take_in(written(lost, tmp_path)), "zip")[0]
    assert "never seen in real data, in 100 rows" in told
    assert "1 of them equal real ones but for how the number is written" in told


@pytest.mark.parametrize(
    "values",
    [
        [f"job{k:04d}" for k in range(40)],
        ["12A", "12B", "7C", "3D"],
        ["18-25", "26-35", "36-50"],
        ["1.2.3", "1.2.10", "2.0.1"],
        ["10.0.0.1", "192.168.1.7"],
        ["Q1", "Q2", "Q3"],
        ["3 of 5", "4 of 5"],
        ["A+", "A-", "B"],
    ],
)
def test_names_with_digits_are_no_numbers(frames: Frames, tmp_path: Path, values: list[str]) -> None:
    coded = {role: frame.assign(code=np.resize(values, N)) for role, frame in frames.items()}
    for sources in (coded, written(coded, tmp_path)):
        assert take_in(sources).corpus.kinds["code"] == "category"


def test_text_columns_of_whole_numbers_stay_what_the_format_says(frames: Frames, tmp_path: Path) -> None:
    typed = {role: frame.assign(ward=np.resize(["1", "2", "3"], N)) for role, frame in frames.items()}
    assert take_in(typed).corpus.kinds["ward"] == "category"
    assert take_in(written(typed, tmp_path)).corpus.kinds["ward"] == "number"


def test_large_serial_numbers_are_told_apart(frames: Frames, tmp_path: Path) -> None:
    start = 9_007_199_254_740_993  # 2^53 + 1
    serial = {
        role: frame.assign(user_id=[str(start + 1000 * at + k) for k in range(N)])
        for at, (role, frame) in enumerate(frames.items())
    }
    found = take_in(written(serial, tmp_path))
    assert found.corpus.kinds["user_id"] == "identifier"
    assert len(set(column(found, "user_id"))) == N


# -- one way or the other -----------------------------------------------------------------------------


def whole(frames: Frames, separator: str, *, low: int = 1000) -> Frames:
    pays = {role: frame.assign(pay=low + (frame["pay"] * 7).astype(int)) for role, frame in frames.items()}
    return each(pays, "pay", lambda v: f"{v:,}".replace(",", separator))


def test_numbers_that_may_be_either_ask_for_the_option(frames: Frames, tmp_path: Path) -> None:
    only = {role: frame[["pay", "age"]] for role, frame in whole(frames, ",").items()}
    sources = written(only, tmp_path)
    text = refusal(sources)
    assert "column 'pay'" in text
    assert 'decimal = "." or ","' in text
    assert "--decimal" in text
    thousands = take_in(sources, reading=ReadOptions(decimal="."))
    assert column(thousands, "pay").min() > 1000
    decimals = take_in(sources, reading=ReadOptions(decimal={"pay": ","}))
    assert column(decimals, "pay").max() < 1000


def test_one_role_decides_for_all(frames: Frames, tmp_path: Path) -> None:
    only = {role: frame[["pay", "age"]] for role, frame in whole(frames, ",").items()}
    only["holdout"].loc[0, "pay"] = "1,234,567"
    found = take_in(written(only, tmp_path))
    assert column(found, "pay", "synthetic").min() > 1000


def test_small_numbers_without_a_separator_and_noughts_show_thousands(frames: Frames, tmp_path: Path) -> None:
    small = {role: frame.assign(pay=(frame["pay"] / 2).astype(int)) for role, frame in frames.items()}
    for separator in (",", "."):
        texts = each(small, "pay", lambda v, s=separator: f"{v:,}".replace(",", s))  # type: ignore[misc]
        only = {role: frame[["pay", "age"]] for role, frame in texts.items()}
        found = take_in(written(only, tmp_path))
        np.testing.assert_array_equal(column(found, "pay"), small["train"]["pay"])


def test_other_columns_of_the_table_decide(frames: Frames, tmp_path: Path) -> None:
    texts = whole(frames, ",")
    found = take_in(written(texts, tmp_path))  # x0 has plain decimals
    assert column(found, "pay").min() > 1000
    european = each(texts, "x0", lambda v: f"{v:.3f}".replace(".", ","))
    assert column(take_in(written(european, tmp_path, sep=";")), "pay").max() < 1000


@pytest.mark.parametrize("separator", [",", "."])
def test_a_release_is_read_like_whole_numbers_or_like_fractions_of_real_data(
    frames: Frames, tmp_path: Path, separator: str
) -> None:
    numbers = {
        role: frame.assign(pay=1000 + (frame["pay"] * 7).astype(int))[["pay", "sex"]] for role, frame in frames.items()
    }
    texts = each(numbers, "pay", lambda v: f"{v:,}".replace(",", separator), "synthetic")
    found = take_in(written(texts, tmp_path))
    np.testing.assert_array_equal(column(found, "pay", "synthetic"), numbers["synthetic"]["pay"])
    parts = {role: frame.assign(pay=frame["pay"] / 1000) for role, frame in numbers.items()}
    for role in ("train", "holdout"):
        parts[role]["pay"] += 1000
    texts = each(parts, "pay", lambda v: f"{v:.3f}".replace(".", separator), "synthetic")
    found = take_in(written(texts, tmp_path))
    np.testing.assert_allclose(column(found, "pay", "synthetic"), parts["synthetic"]["pay"])


def test_three_plain_decimals_are_decimals(frames: Frames, tmp_path: Path) -> None:
    three_places = {role: frame.assign(x0=frame["x0"].abs() + 1) for role, frame in frames.items()}
    texts = each(three_places, "x0", lambda v: f"{v:.3f}")
    found = take_in(written(texts, tmp_path))
    np.testing.assert_allclose(column(found, "x0"), three_places["train"]["x0"])


# -- dates --------------------------------------------------------------------------------------------

DATES = {
    "day first": days_first,
    "month first": lambda v: v.strftime("%m/%d/%Y %H:%M:%S"),
    "month first, half days": lambda v: v.strftime("%m/%d/%Y %I:%M:%S %p"),
    "dots": lambda v: v.strftime("%d.%m.%Y %H:%M:%S"),
    "ISO": lambda v: v.isoformat(),
    "ISO with a zone": lambda v: (v + pd.Timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00"),
    "slashes": lambda v: v.strftime("%Y/%m/%d %H:%M:%S"),
    "month names": lambda v: v.strftime("%d %b %Y %H:%M:%S"),
    "American names": lambda v: v.strftime("%B %d, %Y %I:%M:%S %p"),
    "mail": lambda v: v.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    "short years": lambda v: v.strftime("%d-%m-%y %H:%M:%S"),
}


@pytest.mark.parametrize("way", DATES)
@pytest.mark.parametrize("roles", [(), ("train", "holdout"), ("synthetic",)], ids=["all", "real", "release"])
def test_dates_are_read_however_they_are_written(
    frames: Frames, tmp_path: Path, way: str, roles: tuple[str, ...]
) -> None:
    found = take_in(written(each(frames, "joined", DATES[way], *roles), tmp_path))
    assert found.corpus.kinds["joined"] == "datetime"
    for role, frame in frames.items():
        assert (column(found, "joined", role) == frame["joined"].to_numpy()).all()


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_epochs_are_dates_where_they_are_called_so(frames: Frames, tmp_path: Path, unit: str) -> None:
    epochs = {
        role: frame.assign(created_at=frame["joined"].astype(f"datetime64[{unit}]").astype("int64"))
        for role, frame in frames.items()
    }
    found = take_in(written(epochs, tmp_path))
    assert found.corpus.kinds["created_at"] == "datetime"
    assert (column(found, "created_at") == frames["train"]["joined"].to_numpy()).all()
    release = {**frames, "synthetic": frames["synthetic"].assign(joined=epochs["synthetic"]["created_at"])}
    found = take_in(release)
    assert (column(found, "joined", "synthetic") == frames["synthetic"]["joined"].to_numpy()).all()


def test_compact_dates_are_numbers_unless_somebody_says_dates(frames: Frames) -> None:
    compact = each(frames, "joined", lambda v: v.strftime("%Y%m%d"))
    whole_days = {role: frame.assign(joined=frame["joined"].astype(int)) for role, frame in compact.items()}
    assert take_in(whole_days).corpus.kinds["joined"] == "number"
    for sources in (compact, whole_days):
        found = take_in(sources, kinds={"joined": "datetime"})
        assert (column(found, "joined") == frames["train"]["joined"].dt.floor("D").to_numpy()).all()


def early(frames: Frames) -> Frames:
    """Dates whose day may be a month."""
    rng = np.random.default_rng(0)
    changed = {}
    for role, frame in frames.items():
        days = [f"{rng.integers(1, 13):02d}/{rng.integers(1, 13):02d}/2003" for _ in range(N)]
        changed[role] = frame.assign(joined=days)
    return changed


def test_dates_that_may_be_either_ask_for_the_option(frames: Frames, tmp_path: Path) -> None:
    sources = written(early(frames), tmp_path)
    text = refusal(sources)
    assert "column 'joined'" in text
    assert "--dates" in text
    first = column(take_in(sources, reading=ReadOptions(dates="day-first")), "joined")
    other = column(take_in(sources, reading=ReadOptions(dates={"joined": "month-first"})), "joined")
    assert (first != other).any()


def test_one_date_of_one_role_decides(frames: Frames) -> None:
    dates = early(frames)
    dates["synthetic"]["joined"] = "01/02/1900"
    dates["holdout"].loc[4, "joined"] = "25/02/2003"
    found = take_in(dates)
    assert set(column(found, "joined", "synthetic").astype("M8[D]").astype(str)) == {"1900-02-01"}


def test_a_column_has_one_order(frames: Frames) -> None:
    days = each(frames, "joined", lambda v: v.strftime("%d/%m/%Y"))
    found = take_in(days, kinds={"joined": "datetime"})
    assert (column(found, "joined") == frames["train"]["joined"].dt.floor("D").to_numpy()).all()


def test_roles_in_two_orders_are_read_each_in_its_own_and_told(frames: Frames) -> None:
    days = each(each(frames, "joined", days_first, "train", "holdout"), "joined", DATES["month first"], "synthetic")
    found = take_in(days)
    assert (column(found, "joined", "synthetic") == frames["synthetic"]["joined"].to_numpy()).all()
    assert "the day comes first in train, holdout; the month comes first in synthetic" in findings(found, "joined")[0]


# -- truth values -------------------------------------------------------------------------------------

PAIRS = [("yes", "no"), ("Y", "N"), ("True", "False"), ("true", "false"), ("T", "F"), (True, False), (1, 0), ("1", "0")]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_truth_values_of_the_release_are_those_of_real_data(
    frames: Frames, tmp_path: Path, pair: tuple[object, object]
) -> None:
    for real in PAIRS:
        said = {role: frame["label"].map({"yes": real[0], "no": real[1]}) for role, frame in frames.items()}
        said["synthetic"] = frames["synthetic"]["label"].map({"yes": pair[0], "no": pair[1]})
        found = take_in({role: frame.assign(label=said[role]) for role, frame in frames.items()}, label="label")
        told = found.corpus.labels
        assert told is not None
        assert len(labels(found)) == 2
        made = told[found.roles["synthetic"]]
        truth = set(told[found.roles["train"]][(frames["train"]["label"] == "yes").to_numpy()])
        assert truth == set(made[(frames["synthetic"]["label"] == "yes").to_numpy()])


def test_truth_values_are_called_as_real_data_write_them(frames: Frames) -> None:
    found = take_in({**frames, "synthetic": frames["synthetic"].assign(label=True)}, label="label")
    assert found.corpus.kinds["label"] == "boolean"
    assert labels(found) == {"yes", "no"}


def test_an_odd_cell_among_truth_values_stays_what_it_is(frames: Frames) -> None:
    odd = {role: frame.copy() for role, frame in frames.items()}
    odd["train"].loc[0, "label"] = "maybe"
    odd["synthetic"]["label"] = frames["synthetic"]["label"] == "yes"
    found = take_in(odd)
    assert found.corpus.kinds["label"] == "boolean"
    assert set(column(found, "label")) == {"yes", "no", "maybe"}
    assert set(column(found, "label", "synthetic")) == {"yes", "no"}


# -- what the user says -------------------------------------------------------------------------------


def test_an_option_that_cannot_be_met_names_the_row(frames: Frames) -> None:
    text = refusal(frames, kinds={"city": "number"})
    assert "train: 300 of 300 values of column 'city' cannot be read as number, the first in row 0" in text
    days = each(frames, "joined", days_first)
    text = refusal(days, reading=ReadOptions(dates="month-first"))
    first = int((frames["train"]["joined"].dt.day > 12).argmax())
    assert "cannot be read as datetime, where the month comes first" in text
    assert f"the first in row {first} " in text
    text = refusal(each(frames, "pay", comma), reading=ReadOptions(decimal="."))
    assert "column 'pay' cannot be read as number, where decimals follow a point" in text


def test_an_option_may_meet_nearly_all(frames: Frames) -> None:
    odd = {role: frame.astype({"age": object}) for role, frame in frames.items()}
    odd["train"].loc[2, "age"] = "?!"
    assert take_in(odd, kinds={"age": "number"}).corpus.kinds["age"] == "number"
    assert take_in(odd, kinds={"age": "category"}).corpus.kinds["age"] == "category"


def test_a_release_of_which_many_values_are_no_numbers_fails_the_schema(frames: Frames) -> None:
    odd = {**frames, "synthetic": frames["synthetic"].astype({"pay": object})}
    odd["synthetic"].loc[:29, "pay"] = "###"
    (told,) = take_in(odd).corpus.schema
    assert told.fails
    assert not told.left_out
    assert told.sentence == "column 'pay': 30 of 300 values in the release are no number"
    odd["synthetic"].loc[2:29, "pay"] = 1.0
    assert not take_in(odd).corpus.schema


def test_groups_named_by_numbers_and_dates_still_work(frames: Frames, tmp_path: Path) -> None:
    texts = each(frames, "pay", comma)
    found = take_in(written(texts, tmp_path), groups=["pay", "label"])
    assert len(set(found.corpus.groups["pay"])) == 5


def test_digests_follow_content_not_dialect(frames: Frames, tmp_path: Path) -> None:
    plain = take_in(frames).corpus
    other = take_in(written(each(each(frames, "pay", comma), "joined", days_first), tmp_path, sep=";")).corpus
    assert np.array_equal(plain.digests, other.digests)
    assert np.array_equal(plain.features, other.features)


def test_staff_is_faithful() -> None:
    assert not take_in(three(N, staff)).findings
