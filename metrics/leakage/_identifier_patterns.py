"""What an identifier of a person looks like: e-mail, telephone, payment card, bank account, national id, plate.

Formats with a check digit are checked by python-stdnum, telephone numbers by phonenumbers. One number
in ten passes a check digit by chance, so numbers count by column: where no more pass than chance has
it, the column holds other numbers. Every pattern is bounded: time grows with the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module

from scipy.stats import binom

LONGEST = 10_000  # characters of a cell that are looked at
TRIED = 1_000  # numbers of a column and kind that decide whether the rest is looked at
SHARE = 1 / 3
DOUBT = 0.1  # of taking one other number for an identifier, shared among formats of bare digits
EMAIL = re.compile(
    r"(?<![\w.+%-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w-])", re.ASCII
)
RESERVED = re.compile(r"(?:^|[@.])(?:example\.(?:com|org|net)|example|test|invalid|localhost)$")
PHONE = re.compile(r"(?<![\w+])(?:\+|00)[1-9](?:[ ./()-]{0,2}\d){6,14}(?!\w)", re.ASCII)
DIGITS = re.compile(r"(?<![\w+.,-])\d(?:[ .\-/]?\d){7,18}(?![\w-])", re.ASCII)
CODE = re.compile(r"(?<![\w-])[A-Z0-9][A-Z0-9+-]{7,19}(?![\w-])", re.ASCII)
ACCOUNT = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)", re.ASCII)
PLATE = re.compile(
    r"(?<!\w)(?:[A-Z]{2}\d{2} ?[A-Z]{3}|[A-Z]{1,3}-[A-Z]{1,2} \d{1,4}[EH]?|[A-Z]{2}-\d{3}-[A-Z]{2}"
    r"|\d{4} [B-DF-HJ-NP-TV-Z]{3}|[A-Z]{2}[ -]?\d{2}[ -]?[A-Z]{1,2}[ -]?\d{4}|\d{1,2}-[A-Z]{2,3}-\d{1,2})(?!\w)",
    re.ASCII,
)
PLATED = re.compile(r"(?i:plate|licen[cs]e|registration|kennzeichen|immatricul|matr[ií]cula|targa)[^A-Z\d]{0,20}$")
CARD = re.compile(r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7]|35|65)\d{14}|3[47]\d{13}|6011\d{12}", re.ASCII)
SEPARATORS = re.compile(r"[ ./-]")
Found = tuple[str, int]
"""An identifier in its bare form, and the number of the text that holds it."""


@dataclass(frozen=True, slots=True)
class Number:
    """A format of numbers that a check can be made on.

    Attributes:
        kind: What it is called.
        module: Of python-stdnum.
        form: How it is written.
        chance: Share of other numbers of this form that pass the check.
        rivals: Formats that a bare row of digits may be taken for.
    """

    kind: str
    module: str
    form: str
    chance: float
    rivals: int = 1

    @property
    def matches(self) -> Callable[[str], re.Match[str] | None]:
        """The form, compiled."""
        return re.compile(self.form, re.ASCII).fullmatch

    @property
    def passes(self) -> Callable[[str], bool]:
        """The check."""
        check: Callable[[str], bool] = import_module(f"stdnum.{self.module}").is_valid

        def safely(token: str) -> bool:
            try:
                return check(SEPARATORS.sub("", token) if self.module == "luhn" else token)
            except Exception:  # python-stdnum 2.2 raises KeyError on some numbers of the form
                return False

        return safely


NATIONAL = {  # form, and the share of other numbers of this form that the check lets pass
    "us.ssn": (r"\d{3}-\d{2}-\d{4}", 0.0),
    "us.itin": (r"9\d{2}-\d{2}-\d{4}", 0.0),
    "ca.sin": (r"\d{3}[ -]\d{3}[ -]\d{3}", 0.1),
    "mx.curp": (r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", 0.0),
    "br.cpf": (r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", 0.01),
    "cl.rut": (r"\d{1,2}\.?\d{3}\.?\d{3}-[\dK]", 0.09),
    "gb.nhs": (r"\d{3}[ -]?\d{3}[ -]?\d{4}", 0.09),
    "ie.pps": (r"\d{7}[A-W][A-I]?", 0.05),
    "fr.nir": (r"[12] ?\d{2} ?\d{2} ?\d{2} ?\d{3} ?\d{3} ?\d{2}", 0.011),
    "de.idnr": (r"\d{2} ?\d{3} ?\d{3} ?\d{3}", 0.1),
    "ch.ssn": (r"756\.?\d{4}\.?\d{4}\.?\d{2}", 0.1),
    "es.dni": (r"\d{8}-?[A-Z]", 0.044),
    "es.nie": (r"[XYZ]-?\d{7}-?[A-Z]", 0.044),
    "it.codicefiscale": (r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", 0.0),
    "nl.bsn": (r"\d{4}\.?\d{2}\.?\d{3}", 0.1),
    "be.nn": (r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}", 0.011),
    "dk.cpr": (r"\d{6}-\d{4}", 0.0),
    "se.personnummer": (r"(?:\d{2})?\d{6}[-+]\d{4}", 0.1),
    "no.fodselsnummer": (r"\d{6} ?\d{5}", 0.01),
    "fi.hetu": (r"\d{6}[-+A-F]\d{3}[0-9A-Y]", 0.0),
    "ee.ik": (r"[1-8]\d{10}", 0.1),
    "pl.pesel": (r"\d{11}", 0.1),
    "cz.rc": (r"\d{6}/?\d{4}", 0.09),
    "ro.cnp": (r"[1-9]\d{12}", 0.1),
    "bg.egn": (r"\d{10}", 0.1),
    "hr.oib": (r"\d{11}", 0.1),
    "gr.amka": (r"\d{11}", 0.1),
    "tr.tckimlik": (r"[1-9]\d{10}", 0.01),
    "in_.aadhaar": (r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", 0.1),
    "pk.cnic": (r"\d{5}-\d{7}-\d", 0.0),
    "cn.ric": (r"\d{17}[\dX]", 0.1),
    "kr.rrn": (r"\d{6}-[1-4]\d{6}", 0.1),
    "my.nric": (r"\d{6}-\d{2}-\d{4}", 0.0),
    "th.pin": (r"[1-8]-?\d{4}-?\d{5}-?\d{2}-?\d", 0.1),
    "za.idnr": (r"\d{6} ?\d{4} ?\d{3}", 0.1),
}
NUMBERS = (
    Number("payment card", "luhn", r"(?:\d[ -]?){12,18}\d", 0.1),
    *(
        Number(f"national id ({module.rstrip('_').replace('_.', '.')})", module, form, chance, len(NATIONAL))
        for module, (form, chance) in NATIONAL.items()
    ),
)
BY_NUMBER = {number.kind: number for number in NUMBERS}
KINDS = ("e-mail address", "telephone number", "bank account", "licence plate", *BY_NUMBER)


def identifiers_in(
    texts: Sequence[str], region: str = "", kinds: Collection[str] | None = None
) -> dict[str, list[Found]]:
    """The identifiers of a column, by kind.

    Args:
        texts: Its distinct texts.
        region: Country (``US``) whose national telephone numbers count too, where they are written
            in groups.
        kinds: Those to look for; all by default.

    >>> identifiers_in(["mail ann@firm.org", "4111 1111 1111 1111"])
    {'e-mail address': [('ann@firm.org', 0)], 'payment card': [('4111111111111111', 1)]}
    """
    cut = [text[:LONGEST] for text in texts]
    asked = [kind for kind in KINDS if kinds is None or kind in kinds]
    made = {kind: _of_kind(kind, cut, region) for kind in asked if kind not in BY_NUMBER}
    if any(kind in BY_NUMBER for kind in asked):
        tokens = [(token, at) for at, text in enumerate(cut) for token in _tokens(text)]
        made |= {kind: _numbers(BY_NUMBER[kind], tokens) for kind in asked if kind in BY_NUMBER}
    return {kind: found for kind, found in made.items() if found}


def _of_kind(kind: str, texts: Sequence[str], region: str) -> list[Found]:
    """Identifiers that need no numbers of the whole column."""
    if kind == "licence plate":
        return _plates(texts)
    searches: dict[str, Callable[[str, int], Iterator[Found]]] = {
        "e-mail address": _emails,
        "telephone number": partial(_phones, region=region),
        "bank account": _accounts,
    }
    search = searches[kind]
    return [found for at, text in enumerate(texts) for found in search(text, at)]


def _emails(text: str, at: int) -> Iterator[Found]:
    """Addresses; those of domains that are reserved for examples belong to nobody."""
    for found in EMAIL.finditer(text) if "@" in text else ():
        address = found[0].lower()
        if not RESERVED.search(address) and ".." not in address:
            yield address, at


def _phones(text: str, at: int, region: str) -> Iterator[Found]:
    import phonenumbers

    if "+" in text or "00" in text:
        for found in PHONE.finditer(text):
            number = _phone("+" + found[0].lstrip("+0"), None)
            if number:
                yield number, at
    if region and any(mark in text for mark in " -."):
        for match in phonenumbers.PhoneNumberMatcher(text, region, max_tries=50):
            if any(mark in match.raw_string.strip() for mark in " -.()"):
                yield phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164), at


@cache
def _region_known(region: str) -> bool:
    import phonenumbers

    return region in phonenumbers.SUPPORTED_REGIONS


def knows_region(region: str) -> bool:
    """Whether telephone numbers of that country are known.

    >>> knows_region("DE"), knows_region("XX")
    (True, False)
    """
    return _region_known(region)


def _phone(text: str, region: str | None) -> str:
    """The number in its bare form; empty where it is none."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number):
        return ""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _accounts(text: str, at: int) -> Iterator[Found]:
    from stdnum import iban

    for found in ACCOUNT.finditer(text):
        if iban.is_valid(found[0]):
            yield found[0].replace(" ", ""), at


