"""The configuration of an audit: ``audit.toml``, or the same as options."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from counterproof.refusal import Refusal, did_you_mean, refuse_stream

ROLES = ("train", "holdout", "real", "test", "synthetic")
# By these names metrics file their own cells, beside the groups'.
RESERVED = ("attack", "cell", "column", "form", "learner", "model", "rate", "secret", "split")


def _no_boolean(given: Any) -> Any:
    if isinstance(given, bool):
        raise ValueError(f"a number is wanted, not {str(given).lower()}")
    return given


Whole = Annotated[int, BeforeValidator(_no_boolean)]
Number = Annotated[float, BeforeValidator(_no_boolean)]


class Section(BaseModel):
    """Base of all sections: closed, so that a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Read(Section):
    """How files and texts are read where the data alone do not say; see ``inputs/read_options.py``."""

    encoding: str = "auto"
    separator: str = Field(default="auto", min_length=1)
    header: bool | Literal["auto"] = "auto"
    decimal: Literal["auto", ".", ","] | dict[str, Literal[".", ","]] = "auto"
    dates: Literal["auto", "day-first", "month-first"] | dict[str, Literal["day-first", "month-first"]] = "auto"
    missing: tuple[str, ...] = ()
    unreadable: float | None = Field(default=None, ge=0, lt=0.5)


class Data(Section):
    """Where the rows are and what their columns mean."""

    train: str | None = None
    holdout: str | None = None
    real: str | None = None
    test: str | None = None
    synthetic: str
    label: str | None = None
    groups: tuple[str, ...] = ()
    cluster: str | None = None
    kinds: dict[str, Literal["number", "category", "boolean", "datetime", "identifier", "text"]] = Field(
        default_factory=dict
    )
    read: Read = Read()
    encoder: str = "auto"
    encoder_size: Whole | None = Field(default=None, ge=16, le=1024)
    bad_images: Number = Field(default=0.01, ge=0, le=1)
    recode: Literal["auto", "never"] = "auto"
    intended_use: str = ""

    @field_validator(*ROLES)
    @classmethod
    def _somewhere(cls, path: str | None) -> str | None:
        if path == "":
            raise ValueError("the path is empty")
        return path

    @field_validator("groups")
    @classmethod
    def _unreserved(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        taken = next((name for name in groups if name in RESERVED), None)
        if taken is not None:
            raise ValueError(f"group column {taken!r} has a reserved name; rename it")
        return groups

    @model_validator(mode="after")
    def _roles(self) -> Data:
        check_roles({role for role in ROLES if getattr(self, role) is not None})
        return self


class Run(Section):
    """What is measured and how."""

    metrics: tuple[str, ...] = ()
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    seed: Whole = Field(default=0, ge=0, lt=2**31)
    confidence: Number = Field(default=0.95, gt=0.5, lt=1)
    policy: Literal["standard", "none"] = "standard"
    undecided: Literal["allow", "block"] = Field(
        default="allow", validation_alias=AliasChoices("undecided", "small_cells")
    )
    unjudged: float | None = Field(default=None, ge=0, le=1)
    small_cell: Whole = Field(default=10, ge=1)
    intersections: Whole = Field(default=1, ge=1, le=4)
    without_holdout: Literal["refuse", "allow"] = "refuse"
    allow_overlap: bool = False
    show_real: bool = False
    memory_mb: Whole = Field(default=256, ge=16)


class Gates(Section):
    """Gates besides the policy's."""

    fail: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    all_of: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("all_of")
    @classmethod
    def _several(cls, joint: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, gates in joint.items():
            if not name.strip():
                raise ValueError("a joint requirement needs a name")
            if len(gates) < 2:
                raise ValueError(f"{name!r} has fewer than two gates to hold together; write a single one under fail")
        return joint


class Config(Section):
    """A whole ``audit.toml``."""

    data: Data
    run: Run = Run()
    gates: Gates = Gates()
    metrics: dict[str, dict[str, Any]] = Field(default_factory=dict)


MISSING = {
    "data": "the release as synthetic and real rows to hold it against",
    "data.synthetic": "the release under audit (--synthetic, or synthetic under [data])",
}
SECTIONS: dict[str, type[Section]] = {"data": Data, "run": Run, "gates": Gates}


def check_roles(given: set[str]) -> None:
    """Whether these roles make an audit.

    Raises:
        ValueError: They do not; the message says what to give.
    """
    if "synthetic" not in given:
        raise ValueError("give the release under audit as 'synthetic'")
    if "real" in given and given & {"train", "holdout"}:
        raise ValueError("'real' stands in place of 'train' and 'holdout': give the one or the others")
    if not given & {"train", "holdout", "real"}:
        raise ValueError("give real rows to hold the release against: 'train' and 'holdout', or 'real'")


def read_config(path: str | Path) -> Config:
    """Read ``audit.toml``; relative paths in it are relative to its folder.

    Raises:
        Refusal: It cannot be read, or a key is unknown, missing or of another type.
    """
    path = Path(path)
    try:
        refuse_stream(path)
        plain = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Refusal(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(f"{path}: not valid TOML: {error}") from None
    config = make_config(plain, source=str(path))
    found = {role: getattr(config.data, role) for role in ROLES}
    absolute = {role: str(path.parent / name) for role, name in found.items() if name is not None}
    return config.model_copy(update={"data": config.data.model_copy(update=absolute)})


def make_config(plain: dict[str, Any], *, source: str = "options") -> Config:
    """Validate a configuration given as plain values.

    Raises:
        Refusal: A key is unknown, missing or of another type; the message names it.
    """
    try:
        return Config.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        told = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            told = f"no such key{_nearest(*first['loc'])}"
        elif first["type"] == "tuple_type":
            told = "give a list of texts"
        elif where == "gates.all_of" and first["type"] == "dict_type":
            told = 'give a name to each list of gates: [gates.all_of] and below it "fair and useful" = [gate, gate]'
        elif first["type"] in ("dict_type", "model_type"):
            told = "give a value by name, not a list or a single value"
        elif first["type"] == "missing":
            told = f"is missing; give {MISSING.get(where, 'it')}"
        raise Refusal(f"{source}: {where + ': ' if where else ''}{told}") from None


def _nearest(*place: Any) -> str:
    """The key that was meant, if one is near."""
    inside = {name: list(kind.model_fields) for name, kind in SECTIONS.items()}
    known = list(Config.model_fields) if len(place) == 1 else inside.get(str(place[0]), [])
    if place[:2] == ("data", "read"):
        known = list(Read.model_fields)
    return did_you_mean(str(place[-1]), known)
