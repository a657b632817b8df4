"""The weights store: files of network weights under names, each with its expected sha256.

A file is stored under its digest, and a small record under its name points to it, so that a name never
points to a half-written file. The folder is the user's own, never one shared with others.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from counterproof.refusal import Refusal, did_you_mean, listed

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
CHUNK = 2**20
LARGEST = 4 * 2**30  # bytes; no file of weights that is meant here comes near


@dataclass(frozen=True, kw_only=True)
class Published:
    """Weights that others publish.

    Attributes:
        url: Their address.
        sha256: Their digest, or as much of its beginning as is published.
        about: What they are.
    """

    url: str
    sha256: str
    about: str


PUBLISHED = {
    "inception": Published(
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d",
        about="the Inception network of the Fréchet Inception distance",
    ),
    "clip-vit-b-32": Published(
        url="https://openaipublic.azureedge.net/clip/models/"
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
        sha256="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        about="OpenAI's CLIP ViT-B/32; kept and verified, but no encoder takes it yet",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One entry of the store.

    Attributes:
        name: Its name.
        sha256: Digest of the file.
        size: Its bytes.
        source: Where it came from.
    """

    name: str
    sha256: str
    size: int
    source: str

    @property
    def is_published(self) -> bool:
        """Whether these are the weights that others publish under this name."""
        return is_published(self.name, self.sha256)


def weights_folder() -> Path:
    """``COUNTERPROOF_WEIGHTS``, else ``counterproof/weights`` in the XDG data folder."""
    given = os.environ.get("COUNTERPROOF_WEIGHTS")
    if given:
        return Path(given)
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "counterproof" / "weights"


def is_published(name: str, sha256: str) -> bool:
    """Whether a digest is, or begins as, the one published under a name."""
    known = PUBLISHED.get(name)
    return known is not None and sha256.startswith(known.sha256)


def add(path: Path, name: str | None = None) -> Stored:
    """Copy a file into the store.

    Args:
        path: The file.
        name: What to call it; by default that of the published weights that it is, else the file's own.

    Raises:
        Refusal: It cannot be read, the name is not plain, or it is not what is published under that name.
    """
    if name is not None:
        refuse_bad_name(name)
    try:
        with path.open("rb") as source:
            return _store(source, name, path.stem.lower(), source_name=path.name, label=str(path))
    except OSError as error:
        raise Refusal(f"{path}: cannot be copied into {weights_folder()}: {error.strerror or error}") from None


def fetch(name: str, *, opened: Callable[[str], IO[bytes]] | None = None) -> Stored:
    """Fetch published weights over https; nothing is kept unless the digest is the published one.

    Args:
        name: One of :data:`PUBLISHED`.
        opened: Opens a URL; by default the standard library does, with the system's certificates.

    Raises:
        Refusal: There are none of that name, the network fails, or another file came.
    """
    if name not in PUBLISHED:
        raise Refusal(f"no published weights are called {name!r}{did_you_mean(name, PUBLISHED)}")
    known = PUBLISHED[name]
    try:
        with (opened or _https)(known.url) as source:
            return _store(source, name, name, source_name=known.url, label=known.url)
    except OSError as error:  # URLError, timeouts and broken connections are OSErrors too
        reason = getattr(error, "reason", None) or error
        raise Refusal(
            f"{known.url} cannot be fetched ({reason}); fetch it on a machine with a network and run "
            f"counterproof weights add FILE --as {name}"
        ) from None


