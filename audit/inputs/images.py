"""Decoding images: whatever is stored becomes 8-bit RGB.

Grey is repeated, palettes are expanded, transparency is laid over white, CMYK is converted, the
EXIF orientation is applied, wider numbers and floats are scaled as :mod:`counterproof.inputs.pixel_scale` says. Of an
animation the first frame counts.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from counterproof.inputs.digests import SIZE
from counterproof.inputs.pixel_scale import USUAL, Scale, Span, span_of, to_bytes
from counterproof.refusal import Refusal

Pixels = NDArray[np.uint8]
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "HEIF")
MOVING = ("GIF", "WEBP", "PNG", "AVIF", "TIFF")  # of a camera's JPEG the further pictures are previews
SNIFFED = 512  # bytes of a file that tell what it is
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
STARTS = (
    (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"), (b"MM\x00*", "TIFF"), (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"), (b"\x00\x00\x00\x0cJXL ", "JPEG XL"), (b"8BPS", "PSD"), (b"\x00\x00\x01\x00", "ICO"),
    (b"v/1\x01", "EXR"), (b"qoif", "QOI"), (b"DDS ", "DDS"),
)  # fmt: skip
LARGEST = 64 * 2**20  # pixels; more is a decompression bomb
THUMBNAIL = 128
# The tables of quality 50 (ITU-T T.81, Annex K), which libjpeg scales.
LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
    51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121,
    120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Picture:
    """Decoded pixels.

    Attributes:
        pixels: ``(h, w, 3)``.
        remark: What was converted, such as ``16-bit``; empty for 8-bit RGB and grey.
        stored: How the pixels were stored: ``PNG``, ``JPEG q75``, …, ``array``.
        span: The range of the numbers as they are stored.
    """

    pixels: Pixels
    remark: str = ""
    stored: str = "array"
    span: Span | None = None


class Unreadable(ValueError):
    """A file that is no image, or a broken one."""


@cache
def readable_formats() -> tuple[str, ...]:
    """Those of :data:`FORMATS` that this Pillow decodes: AVIF where it was built so, HEIC with ``pillow-heif``."""
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def kind_of_file(head: bytes) -> str:
    """The format of an image by a file's first bytes, whatever its name; empty where it is none.

    >>> kind_of_file(bytes([255, 216, 255, 224])), kind_of_file(b"file_name,label")
    ('JPEG', '')
    """
    brand = head[8:12]
    if head[4:8] == b"ftyp":
        return "AVIF" if brand in (b"avif", b"avis") else "HEIF" if brand in HEIC else ""
    if head[:4] == b"RIFF":
        return "WEBP" if brand == b"WEBP" else ""
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PPM"
    return next((name for start, name in STARTS if head.startswith(start)), "")


def decode(raw: bytes, name: str, scale: Scale = USUAL) -> Picture:
    """A file's bytes as pixels.

    Raises:
        Unreadable: It cannot be decoded.
        Refusal: It would unpack to more than :data:`LARGEST` pixels, or than there is memory for.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(raw), formats=readable_formats())
            if image.width * image.height > LARGEST:
                raise Image.DecompressionBombError
            moving = image.format in MOVING and getattr(image, "is_animated", False)
            image.load()
            picture = _plain(image, scale)
            told = [picture.remark] * bool(picture.remark) + ["animated, of which the first frame counts"] * moving
            return replace(picture, stored=stored_as(image, raw), remark=" and ".join(told))
        except Image.DecompressionBombError:
            raise Refusal(
                f"{name}: unpacks to more than {LARGEST // 2**20} million pixels (a decompression bomb?); remove it"
            ) from None
        except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, ArithmeticError) as error:
            raise Unreadable(str(error) or type(error).__name__) from None
        except MemoryError:
            raise Refusal(f"{name}: there is not enough memory to decode it; make it smaller or remove it") from None


def stored_as(image: Image.Image, raw: bytes) -> str:
    """How a file stores its pixels: the format and its quality.

    ``JPEG q75`` is JPEG of about that quality, ``WEBP lossless`` and ``TIFF jpeg`` need no quality.
    """
    tables = getattr(image, "quantization", None)
    if tables:
        return f"JPEG q{jpeg_quality(tables)}"
    if image.format == "WEBP":
        return "WEBP lossless" if b"VP8L" in raw[12:4096] else "WEBP lossy"
    if image.format == "TIFF":
        return f"TIFF {image.info.get('compression', 'raw')}"
    return image.format or "unknown"


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int:
    """The libjpeg quality, 1 to 100, whose luminance table is as coarse as this file's.

    Exact for files that libjpeg (and so Pillow, OpenCV and most tools) wrote; for tables of
    other makers the quality that loses about as much. Sums are compared, as the order of a table's
    cells differs between readers.

    Args:
        tables: Quantisation tables by number; the first is that of luminance.

    >>> jpeg_quality({0: LUMINANCE})
    50
    """
    coarse = sum(tables[min(tables)])
    return min(range(1, 101), key=lambda quality: (abs(_coarseness()[quality - 1] - coarse), -quality))


@cache
def _coarseness() -> list[int]:
    """The sum of libjpeg's luminance table at each quality (jpeg_quality_scaling in jcparam.c)."""

    def scaled(quality: int) -> int:
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        return sum(min(max((cell * scale + 50) // 100, 1), 255) for cell in LUMINANCE)

    return [scaled(quality) for quality in range(1, 101)]


def _plain(image: Image.Image, scale: Scale) -> Picture:
    """Any mode as 8-bit RGB."""
    turned = ImageOps.exif_transpose(image) or image
    mode = turned.mode
    if mode.startswith("I") or mode == "F":
        return from_array(np.asarray(turned.convert("F") if mode == "F" else turned, dtype=_depth(mode)), scale)
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in turned.info:
        pixels, remark = _over_white(turned.convert("RGBA")), "transparent"
    else:
        remark = "" if mode in ("RGB", "L", "1") else {"P": "palette"}.get(mode, mode)
        pixels = np.asarray(turned.convert("RGB"), dtype=np.uint8)
    bytes_, masked = to_bytes(pixels, scale)
    return Picture(bytes_, masked or remark, span=span_of(pixels))


def _depth(mode: str) -> type[np.generic]:
    return np.float32 if mode == "F" else np.int64


def _over_white(image: Image.Image) -> Pixels:
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"), dtype=np.uint8)


def from_array(values: NDArray[Any], scale: Scale = USUAL) -> Picture:
    """``(h, w)`` or ``(h, w, 1 | 3 | 4)`` as 8-bit RGB.

    Raises:
        Unreadable: A float is none that can be shown.

    >>> from_array(np.array([[0, 65535]], dtype=np.uint16)).pixels[0, :, 0].tolist()
    [0, 255]
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Unreadable("it holds NaN or an infinity")
    span = span_of(values)
    pixels, remark = to_bytes(values, scale)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] == 1:
        return Picture(np.ascontiguousarray(np.repeat(pixels, 3, axis=2)), remark, span=span)
    if pixels.shape[2] == 4:
        return Picture(_over_white(Image.fromarray(np.ascontiguousarray(pixels))), "transparent", span=span)
    return Picture(np.ascontiguousarray(pixels), remark, span=span)


def pixel_digest(pixels: Pixels) -> bytes:
    """Equal exactly for equal pixels of one shape."""
    return hashlib.blake2b(f"{pixels.shape}".encode() + pixels.tobytes(), digest_size=SIZE).digest()


def thumbnail(pixels: Pixels) -> bytes:
    """PNG bytes, no side longer than :data:`THUMBNAIL`."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
