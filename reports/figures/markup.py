"""HTML and SVG elements whose text is always escaped."""

from __future__ import annotations

from markupsafe import Markup, escape

from counterproof.reports.text import printable

_EMPTY = frozenset({"rect", "line", "circle", "path", "img", "use"})


def element(tag: str, *children: str, **attributes: str | float | None) -> Markup:
    """One element; text and attribute values are escaped, ``Markup`` children stand as they are.

    Attributes are written with hyphens for underscores (``stroke_width``), ``class_`` is the
    class, and None leaves one out.

    >>> print(element("text", "<b>", class_="label", x=1.0))
    <text class="label" x="1">&lt;b&gt;</text>
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _EMPTY and not children:
        return Markup(f"<{tag}{written}/>")
    inner = "".join(str(child if isinstance(child, Markup) else escape(printable(child))) for child in children)
    return Markup(f"<{tag}{written}>{inner}</{tag}>")


def drawing(width: float, height: float, label: str, *children: str, class_: str = "figure") -> Markup:
    """An SVG image with a spoken label."""
    return element(
        "svg",
        *children,
        class_=class_,
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
    )


def hint(text: str) -> Markup:
    """The tooltip of the parent element."""
    return element("title", text)


def _plain(value: str | float) -> str:
    if isinstance(value, str):
        return printable(value)
    text = f"{value:.1f}"
    return text.removesuffix(".0")


__all__ = ["Markup", "drawing", "element", "hint"]
