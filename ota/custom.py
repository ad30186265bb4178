"""Images and bundles <-> what stands in TUF metadata and in a bundle's document.

    "battery-health/1.4.0.json": {"length": 812, "hashes": {"sha256": "..."}, "custom": {
        "fairway": 1, "kind": "container", "name": "battery-health", "version": "1.4.0", "release_counter": 14,
        "hardware_ids": ["gateway-2"], "chunk_bytes": 4194304, "chunks_sha256": "...",
        "sources": [{"form", "sha256", "length", "chunk_bytes", "chunks_sha256",
            "base_sha256", "memory_bytes"}],
        "requires": [{"name", "counter_min", "counter_max"}], "conflicts": [...],
        "install": {"order", "group", "conditions", "duration_max_s", "user_text",
            "needs_consent", "is_safety"},
        "rxswin": ["R79 v3"], "service": "{...}", "address": 134217728}}

Rule 1: what goes out comes in equal; a default is not written.
Rule 2: all of `custom` may be missing, as in metadata of others, and what is unknown in it is passed over: an
old vehicle reads what a new release tool writes.  What is known and wrong is refused, with its place.
Rule 3: an image's own bytes are a source that is not listed; only their chunks are said, at the top.
Rule 4: a service's manifest is a text (JSON in JSON): it has fractions, and signed JSON has none.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fairway.errors import BadInput
from fairway.services.fields import Table
from ota.canonical import canonical, parsed_object
from ota.manifest import Blob, Bundle, Form, Image, Install, Kind, Requirement, Source

PATH_MAX_CHARS = 512
NAME_MAX_CHARS = 128
TEXT_MAX_CHARS = 4096
HARDWARE_MAX = 64
SOURCES_MAX = 32
REQUIREMENTS_MAX = 64
CONDITIONS_MAX = 16
LANGUAGES_MAX = 64
RXSWIN_MAX = 64
IMAGES_MAX = 1024
SERVICE_MAX_CHARS = 256 * 1024
BUNDLE_MAX_BYTES = 1 << 20
NUMBER_MAX = (1 << 63) - 1  # what a database keeps
DURATION_MAX_S = 24 * 3600

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HASH = re.compile(r"[0-9a-f]{2,256}")
_INSTALL = Install()


def own_blob(image: Image) -> Blob:
    """Return the image's own bytes as a blob, with chunks when they were said."""
    for source in image.sources:
        if source.form is Form.PLAIN and source.blob.sha256 == image.sha256:
            return source.blob
    return Blob(image.sha256, image.length)


def image_to_target(image: Image) -> dict[str, Any]:
    """Return what stands under the image's path in targets metadata.  Raises BadInput."""
    target = {
        "length": image.length,
        "hashes": {"sha256": image.sha256},
        "custom": _custom(image),
    }
    if image_from_target(image.path, target) != image:
        raise BadInput(
            f"{image.path}: reads back differently: give hashes in lower case, and no source of its own bytes"
            " but with chunks, as the first"
        )
    return target


def image_from_target(path: str, target: Mapping[str, Any]) -> Image:
    """Return the image that a target of the Image repository is.  Raises BadInput."""
    where = _path(path)
    top = Table(dict(target), "", f"target {where}")
    length = top.whole("length", None, least=0, most=NUMBER_MAX)
    sha256 = _target_hash(top.table("hashes"))
    custom = top.table("custom")
    return Image(
        path=path,
        length=length,
        sha256=sha256,
        kind=custom.choice("kind", Kind.FILE),
        name=_text(custom, "name", path, most=PATH_MAX_CHARS),
        version=_text(custom, "version", ""),
        release_counter=_count(custom, "release_counter"),
        hardware_ids=_hardware_ids(custom),
        sources=_own_source(custom, sha256, length)
        + custom.tables("sources", _source, most=SOURCES_MAX),
        requires=custom.tables("requires", _requirement, most=REQUIREMENTS_MAX),
        conflicts=custom.tables("conflicts", _requirement, most=REQUIREMENTS_MAX),
        install=_install(custom.table("install")),
        rxswin=_texts(custom, "rxswin", RXSWIN_MAX),
        service=_service(custom),
        address=_count(custom, "address"),
    )


