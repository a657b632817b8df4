"""Values of the release that no real row has are told by name, with count and share, and never quoted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.field_tables import Frames, three

from counterproof.inputs.findings import notable
from counterproof.loading.load import take_in

N = 400


def staff(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "code": rng.choice([1, 2, 3, 5, 8], n),
            "visits": rng.poisson(4, n),
            "pay": np.round(rng.lognormal(7, 0.4, n), 2),
            "change": np.round(rng.normal(0, 1, n), 2),
            "city": rng.choice(["Oslo", "New York", "Riga", "12.50"], n),
            "seen": pd.Timestamp("2010-01-01") + pd.to_timedelta(rng.integers(0, 4000, n), "D"),
        }
    )


@pytest.fixture
def frames() -> Frames:
    return three(N, staff)


def findings(frames: Frames, name: str, **options: Any) -> list[str]:
    return [text for text in take_in(frames, **options).findings if f"column {name!r}" in text]


@pytest.mark.parametrize("seed", range(12))
def test_fresh_rows_bring_hardly_a_finding(seed: int) -> None:
    found = take_in(three(N, staff, seed=10 * seed)).findings
    assert len(found) <= 1  # the greatest pay of all may lie far out


def put(name: str, value: object, rows: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        changed = frame.astype({name: object}) if isinstance(value, str) else frame.copy()
        if isinstance(value, float):
            changed[name] = changed[name].astype(float)
        changed.loc[10 : 9 + rows, name] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("age", put("age", 140, 20), "values above the greatest real value in 20 rows, 5.00% (first in row 10"),
        ("age", put("age", 999, 1), "values above the greatest real value in 1 row, 0.25% (first in row 10"),
        ("age", put("age", 3, 20), "values below the least real value in 20 rows, 5.00%"),
        ("visits", put("visits", -1, 2), "negative values, which real data never have, in 2 rows, 0.50%"),
        ("pay", put("pay", -5.5, 1), "negative values, which real data never have, in 1 row, 0.25%"),
        ("code", put("code", 4, 16), "a number never seen in real data, in 16 rows, 4.00%"),
        ("code", put("code", 4, 1), "a number never seen in real data, in 1 row, 0.25%"),
        ("age", put("age", 33.5, 8), "whole numbers in real data, fractions in the release, in 8 rows, 2.00%"),
        ("seen", put("seen", pd.Timestamp("2090-05-05"), 3), "after the last real value in 3 rows, 0.75%"),
        ("seen", put("seen", pd.Timestamp("1900-01-01"), 1), "before the first real value in 3 rows, 0.75%"),
        ("city", put("city", "Atlantis", 7), "a category never seen in real data, in 7 rows, 1.75%"),
    ],
)
def test_values_that_real_data_never_have(
    frames: Frames, name: str, change: Callable[[pd.DataFrame], pd.DataFrame], words: str
) -> None:
    told = findings({**frames, "synthetic": change(frames["synthetic"])}, name)
    assert len(told) == 1
    assert words in told[0]
    assert not any(value in told[0] for value in ("140", "999", "33.5", "Atlantis", "2090"))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("new york", "but for case"),
        ("New  York", "but for spaces"),
        ("NewYork", "but for spaces"),
        ("new-york", "but for case and punctuation"),
        ("12.5", "but for how the number is written"),
        ("0012.50", "but for how the number is written"),
    ],
)
def test_values_that_only_look_new_are_named_as_such(frames: Frames, made: str, words: str) -> None:
    (told,) = findings({**frames, "synthetic": put("city", made, 5)(frames["synthetic"])}, "city")
    assert told.endswith(f"1 of them equal real ones {words}")


def test_spaces_at_the_ends_are_no_difference_and_are_told(frames: Frames) -> None:
    made = frames["synthetic"].assign(city=frames["synthetic"]["city"] + " ")
    (told,) = findings({**frames, "synthetic": made}, "city")
    assert "spaces at their ends, which real ones have not, in 400 rows, 100.00%" in told
    assert told.endswith("read without them")
    every = {role: frame.assign(city=frame["city"] + " ") for role, frame in frames.items()}
    assert not findings(every, "city")


def test_one_is_one_point_nought(frames: Frames) -> None:
    texts = {role: frame.assign(code=frame["code"].astype(str)) for role, frame in frames.items()}
    texts["synthetic"]["code"] = frames["synthetic"]["code"].astype(float).astype(str)
    assert not findings(texts, "code", kinds={"code": "category"})


def test_a_column_that_became_constant_is_told(frames: Frames) -> None:
    (told,) = findings({**frames, "synthetic": frames["synthetic"].assign(city="Oslo")}, "city")
    assert "one value in all 400 synthetic rows and 4 in real data" in told
    same = {role: frame.assign(city="Oslo") for role, frame in frames.items()}
    assert "one value in the real data" in findings(same, "city")[0]


def test_a_release_without_the_missing_values_of_real_data_is_told(frames: Frames) -> None:
    holes = {role: frame.assign(pay=frame["pay"].where(np.arange(N) % 10 > 0)) for role, frame in frames.items()}
    assert not findings(holes, "pay"), "a release that misses as many says nothing"
    (told,) = findings({**holes, "synthetic": frames["synthetic"]}, "pay")
    assert told == "column 'pay' misses 10.0% of its values in real data and none in synthetic"
    rare = {role: frame.assign(pay=frame["pay"].where(np.arange(N) > 0)) for role, frame in frames.items()}
    assert not findings({**rare, "synthetic": frames["synthetic"]}, "pay"), "one of 400 may be absent by chance"


def test_numbers_that_the_release_alone_stores_as_text_are_told_first(frames: Frames) -> None:
    money = frames["synthetic"].assign(pay=["€" + text for text in frames["synthetic"]["pay"].astype(str)])
    found = take_in({**frames, "synthetic": money})
    (told,) = [text for text in found.findings if "column 'pay'" in text]
    assert told == (
        "column 'pay' is stored as text with '€' in synthetic and as numbers in real data: "
        "what reads the real data may not read it"
    )
    assert notable(found.findings)[0] == told


# -- keys ---------------------------------------------------------------------------------------------


def keyed(frames: Frames, key: Callable[[int, int], Any], name: str = "account_id") -> Frames:
    return {role: frame.assign(**{name: key(N, at)}) for at, (role, frame) in enumerate(frames.items())}


def serial(n: int, at: int) -> Any:
    return np.arange(n) + 10_000 * at


def shuffled(n: int, at: int) -> Any:
    return np.random.default_rng(at).permutation(n) + 10_000 * at


def letters(n: int, at: int) -> Any:
    return [f"u-{at}-{k:05d}" for k in range(n)]


@pytest.mark.parametrize("key", [serial, shuffled, letters])
def test_a_key_that_is_none_in_the_release_is_told(frames: Frames, key: Callable[[int, int], Any]) -> None:
    sources = keyed(frames, key)
    assert not [text for text in findings(sources, "account_id") if "key" in text]
    sources["synthetic"]["account_id"] = sources["synthetic"]["account_id"].iloc[0]
    assert (
        "is a key: unique in real data, but all 400 synthetic rows have the same value"
        in findings(sources, "account_id")[0]
    )
    twice = keyed(frames, key)
    twice["synthetic"].loc[1, "account_id"] = twice["synthetic"].loc[0, "account_id"]
    assert "but 2 of 400 synthetic rows share their value with another" in findings(twice, "account_id")[0]


def test_numbers_skipped_by_a_key_are_told(frames: Frames) -> None:
    sources = keyed(frames, serial)
    sources["synthetic"]["account_id"] += np.arange(N) // 100
    assert (
        "counts up without gaps in real data, and skips 3 numbers in the release" in findings(sources, "account_id")[0]
    )


def test_a_quantity_without_repeats_is_no_key(frames: Frames) -> None:
    fine = {
        role: frame.assign(pay=np.random.default_rng(at).normal(size=N))
        for at, (role, frame) in enumerate(frames.items())
    }
    fine["synthetic"]["pay"] = fine["synthetic"]["pay"].round(2)
    assert not [text for text in findings(fine, "pay") if "key" in text]