def stored() -> list[Stored]:
    """Every entry, by name.

    Raises:
        Refusal: A record is damaged.
    """
    folder = weights_folder()
    return [entry(path.stem) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []


def entry(name: str) -> Stored:
    """The entry of a name.

    Raises:
        Refusal: There is none, or its record is damaged.
    """
    refuse_bad_name(name)
    path = weights_folder() / f"{name}.json"
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        found = Stored(name=name, sha256=plain["sha256"], size=int(plain["size"]), source=str(plain["source"]))
        if not SHA256.fullmatch(found.sha256):
            raise ValueError
    except FileNotFoundError:
        raise Refusal(f"no weights are called {name!r}{_where_to_get(name)}") from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise Refusal(f"{path}: the record of these weights is damaged; add the file again") from None
    return found


def is_stored(name: str) -> bool:
    """Whether there is an entry of a name."""
    return bool(NAME.fullmatch(name)) and (weights_folder() / f"{name}.json").is_file()


def verify(found: Stored) -> None:
    """Read a file again and compare its digest with the recorded one, and the published one where there is one.

    Raises:
        Refusal: It is missing or another file.
    """
    blob = weights_folder() / found.sha256
    try:
        with blob.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise Refusal(f"{found.name}: {blob} cannot be read ({error.strerror}); add the weights again") from None
    check_digest(found, digest)


def refuse_bad_name(name: str) -> None:
    """Refuse names that could be paths or lines.

    Raises:
        Refusal: It is not lower-case letters, digits, dots, dashes and underscores.
    """
    if not NAME.fullmatch(name):
        raise Refusal(f"{listed([name])} is no name for weights: use lower-case letters, digits, '.', '-' and '_'")


def check_digest(found: Stored, digest: str) -> None:
    """Compare the digest of a file with its entry, and with the published one where there is one.

    Raises:
        Refusal: It is another file.
    """
    if digest != found.sha256:
        raise Refusal(
            f"{found.name}: the file of these weights was changed (sha256 {digest[:12]}…, recorded as "
            f"{found.sha256[:12]}…); add it again from its source"
        )
    _refuse_unpublished(found.name, digest)


def _refuse_unpublished(name: str, digest: str) -> None:
    if name in PUBLISHED and not is_published(name, digest):
        raise Refusal(
            f"this is not the published {name} (its sha256 begins {PUBLISHED[name].sha256[:12]}, this one's "
            f"{digest[:12]}); add weights of your own under another name, with --as"
        )


def _store(source: IO[bytes], name: str | None, fallback: str, *, source_name: str, label: str) -> Stored:
    """Stream a file into the store; the record is written last, so that a name always points to a whole file."""
    folder = weights_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _temporary_file(folder) as (partial, out):
        digest, size = _copy(source, out, label)
        out.close()
        held = next((known for known in PUBLISHED if is_published(known, digest)), fallback) if name is None else name
        refuse_bad_name(held)
        _refuse_unpublished(held, digest)
        os.replace(partial, folder / digest)
    found = Stored(name=held, sha256=digest, size=size, source=source_name)
    before = _sha256_of(held)
    with _temporary_file(folder) as (partial, out):
        out.write(json.dumps({key: value for key, value in asdict(found).items() if key != "name"}).encode())
        out.close()
        os.replace(partial, folder / f"{held}.json")
    if before and before not in {other.sha256 for other in stored()}:
        (folder / before).unlink(missing_ok=True)
    return found


def _sha256_of(name: str) -> str:
    try:
        return entry(name).sha256
    except Refusal:
        return ""


def _copy(source: IO[bytes], out: IO[bytes], label: str) -> tuple[str, int]:
    total, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        total.update(chunk)
        size += len(chunk)
        if size > LARGEST:
            raise Refusal(f"{label}: is larger than {LARGEST // 2**30} GiB; these are no weights")
        out.write(chunk)
    return total.hexdigest(), size


@contextmanager
def _temporary_file(folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """A new file in the folder that only this user may read; it is removed unless renamed."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=".part-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as out:
            yield name, out
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _https(url: str) -> IO[bytes]:
    from urllib.request import urlopen

    reply: Any = urlopen(url, timeout=30)
    if not reply.geturl().startswith("https://"):
        raise OSError("it leads away from https")
    return reply  # type: ignore[no-any-return]


def _where_to_get(name: str) -> str:
    if name in PUBLISHED:
        url = PUBLISHED[name].url
        return f" here yet: run counterproof weights fetch {name}, or get {url} and run counterproof weights add FILE"
    folder = weights_folder()
    held = {path.stem: None for path in sorted(folder.glob("*.json"))} if folder.is_dir() else {}
    return did_you_mean(name, held | dict.fromkeys(PUBLISHED))