def bundle_to_json(bundle: Bundle) -> bytes:
    """Return the document of a bundle, always the same bytes for the same bundle.  Raises BadInput."""
    said: dict[str, Any] = {"fairway": 1, "name": bundle.name, "version": bundle.version}
    said |= {"images": list(bundle.images)}
    for key, value in (
        ("purpose", bundle.purpose),
        ("sbom", list(bundle.sbom_sha256)),
        ("provenance", list(bundle.provenance_sha256)),
        ("user_text", dict(bundle.user_text)),
    ):
        if value:
            said[key] = value
    made = canonical(said)
    bundle_from_json(made)
    return made


def bundle_from_json(document: bytes, *, file: str = "the bundle") -> Bundle:
    """Return the bundle that a document says.  Raises BadInput."""
    table = Table(parsed_object(document, file, most_bytes=BUNDLE_MAX_BYTES), "", file)
    if table.whole("fairway", 1, least=1, most=NUMBER_MAX) != 1:
        raise table.wrong("fairway", "is not 1: this program is older than the bundle; update it")
    images = table.texts("images", most=IMAGES_MAX, chars=PATH_MAX_CHARS)
    if len(set(images)) != len(images):
        raise table.wrong("images", "names an image twice")
    return Bundle(
        name=_text(table, "name", None),
        version=_text(table, "version", None),
        images=tuple(_path(image) for image in images),
        purpose=_text(table, "purpose", "", most=TEXT_MAX_CHARS),
        sbom_sha256=_hashes(table, "sbom"),
        provenance_sha256=_hashes(table, "provenance"),
        user_text=_user_text(table),
    )


def _custom(image: Image) -> dict[str, Any]:
    own = own_blob(image)
    others = [one for one in image.sources if one.blob != own or one.form is not Form.PLAIN]
    service = json.dumps(image.service, sort_keys=True, separators=(",", ":"), allow_nan=False)
    said: dict[str, Any] = {"fairway": 1, "kind": image.kind.value, "name": image.name}
    return said | _present(
        version=image.version,
        release_counter=image.release_counter,
        hardware_ids=list(image.hardware_ids),
        chunk_bytes=own.chunk_bytes,
        chunks_sha256=own.chunks_sha256,
        sources=[_source_said(one) for one in others],
        requires=[_requirement_said(one) for one in image.requires],
        conflicts=[_requirement_said(one) for one in image.conflicts],
        install=_install_said(image.install),
        rxswin=list(image.rxswin),
        service=service if image.service else "",
        address=image.address,
    )


def _source_said(source: Source) -> dict[str, Any]:
    blob = source.blob
    said = {"form": source.form.value, "sha256": blob.sha256, "length": blob.length}
    return said | _present(
        chunk_bytes=blob.chunk_bytes,
        chunks_sha256=blob.chunks_sha256,
        base_sha256=source.base_sha256,
        memory_bytes=source.memory_bytes,
    )


def _requirement_said(requirement: Requirement) -> dict[str, Any]:
    said = {"name": requirement.name} | _present(counter_min=requirement.counter_min)
    most = requirement.counter_max
    return said if most is None else said | {"counter_max": most}


def _install_said(install: Install) -> dict[str, Any]:
    said = _present(
        order=install.order,
        group=install.group,
        conditions=list(install.conditions),
        user_text=dict(install.user_text),
        needs_consent=install.needs_consent,
        is_safety=install.is_safety,
    )
    if install.duration_max_s != _INSTALL.duration_max_s:
        said["duration_max_s"] = install.duration_max_s
    return said


def _present(**fields: object) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def _own_source(custom: Table, sha256: str, length: int) -> tuple[Source, ...]:
    blob = _blob(custom, sha256, length)
    return (Source(Form.PLAIN, blob),) if blob.chunk_bytes or blob.chunks_sha256 else ()


def _source(table: Table) -> Source:
    form = table.choice("form", Form.PLAIN)
    sha256 = _sha256(table, "sha256")
    length = table.whole("length", None, least=0, most=NUMBER_MAX)
    made = Source(
        form=form,
        blob=_blob(table, sha256, length),
        base_sha256=_sha256(table, "base_sha256", ""),
        memory_bytes=_count(table, "memory_bytes"),
    )
    _pass_over(table)
    return made


def _blob(table: Table, sha256: str, length: int) -> Blob:
    chunk_bytes = _count(table, "chunk_bytes")
    chunks_sha256 = _sha256(table, "chunks_sha256", "")
    if bool(chunk_bytes) != bool(chunks_sha256):
        raise table.wrong(
            "chunk_bytes", "stands without chunks_sha256 or the other way: give both or none"
        )
    return Blob(sha256, length, chunk_bytes, chunks_sha256)


