"""Closest pairs: synthetic rows beside the real rows nearest to them, hidden unless asked for."""

from __future__ import annotations

import base64
import binascii

from counterproof.reports.figures.markup import Markup, element
from counterproof.reports.figures.panels import Pair, Pairs
from counterproof.reports.judgement import number
from counterproof.reports.text import cell_text, clipped

PAIRS_DRAWN = 24
HIDDEN_DRAWN = 6
FIELDS_DRAWN = 40
HIDDEN = "hidden"


def draw_pairs(data: Pairs, *, reveal: bool) -> Markup:
    """One card per pair; contents only where ``reveal`` (a copy's synthetic side is the real record)."""
    bare = reveal and not data.redacted
    shown = data.pairs[: PAIRS_DRAWN if bare else HIDDEN_DRAWN]
    cards = [_card(pair, data.modality, bare=bare) for pair in shown]
    left = len(data.pairs) - len(shown)
    more = [element("p", f"{left} more pairs stand in the table.", class_="note")] if left > 0 else []
    return element("div", element("div", *cards, class_="gallery"), *more)


def _card(pair: Pair, modality: str, *, bare: bool) -> Markup:
    heads = [_head("synthetic", pair.synthetic), _head("real", pair.real)]
    body: list[Markup]
    if not bare and not pair.synthetic_shown:
        body = [element("div", element("span", HIDDEN), class_="veil")]
    elif modality == "image":
        real = _image(pair.real_image, "real") if bare else element("div", element("span", HIDDEN), class_="veil")
        body = [element("div", _image(pair.synthetic_image, "synthetic"), real, class_="two")]
    else:
        body = [_records(pair, bare=bare)]
    return element("article", element("div", *heads, class_="two"), *body, _measure(pair), class_="pair")


def _head(side: str, name: str) -> Markup:
    return element("div", element("span", side, class_=f"key {side}"), element("code", clipped(name, 60), title=name))


def _measure(pair: Pair) -> Markup:
    words = "exact copy" if pair.exact else f"distance {number(pair.distance)}"
    if pair.note:
        words = f"{clipped(pair.note, 60)}: {words}"
    if pair.agree is not None and pair.of is not None:
        words += f", {pair.agree} of {pair.of} columns agree"
    return element("p", words, class_="measure exact" if pair.exact else "measure")


def _image(encoded: str | None, side: str) -> Markup:
    """An image, if the data are a PNG."""
    if encoded is None or not is_png(encoded):
        return element("div", element("span", "no image"), class_="veil")
    return element("img", src=f"data:image/png;base64,{encoded}", alt=f"{side} image", width=128, height=128)


def is_png(encoded: str) -> bool:
    """Whether the base64 text is that of a PNG: nothing else becomes an image of the page."""
    try:
        return base64.b64decode(encoded, validate=True).startswith(b"\x89PNG\r\n\x1a\n")
    except (binascii.Error, ValueError):
        return False


def _records(pair: Pair, *, bare: bool) -> Markup:
    """Both sides by column; the real one only where it may be shown."""
    made, real = pair.synthetic_record or {}, (pair.real_record or {}) if bare else {}
    names = list(dict.fromkeys([*made, *real]))[:FIELDS_DRAWN]
    rows = [
        element(
            "tr",
            element("th", clipped(name, 40), scope="row"),
            element("td", clipped(cell_text(made.get(name)), 60)),
            *([element("td", clipped(cell_text(real.get(name)), 60))] if bare else []),
            class_="same" if bare and made.get(name) == real.get(name) else None,
        )
        for name in names
    ]
    head = element(
        "tr", *(element("th", name, scope="col") for name in ("column", "synthetic", *(["real"] if bare else [])))
    )
    return element("table", element("thead", head), element("tbody", *rows), class_="small")
