"""Identifiers of persons: found by kind, told from other numbers, alarmed on when real, never printed."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk
from helpers.workbenches import bench
from scipy.stats import beta, binom

import counterproof as cp
from counterproof.metrics.errors import MetricError
from counterproof.metrics.leakage._identifier_patterns import LONGEST, NUMBERS, identifiers_in
from counterproof.metrics.leakage.identifiers import identifiers
from counterproof.metrics.metric import Value
from counterproof.reports.outputs.markdown import markdown
from counterproof.reports.outputs.terminal import plain_lines

N = 300
Frames = dict[str, pd.DataFrame]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def frames(n: int = N) -> Frames:
    """Three tables with notes in prose and no identifier."""
    made = {}
    for at, role in enumerate(("train", "holdout", "synthetic")):
        rng = np.random.default_rng(at)
        words = rng.choice(
            ["the", "patient", "came", "back", "and", "was", "well", "again", "on", "day", "two", "of", "june"], (n, 8)
        )
        notes = [f"{' '.join(row)} {at}{i}" for i, row in enumerate(words)]
        made[role] = pd.DataFrame({"x": rng.normal(size=n), "sex": rng.choice(["f", "m"], n), "note": notes})
    return made


def write(tables: Frames, role: str, texts: list[str], column: str = "note") -> None:
    at = tables[role].columns.get_loc(column)
    tables[role].iloc[: len(texts), at] = texts


def values(tables: Frames, *, cluster: str | None = None, **run: Any) -> dict[str, Value]:
    return {
        v.field: v for v in identifiers.values(desk(sources=tables, cluster=cluster, **run), identifiers.configure({}))
    }


# -- what is found ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "bare"),
    [
        ("write to Ann.Lee+x@firm-a.co.uk, please", "e-mail address", "ann.lee+x@firm-a.co.uk"),
        ("call +49 (30) 901820 today", "telephone number", "+4930901820"),
        ("Tel. 0044 20 7946 0958", "telephone number", "+442079460958"),
        ("card 4111-1111-1111-1111 exp", "payment card", "4111111111111111"),
        ("amex 378282246310005", "payment card", "378282246310005"),
        ("IBAN GB82 WEST 1234 5698 7654 32", "bank account", "GB82WEST12345698765432"),
        ("SSN 536-90-4399", "national id (us.ssn)", "536904399"),
        ("CPF 390.533.447-05", "national id (br.cpf)", "39053344705"),
        ("RSSMRA85T10A562S", "national id (it.codicefiscale)", "RSSMRA85T10A562S"),
        ("DNI 54362315-K", "national id (es.dni)", "54362315K"),
        ("hetu 131052-308T", "national id (fi.hetu)", "131052308T"),
        ("Kennzeichen B-MA 1234", "licence plate", "BMA1234"),
        ("number plate: AB12 CDE", "licence plate", "AB12CDE"),
    ],
)
def test_each_kind_is_found_in_prose(text: str, kind: str, bare: str) -> None:
    found = identifiers_in(["nothing here", text])
    assert (bare, 1) in found[kind]


@pytest.mark.parametrize(
    "text",
    [
        "me@example.com and you@corp.example and a@b.test",  # reserved: nobody's
        "4111 1111 1111 1112",  # check digit
        "GB82 WEST 1234 5698 7654 33",
        "+49 1",
        "000-12-3456",  # no such area
        "2021-11-06 and 12.50 and 1.234.567,89",
        "order 20211106-17",
        "f(x)@g, a@b, @name",
        "model AB12 CDE",  # like a plate, but nothing says so
        "",
    ],
)
def test_what_is_alike_is_not_taken_for_one(text: str) -> None:
    assert identifiers_in([text]) == {}


def test_a_column_of_plates_is_one() -> None:
    assert len(identifiers_in(["AB12 CDE", "BD51 SMR", "EX70 ABC"])["licence plate"]) == 3


@pytest.mark.parametrize("digits", range(8, 20))
def test_customer_numbers_pass_check_digits_by_chance_and_do_not_count(digits: int) -> None:
    rng = random.Random(digits)
    assert identifiers_in([str(rng.randrange(10 ** (digits - 1), 10**digits)) for _ in range(1000)]) == {}


def test_valid_numbers_among_others_count_where_chance_does_not_explain_them() -> None:
    rng = random.Random(1)
    other = [f"{4 * 10**15 + rng.randrange(10**15)}" for _ in range(10)]
    cards = [with_luhn(f"4{rng.randrange(10**14):014d}") for _ in range(20)]
    found = {bare for bare, _ in identifiers_in([*other, *cards])["payment card"]}
    assert set(cards) <= found


def with_luhn(number: str) -> str:
    from stdnum import luhn

    return number + luhn.calc_check_digit(number)


def test_every_format_has_its_module() -> None:
    assert not any(number.passes("") for number in NUMBERS)


def test_national_telephone_numbers_need_a_region() -> None:
    assert identifiers_in(["650 253 0000"]) == {}
    assert identifiers_in(["650 253 0000", "6502530000"], "US") == {"telephone number": [("+16502530000", 0)]}


HOSTILE = [
    "a" * 10**6,
    "a." * 10**5 + "@",
    "1 " * 10**5,
    "A1-" * 10**5,
    "+1 " * 10**5,
    "a@" + "a." * 10**5,
    "1-" * 10**5,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:4])
def test_time_grows_with_the_text_only(text: str) -> None:
    started = time.process_time()
    identifiers_in([text, text[:LONGEST]], "US")
    assert time.process_time() - started < 0.5


# -- what is said of a release ---------------------------------------------------------------------


def test_shares_are_of_rows_with_an_exact_interval() -> None:
    tables = frames()
    write(tables, "synthetic", ["ann@firm.org and bob@firm.org", "again ann@firm.org", "card 4111 1111 1111 1111"])
    found = values(tables)["value"]
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(3 / N)
    assert found.estimate.high == pytest.approx(float(beta.ppf(0.975, 4, N - 3)))
    assert "2 e-mail addresses, 1 payment card" in found.reason
    assert values(tables)["real"].alarm == ""


def test_an_identifier_of_a_training_record_is_an_alarm_and_one_of_the_holdout_counts() -> None:
    tables = frames()
    write(tables, "train", ["reach ann@firm.org now"])
    write(tables, "holdout", ["reach bob@firm.org now"])
    write(tables, "synthetic", ["ANN@firm.org", "bob@firm.org", "cleo@firm.org"])
    found = values(tables)["real"]
    assert found.alarm == "1 e-mail address of training records stands in the release, in 1 of its rows"
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(2 / N)


def test_records_of_unknown_exposure_are_not_called_training_records() -> None:
    tables = frames()
    write(tables, "train", ["reach ann@firm.org now"])
    write(tables, "synthetic", ["ANN@firm.org"])
    known = {"real": tables["train"], "synthetic": tables["synthetic"]}
    found = values(known)["real"]
    assert found.alarm == "1 e-mail address of real records stands in the release, in 1 of its rows"
    record = cp.audit(**known, metrics=["leakage.identifiers"])
    assert record.verdict == "fail"
    assert not [line for line in plain_lines(record) if "training record" in line]


@pytest.mark.parametrize("hits", [0, 1, 7])
def test_the_number_to_report_is_an_upper_confidence_bound(hits: int) -> None:
    tables = frames()
    write(tables, "synthetic", [f"mail u{i}@firm.org" for i in range(hits)])
    found = values(tables)["value"]
    assert found.estimate is not None
    high = found.estimate.high
    assert f"to report: at most {high:.2g} of the rows" in found.reason
    assert binom.cdf(hits, N, high) == pytest.approx(0.025)  # were it more, so few would be seen in 2.5 % of releases
    assert binom.cdf(hits, N, found.estimate.bound("high", 0.95)) <= 0.05 + 1e-9  # what a gate looks at


def test_what_ten_sources_share_is_nobodys() -> None:
    tables = frames()
    for role in ("train", "holdout"):
        write(tables, role, [f"hotline +49 30 901820, line {i}" for i in range(5)])
    write(tables, "synthetic", ["call +4930901820"])
    assert values(tables)["real"].alarm == ""
    for role in ("train", "holdout"):
        tables[role]["who"] = [f"{role}{0 if i < 5 else i}" for i in range(N)]
    assert "telephone number" in values(tables, cluster="who")["real"].alarm


def test_long_whole_numbers_are_read_too() -> None:
    tables = frames()
    rng = random.Random(3)
    for table in tables.values():
        table["ref"] = [float(with_luhn(f"4{rng.randrange(10**14):014d}")) for _ in range(N)]
    found = values(tables)["value"]
    assert found.estimate is not None
    assert found.estimate.value == 1


def test_a_table_without_text_has_nothing_to_say() -> None:
    tables = {role: table[["x"]].assign(y=table["x"] ** 2) for role, table in frames().items()}
    assert [v.status for v in identifiers.values(desk(sources=tables), {"region": ""})] == ["not_applicable"]


def test_file_names_of_images_are_looked_through() -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"img{i}.png" for i in range(90)], dtype="U40")
    names[3], names[70] = "ann@firm.org_1.png", "b/ann@firm.org.jpeg"
    made = bench(*rng.normal(size=(3, 30, 4)), names=names, modality="image")
    real = {v.field: v for v in identifiers.values(made, {"region": ""})}["real"]
    assert "e-mail address" in real.alarm


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(MetricError, match="'Mars' is no country code"):
        list(identifiers.values(desk(sources=frames()), {"region": "Mars"}))


SECRETS = ["ann.secret@firm.org", "4111111111111111", "GB82WEST12345698765432"]


def leaking() -> Frames:
    tables = frames()
    for role in ("train", "synthetic"):
        write(tables, role, [f"note {secret}" for secret in SECRETS])
    return tables


def test_a_leak_fails_the_audit_and_is_told_without_the_identifier(tmp_path: Any) -> None:
    record = cp.audit(**leaking(), metrics=["leakage.identifiers"])
    assert record.verdict == "fail"
    record.to_html(tmp_path / "report.html")
    told = [record.to_json(), markdown(record), *plain_lines(record), (tmp_path / "report.html").read_text("utf-8")]
    assert not [secret for secret in SECRETS for text in told if secret in text]
    rows = record["leakage.identifiers"].evidence[1].rows
    assert [row[:4] for row in rows] == [["0", "note", "e-mail address", "yes"], ["1", "note", "payment card", "yes"],
                                        ["2", "note", "bank account", "yes"]]  # fmt: skip


def test_who_asks_for_real_records_sees_them_under_a_mark() -> None:
    record = cp.audit(**leaking(), metrics=["leakage.identifiers"], show_real=True)
    assert record["leakage.identifiers"].evidence[1].shows_real
    assert SECRETS[0] in record.to_json()
    assert any("Contains real records" in line for line in plain_lines(record))


def test_a_clean_release_of_310_rows_passes() -> None:
    assert cp.audit(**frames(310), metrics=["leakage.identifiers"]).verdict == "pass"
    assert cp.audit(**frames(100), metrics=["leakage.identifiers"]).verdict == "inconclusive"


@pytest.mark.slow
def test_a_hundred_thousand_rows_of_five_text_columns_take_less_than_20_seconds() -> None:
    rng = random.Random(0)
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "pays", "invoice"]
    texts = [f"{' '.join(rng.choices(words, k=15))} u{i}@firm.org {rng.randrange(10**10)}" for i in range(100_000)]
    started = time.process_time()
    assert len(identifiers_in(texts)["e-mail address"]) == 100_000
    assert 5 * (time.process_time() - started) < 20