def _plates(texts: Sequence[str]) -> list[Found]:
    """Plates after a word that announces one, or in a column half of which is plates.

    They have no check digit, and other codes look alike.
    """
    whole = [(text.replace(" ", "").replace("-", ""), at) for at, text in enumerate(texts) if PLATE.fullmatch(text)]
    if len(whole) > 1 and len(whole) >= len(texts) / 2:
        return whole
    return [
        (found[0].replace(" ", "").replace("-", ""), at)
        for at, text in enumerate(texts)
        for found in PLATE.finditer(text)
        if PLATED.search(text[max(0, found.start() - 40) : found.start()])
    ]


def _tokens(text: str) -> Iterator[str]:
    for found in DIGITS.finditer(text):
        yield found[0]
    for found in CODE.finditer(text):
        if not found[0].replace("-", "").isdigit() and any(mark.isdigit() for mark in found[0]):
            yield found[0]


def _numbers(number: Number, tokens: Sequence[tuple[str, int]]) -> list[Found]:
    """The tokens that pass the check, unless no more of them do than other numbers would."""
    matches, passes = number.matches, number.passes
    held = [(token, at) for token, at in tokens if matches(token)]
    if number.kind == "payment card":
        held = [(token, at) for token, at in held if CARD.fullmatch(SEPARATORS.sub("", token))]
    bare = [found for found in held if found[0].isdigit()]
    written = [found for found in held if not found[0].isdigit()]
    kept = _beyond_chance(written, passes, number.chance, DOUBT)
    kept += _beyond_chance(bare, passes, number.chance, DOUBT / number.rivals)
    return [(SEPARATORS.sub("", token), at) for token, at in kept]


def _beyond_chance(
    held: Sequence[tuple[str, int]], passes: Callable[[str], bool], chance: float, doubt: float
) -> list[tuple[str, int]]:
    """What passes the check, where it is more than other numbers would."""
    tried = list(dict.fromkeys(token for token, _ in held[:: max(1, len(held) // TRIED)]))
    passed = sum(passes(token) for token in tried)
    if not passed or passed < SHARE * len(tried):
        return []
    if float(binom.sf(passed - 1, len(tried), chance)) > doubt * (1 + 1e-9):
        return []
    return [(token, at) for token, at in held if passes(token)]
