from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterproof.judging.grammar import Gate, Limit, Selector, parse_gate
from counterproof.judging.policy import policy_gates
from counterproof.judging.tokens import GateError
from counterproof.metrics.metric import Metric, Tolerance

KNOWN = {"fidelity.kernel_distance", "utility.tstr", "acme.deep.vendi", "acme.deep"}
numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
selectors = st.lists(
    st.one_of(
        st.builds(Selector, column=st.text(max_size=6), value=st.none() | st.text(max_size=6)),
        st.builds(Selector, column=st.text(max_size=6), every=st.just(True)),
    ),
    max_size=3,
    unique_by=lambda selector: selector.column,
).map(tuple)


@st.composite
def gates(draw: st.DrawFn) -> Gate:
    kind = draw(st.sampled_from(["number", "times floor", "floor", "baseline"]))
    limit = Limit(value=draw(numbers), kind=kind)
    operator = draw(st.sampled_from(["<=", "<", ">=", ">"]))
    fail = draw(st.none() | numbers)
    if fail is not None and kind == "number":
        fail = max(fail, limit.value) if "<" in operator else min(fail, limit.value)
    chosen = draw(selectors)
    return Gate(
        metric=draw(st.sampled_from(sorted(KNOWN))),
        field=draw(st.just("") | words.filter(lambda w: w != "vendi")),
        selectors=chosen,
        cells=not chosen and draw(st.booleans()),
        operator=operator,
        limit=limit,
        fail=fail,
    )


@given(gates())
def test_a_written_gate_reads_back_the_same(gate: Gate) -> None:
    assert parse_gate(str(gate), known=KNOWN) == gate


@given(gates(), st.sampled_from([" ", "  ", "\t", "\n", "\u00a0", "\u2003"]))
def test_white_space_of_any_kind_means_nothing(gate: Gate, space: str) -> None:
    text = f"{space}{gate.name}{space}{gate.where}{space}{gate.operator}{space}{gate.limit}{space}"
    assert parse_gate(text, known=KNOWN).limit == gate.limit


@given(st.text() | st.text(alphabet="ab.[]=*\"'\\,<>+-0159e floorbaselinefail\n", max_size=40))
def test_garbage_is_refused_with_its_place_or_read(text: str) -> None:
    found = read(text)
    if isinstance(found, Gate):
        assert read(str(found)) == found
    else:
        assert found.startswith("gate, line ")
        assert all(letter.isprintable() or letter == "\n" for letter in found)


def read(text: str) -> Gate | str:
    try:
        return parse_gate(text, known=KNOWN)
    except GateError as error:
        return str(error)


@pytest.mark.parametrize(
    ("text", "metric", "part"),
    [
        ("utility.tstr.gap <= 1", "utility.tstr", "gap"),
        ("utility.tstr <= 1", "utility.tstr", ""),
        ("acme.deep.vendi.excess <= 1", "acme.deep.vendi", "excess"),
        ("acme.deep.other <= 1", "acme.deep", "other"),
        ("nobody.knows.this <= 1", "nobody.knows.this", ""),
    ],
)
def test_the_longest_known_id_tells_metric_from_field(text: str, metric: str, part: str) -> None:
    gate = parse_gate(text, known=KNOWN)
    assert (gate.metric, gate.field) == (metric, part)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b[sex=F] <= 1", (Selector(column="sex", value="F"),)),
        ("a.b[sex] <= 1", (Selector(column="sex"),)),
        (
            "a.b[sex=*, 'in come'='>50K'] <= 1",
            (Selector(column="sex", every=True), Selector(column="in come", value=">50K")),
        ),
        ('a.b[x="*"] <= 1', (Selector(column="x", value="*"),)),
        (r'a.b[x="say \"a\\b\""] <= 1', (Selector(column="x", value='say "a\\b"'),)),
        ("a.b[größe=30] <= 1", (Selector(column="größe", value="30"),)),
    ],
)
def test_selectors(text: str, expected: tuple[Selector, ...]) -> None:
    gate = parse_gate(text, known=KNOWN)
    assert gate.selectors == expected
    assert not gate.cells


