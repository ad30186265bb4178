"""Manifests as people write them: an image may be called by a name there, and is its digest from here on.

    image: tyre-watch:1.2.0  >  digest_of("tyre-watch:1.2.0")  >  image: sha256:...

Rule 1: a Service names its image by digest, always: a name is looked up once, where somebody sees it.
Rule 2: a file may hold several manifests, with lines of --- between them, as importers write them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fairway.catalog.yaml_text import yaml_tree
from fairway.errors import BadInput
from fairway.services.manifest import MANIFEST_MAX_BYTES, service_from_yaml, service_of
from fairway.services.model import Service

FILE_MAX_BYTES = 16 * MANIFEST_MAX_BYTES
_DIGEST = "sha256:"


def read_manifests(
    files: Iterable[tuple[str, bytes]], digest_of: Callable[[str], str]
) -> list[Service]:
    """Return the services of files of manifests, given as (name for errors, content).  Raises BadInput.

    `digest_of` returns the digest of an image by its name, and may raise a FairwayError.
    """
    return [
        read_manifest(one, digest_of, file=place)
        for name, content in files
        for place, one in documents(name, content)
    ]


def documents(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each manifest of a file, and what it is called in errors.  Raises BadInput."""
    if len(content) > FILE_MAX_BYTES:
        raise BadInput(f"{name} has over {FILE_MAX_BYTES} bytes: those are no manifests")
    parts, lines = list[bytes](), list[bytes]()
    for line in [*content.splitlines(keepends=True), b"---"]:
        if line.rstrip() == b"---":
            parts.append(b"".join(lines))
            lines = []
        else:
            lines.append(line)
    full = [part for part in parts if any(_says(line) for line in part.splitlines())]
    if not full:
        raise BadInput(f"{name}: there is no manifest in it")
    for number, part in enumerate(full, start=1):
        yield (name if len(full) == 1 else f"{name} (manifest {number})"), part


def read_manifest(content: bytes, digest_of: Callable[[str], str], *, file: str) -> Service:
    """Return the service of one manifest.  Raises BadInput, or what `digest_of` does."""
    name = image_name(content, file=file)
    if name is None:
        return service_from_yaml(content, file=file)
    return service_of(_tree(content, file) | {"image": digest_of(name)}, file=file)


def image_name(content: bytes, *, file: str) -> str | None:
    """Return what a manifest calls its image, None when it says a digest, or nothing.  Raises BadInput."""
    tree = _tree(content, file)
    name = tree.get("image") if isinstance(tree, dict) else None
    return name if isinstance(name, str) and name and not name.startswith(_DIGEST) else None


def _tree(content: bytes, file: str) -> Any:
    if len(content) > MANIFEST_MAX_BYTES:
        raise BadInput(f"{file} has over {MANIFEST_MAX_BYTES} bytes: that is no manifest")
    try:
        return yaml_tree(content.decode(), name=file, problems=[])
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is not UTF-8: {error.reason}") from error


def _says(line: bytes) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(b"#")