def _requirement(table: Table) -> Requirement:
    counter_min = _count(table, "counter_min")
    counter_max = None
    if "counter_max" in table:
        counter_max = table.whole("counter_max", None, least=counter_min, most=NUMBER_MAX)
    made = Requirement(_text(table, "name", None, most=PATH_MAX_CHARS), counter_min, counter_max)
    _pass_over(table)
    return made


def _install(table: Table) -> Install:
    usual_s = _INSTALL.duration_max_s
    return Install(
        order=table.whole("order", 0, least=-1_000_000, most=1_000_000),
        group=_text(table, "group", ""),
        conditions=_texts(table, "conditions", CONDITIONS_MAX),
        duration_max_s=table.whole("duration_max_s", usual_s, least=1, most=DURATION_MAX_S),
        user_text=_user_text(table),
        needs_consent=table.yes("needs_consent", default=False),
        is_safety=table.yes("is_safety", default=False),
    )


def _service(custom: Table) -> Mapping[str, object]:
    said = custom.taken("service")
    if said is None:
        return {}
    if isinstance(said, str):
        what = f"{custom.file}: custom.service"
        return parsed_object(said.encode(errors="replace"), what, most_bytes=SERVICE_MAX_CHARS)
    return dict(custom.table("service").values)


def _user_text(table: Table) -> dict[str, str]:
    pairs = named_pairs(table, "user_text", most=LANGUAGES_MAX)
    return {language: inner.text(language) for language, inner in pairs}


def named_pairs(table: Table, key: str, *, most: int) -> Iterator[tuple[str, Table]]:
    """Yield each name in the table under `key`, and the table itself, sorted.  Raises BadInput."""
    for name, inner in table.pairs(key, most=most):
        if not 0 < len(name) <= NAME_MAX_CHARS or not name.isprintable():
            raise inner.wrong(
                f"{name!r:.80}", f"is no name: give 1 to {NAME_MAX_CHARS} printable characters"
            )
        yield name, inner


def _hardware_ids(custom: Table) -> tuple[str, ...]:
    key = "hardware_ids" if "hardware_ids" in custom else "hardwareIds"
    return _texts(custom, key, HARDWARE_MAX)


def _target_hash(hashes: Table) -> str:
    for name, value in hashes.values.items():
        if not isinstance(value, str) or not _HASH.fullmatch(value):
            raise hashes.wrong(name[:40], "is no hash: give it in lower-case hexadecimal digits")
    return _sha256(hashes, "sha256")


def _sha256(table: Table, key: str, default: str | None = None) -> str:
    value = table.text(key, default, most=64)
    if value and not _SHA256.fullmatch(value):
        raise table.wrong(key, f"is {value!r:.80}; give a SHA-256 as 64 lower-case digits")
    return value


def _hashes(table: Table, key: str) -> tuple[str, ...]:
    values = table.texts(key, most=IMAGES_MAX, chars=64)
    for value in values:
        if not _SHA256.fullmatch(value):
            raise table.wrong(key, f"has {value!r:.80}; give SHA-256s as 64 lower-case digits")
    return values


def _count(table: Table, key: str) -> int:
    return table.whole(key, 0, least=0, most=NUMBER_MAX)


def _text(table: Table, key: str, default: str | None, *, most: int = NAME_MAX_CHARS) -> str:
    return table.text(key, default, most=most)


def _texts(table: Table, key: str, most: int) -> tuple[str, ...]:
    return table.texts(key, most=most, chars=NAME_MAX_CHARS)


def _pass_over(table: Table) -> None:
    """Let unknown keys be (rule 2): lists of tables are otherwise checked for them."""
    for key in table.values:
        table.taken(key)


def _path(path: str) -> str:
    """Return the path of a target when it can be one.  Raises BadInput."""
    parts = path.split("/")
    if not 0 < len(path) <= PATH_MAX_CHARS or not path.isprintable() or "\\" in path:
        raise BadInput(
            f"{path!r:.120} names no target: give 1 to {PATH_MAX_CHARS} printable characters, no backslash"
        )
    if any(part in {"", ".", ".."} for part in parts):
        raise BadInput(f"{path!r:.120} names no target: no part of a path may be empty, . or ..")
    return path