@pytest.mark.parametrize(
    ("text", "limit", "fail"),
    [
        ("a.b <= 0.1 fail 0.25", Limit(value=0.1), 0.25),
        ("a.b >= -.05 fail -1e-1", Limit(value=-0.05), -0.1),
        ("a.b ≥ −1", Limit(value=-1.0), None),
        ("a.b<=1.25*floor", Limit(value=1.25, kind="times floor"), None),
        ("a.b ≤ 1.25 × floor fail 2", Limit(value=1.25, kind="times floor"), 2.0),
        ("a.b >= floor-0.1", Limit(value=-0.1, kind="floor"), None),
        ("a.b <= baseline + 0.02", Limit(value=0.02, kind="baseline"), None),
        ("a.b <= baseline", Limit(value=0.0, kind="baseline"), None),
    ],
)
def test_limits(text: str, limit: Limit, fail: float | None) -> None:
    gate = parse_gate(text, known=KNOWN)
    assert (gate.limit, gate.fail) == (limit, fail)


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("", "line 1, column 1", "expected a metric"),
        ("a.b", "line 1, column 4", "expected one of <="),
        ("a.b == 1", "line 1, column 5", "expected one of <="),
        ("a.b <= import", "line 1, column 8", "'floor' or 'baseline', not 'import'"),
        ("a.b <= 50K", "line 1, column 8", "not '50K'"),
        ("a.b <= 1e999", "line 1, column 8", "too large"),
        ("a.b <= 2 * ceiling", "line 1, column 12", "expected 'floor'"),
        ("a.b <= 1 2", "line 1, column 10", "or nothing more"),
        ("a.b <= 1 fail 2 3", "line 1, column 17", "nothing more"),
        ("a.b[sex=F <= 1", "line 1, column 11", "expected ',' or ']'"),
        ("a.b[sex=F,sex=M] <= 1", "line 1, column 11", "stands twice"),
        ("a.b[*,sex=M] <= 1", "line 1, column 6", "expected ']' after '*'"),
        ("a.b[x=1.5] <= 1", "line 1, column 7", "in quotes"),
        ('a.b[x="y] <= 1', "line 1, column 7", "never closed"),
        ("a.b <= 0.2 fail 0.1", "line 1, column 17", "stricter"),
        ("a.b >= 0.2 fail 0.3", "line 1, column 17", "stricter"),
        ("a.b\n  <= 1;", "line 2, column 7", "no meaning"),
        ("__import__('os') <= 1", "line 1, column 11", "no meaning"),
    ],
)
def test_an_error_names_its_line_and_column(text: str, place: str, told: str) -> None:
    with pytest.raises(GateError) as caught:
        parse_gate(text, known=KNOWN)
    assert str(caught.value).startswith(f"gate, {place}: ")
    assert told in str(caught.value)


def test_the_caret_stands_under_the_error() -> None:
    with pytest.raises(GateError) as caught:
        parse_gate("utility.tstr <= much", known=KNOWN)
    _, line, caret = str(caught.value).split("\n")
    assert line[caret.index("^") :] == "much"


def test_control_characters_do_not_reach_the_message() -> None:
    with pytest.raises(GateError) as caught:
        parse_gate("a.b <= \x1b[31m", known=KNOWN)
    assert "\x1b" not in str(caught.value)


def test_declared_tolerances_become_gates_of_the_policy() -> None:
    declared = Metric(
        id="acme.deep.vendi",
        family="coverage",
        title="Vendi",
        function=lambda bench: [],
        tolerances=(
            Tolerance(field="value", operator=">=", limit=0.8, reason="because", cells=True),
            Tolerance(field="change", operator="<=", limit=0.1, reason="so", fail=0.25, level="warn"),
        ),
    )
    first, second = policy_gates([declared])
    assert first.expression == "acme.deep.vendi.value[*] >= 0.8"
    assert second.expression == "acme.deep.vendi.change <= 0.1 fail 0.25"
    assert (first.source, first.level, first.tolerance_reason) == ("policy", "fail", "because")
    assert second.level == "warn"
    for gate in (first, second):
        again = parse_gate(
            gate.expression, level=gate.level, source="policy", tolerance_reason=gate.tolerance_reason, known=KNOWN
        )
        assert again == gate
