from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured
from simulations.text_columns import COLUMNS, NOTHING, SPOILS, frame

from counterproof.judging.gates import judge_gates
from counterproof.judging.policy import policy_gates
from counterproof.metrics.fidelity._text_questions import count_difference, text_column
from counterproof.metrics.fidelity.text_profiles import text_profiles
from counterproof.metrics.workbench import Workbench
from counterproof.reports.model import GateReading, Reading

N = 700
Roles = dict[str, pd.DataFrame]


def roles(seed: int = 0, *columns: str) -> Roles:
    found = {role: frame(N, 10 * seed + at) for at, role in enumerate(("train", "holdout", "synthetic"))}
    return {role: rows[[*columns, "age", "sex"]] if columns else rows for role, rows in found.items()}


def gate(bench: Workbench) -> GateReading:
    readings = [Reading.of(one, family="fidelity", title="") for one in measured(text_profiles, bench).values()]
    (judged,) = judge_gates(policy_gates([text_profiles]), readings)
    return judged


@pytest.mark.parametrize("seed", range(3))
def test_fresh_rows_pass_in_every_column(seed: int) -> None:
    bench = desk(sources=roles(seed))
    found = gate(bench)
    assert found.verdict == "pass"
    names = {cell.group["column"] for cell in found.cells}
    assert names == set(COLUMNS)
    assert not found.too_few


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_spoiled_column_fails_or_is_said_to_be_left_out(column: str, spoil: str) -> None:
    data = roles(1, column)
    made = data["synthetic"].assign(**{column: SPOILS[spoil](data["synthetic"][column], np.random.default_rng(3))})
    bench = desk(sources={**data, "synthetic": made})
    if column not in bench.corpus.kinds:
        assert column == "admitted"  # no longer dates: the schema does not match, which is said first
        assert column in {mismatch.column for mismatch in bench.corpus.schema}
        return
    values = measured(text_profiles, bench).values()
    if bench.corpus.kinds[column] == "identifier" and spoil == "all_missing":
        assert column in {name for one in values for name in one.left_out} or len(values) == 1
    elif (column, spoil) in NOTHING:
        assert gate(bench).verdict == "pass"
    else:
        found = gate(bench)
        assert {cell.group["column"] for cell in found.cells} == {column}
        assert found.verdict == "fail"


def test_half_of_a_column_spoiled_is_found_and_the_question_named() -> None:
    data = roles(2, "email")
    half = data["synthetic"]["email"].where(np.arange(N) % 2 == 0, data["synthetic"]["email"].str.upper())
    found = measured(text_profiles, desk(sources={**data, "synthetic": data["synthetic"].assign(email=half)}))
    worst = found["value", ()]
    assert worst.reason.startswith("the largest in email: share of ")
    estimate = found["excess", (("column", "email"), ("form", "share of capital letters"))].estimate
    assert estimate is not None
    assert 0.3 < estimate.value < 0.6
    assert worst.evidence[0].rows[0][0] == "email"


def test_running_numbers_of_another_length_are_no_flaw_and_those_drawn_at_random_are() -> None:
    rng = np.random.default_rng(4)
    data = roles(3, "serial_id")
    for role, start in (("train", 10_000), ("holdout", 20_000), ("synthetic", 0)):
        data[role] = data[role].assign(serial_id=[f"K-{start + at}" for at in range(N)])
    assert gate(desk(sources=data)).verdict == "pass"
    for role in data:
        data[role] = data[role].assign(serial_id=[f"K-{at}" for at in rng.integers(10**8, 10**9, N)])
    assert gate(desk(sources=data)).verdict == "pass"
    short = data["synthetic"].assign(serial_id=data["synthetic"]["serial_id"].str[:8])
    assert gate(desk(sources={**data, "synthetic": short})).verdict == "fail"


def test_texts_that_were_dealt_to_rows_of_other_labels_are_found() -> None:
    data = roles(7, "remark")
    for at, role in enumerate(data):
        rng = np.random.default_rng(70 + at)
        ill = rng.random(N) < 0.5
        words = np.where(ill, "fever and cough since monday ", "healthy and well as before ")
        rests = data[role]["remark"].fillna("").str.split().str[:3].str.join(" ")
        remark = [f"{first}{rest}" for first, rest in zip(words, rests, strict=True)]
        data[role] = data[role].assign(remark=remark, ill=np.where(ill, "yes", "no"))
    assert gate(desk(sources=data, label="ill")).verdict == "pass"
    dealt = data["synthetic"].assign(remark=data["synthetic"]["remark"].sample(frac=1, random_state=1).to_numpy())
    spoiled = desk(sources={**data, "synthetic": dealt}, label="ill")
    assert gate(spoiled).verdict == "fail"
    failed = {cell.group["form"] for cell in gate(spoiled).cells if cell.verdict == "fail"}
    assert failed
    assert all("within each label" in str(form) for form in failed)


def test_the_column_of_sources_and_tables_of_numbers_are_not_looked_at() -> None:
    data = roles(5, "uuid")
    assert measured(text_profiles, desk(sources=data, cluster="uuid"))["value", ()].status == "not_applicable"
    plain = {role: rows[["age", "sex"]] for role, rows in data.items()}
    assert measured(text_profiles, desk(sources=plain))["value", ()].status == "not_applicable"


def test_the_error_of_neighbouring_characters_is_what_samples_scatter_by() -> None:
    rng = np.random.default_rng(6)
    texts = pd.Series([*frame(4000, 8)["email"], *frame(4000, 9)["email"].str.upper()])
    pairs = text_column(texts, np.ones(8000, dtype=bool)).counts["neighbouring characters"]
    drawn = [
        count_difference(pairs[rng.choice(4000, 300, False)], pairs[4000 + rng.choice(4000, 300, False)])
        for _ in range(60)
    ]
    spread = np.std([one.value for one in drawn])
    assert spread == pytest.approx(np.mean([one.error for one in drawn]), rel=0.35)
