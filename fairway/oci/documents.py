"""The JSON documents of images, read: bytes become nouns, or one sentence says why not.

Rule 1: what is not known is passed over, as the specification asks; what is known must be as it says.
Rule 2: a document that two readers may understand differently (a name that is there twice) is refused.
Rule 3: nothing is read past its limit.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from fairway.errors import BadInput
from fairway.oci import model
from fairway.oci.model import Descriptor, ImageConfig, Index, Manifest, Platform

# The specification lets registries refuse manifests of more; configurations hold long histories.
DOCUMENT_MAX_BYTES = 4 << 20
# Engines stop at 127; each layer costs a look-up in every path that is opened.
LAYERS_MAX = 127
MANIFESTS_MAX = 1000
WORDS_MAX = 1000  # arguments, variables, labels

T = TypeVar("T")


def index(data: bytes) -> Index:
    """Read an index of either kind.  Raises BadInput."""
    said = _document(data, "an index", model.INDEXES)
    if "config" in said or "layers" in said:
        raise BadInput("an index has a config or layers: it would be a manifest to another reader")
    return Index(
        _each(said, "manifests", "an index", MANIFESTS_MAX, _descriptor),
        _words(said.get("annotations"), "annotations of an index"),
    )


def manifest(data: bytes) -> Manifest:
    """Read the manifest of an image of either kind.  Raises BadInput."""
    said = _document(data, "a manifest", model.MANIFESTS)
    if "manifests" in said:
        raise BadInput("a manifest has manifests: it would be an index to another reader")
    config = _descriptor(said.get("config"), "config of a manifest")
    if config.media_type not in model.CONFIGS:
        raise BadInput(
            f"the configuration is of type {config.media_type[:80]!r}: this is no image that can run"
        )
    layers = _each(said, "layers", "a manifest", LAYERS_MAX, _descriptor)
    for layer in layers:
        if layer.media_type not in model.LAYERS:
            raise BadInput(
                f"a layer is of type {layer.media_type[:80]!r}: tar, tar+gzip and tar+zstd are known"
            )
    return Manifest(config, layers, _words(said.get("annotations"), "annotations of a manifest"))


def image_config(data: bytes) -> ImageConfig:
    """Read an image configuration.  Raises BadInput."""
    what = "an image configuration"
    said = _document(data, what, frozenset())
    rootfs = _object(said.get("rootfs"), f"rootfs of {what}")
    if rootfs.get("type") != "layers":
        raise BadInput(f"rootfs of {what} is of type {str(rootfs.get('type'))[:80]!r}, not layers")
    run = _object(said.get("config") or {}, f"config of {what}")
    folder = _text(run.get("WorkingDir"), f"WorkingDir of {what}")
    return ImageConfig(
        platform=_platform(said, what),
        diff_ids=_each(
            rootfs, "diff_ids", what, LAYERS_MAX, lambda one, _: model.checked_digest(one)
        ),
        entrypoint=_argv(run.get("Entrypoint"), f"Entrypoint of {what}"),
        command=_argv(run.get("Cmd"), f"Cmd of {what}"),
        environment=tuple(
            _variable(one)
            for one in _argv(run.get("Env"), f"Env of {what}", WORDS_MAX)
            if "=" in one  # without a value it takes a variable away where there is none yet
        ),
        folder=folder if folder.startswith("/") else f"/{folder}",
        user=_text(run.get("User"), f"User of {what}"),
        stop_signal=_text(run.get("StopSignal"), f"StopSignal of {what}"),
        labels=_words(run.get("Labels"), f"labels of {what}"),
        created=_text(said.get("created"), f"created of {what}"),
        history=_history(said.get("history")),
    )


def layout(data: bytes) -> None:
    """Check the file `oci-layout`.  Raises BadInput."""
    version = _document(data, "oci-layout", frozenset()).get("imageLayoutVersion")
    if version != "1.0.0":
        raise BadInput(f"this is an OCI layout of version {str(version)[:80]!r}: 1.0.0 is known")


def docker_archive(data: bytes) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
    """Read manifest.json of a docker-archive: of each image config, layers, names.  Raises BadInput."""
    what = "manifest.json"
    said = parsed(data, what)
    if not isinstance(said, list) or not 0 < len(said) <= MANIFESTS_MAX:
        raise BadInput(f"{what} is no list of 1 to {MANIFESTS_MAX} images")
    images = []
    for one in said:
        image = _object(one, f"an image of {what}")
        config = _text(image.get("Config"), f"Config of {what}")
        layers = _argv(image.get("Layers"), f"Layers of {what}", LAYERS_MAX)
        names = _argv(image.get("RepoTags"), f"RepoTags of {what}")
        if not config:
            raise BadInput(f"an image of {what} has no Config")
        images.append((config, layers, names))
    return tuple(images)


def parsed(data: bytes, what: str) -> Any:
    """Read JSON of at most DOCUMENT_MAX_BYTES in which no name is twice.  Raises BadInput."""
    if len(data) > DOCUMENT_MAX_BYTES:
        raise BadInput(f"{what} has more than {DOCUMENT_MAX_BYTES} bytes")
    try:
        return json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{what} is not JSON: {str(error)[:200]}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _document(data: bytes, what: str, types: frozenset[str]) -> dict[str, Any]:
    said = _object(parsed(data, what), what)
    if types and said.get("schemaVersion") != 2:
        raise BadInput(
            f"{what} is of schema version {str(said.get('schemaVersion'))[:20]!r}: 2 is known"
        )
    kind = said.get("mediaType")
    if types and kind is not None and kind not in types:
        raise BadInput(f"{what} calls itself {str(kind)[:80]!r}")
    return said


def _descriptor(said: object, what: str) -> Descriptor:
    descriptor = _object(said, what)
    size = descriptor.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        raise BadInput(f"the size of {what} is {str(size)[:40]!r}, no count of bytes")
    platform = descriptor.get("platform")
    return Descriptor(
        media_type=_text(descriptor.get("mediaType"), f"the type of {what}"),
        digest=model.checked_digest(descriptor.get("digest")),
        size_bytes=size,
        platform=None if platform is None else _platform(_object(platform, what), what),
        annotations=_words(descriptor.get("annotations"), f"annotations of {what}"),
    )


def _platform(said: dict[str, Any], what: str) -> Platform:
    return Platform(
        *(_text(said.get(key), f"{key} of {what}") for key in ("os", "architecture", "variant"))
    )


def _history(said: object) -> tuple[str, ...]:
    if said is None:
        return ()
    if not isinstance(said, list) or len(said) > WORDS_MAX:
        raise BadInput(f"the history of an image is no list of at most {WORDS_MAX}")
    steps = (_object(one, "a step of the history") for one in said)
    return tuple(
        _text(step.get("created_by"), "a step of the history")
        for step in steps
        if step.get("empty_layer") is not True
    )


def _variable(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name:
        raise BadInput(f"a variable of an image is {text[:80]!r}: NAME=value is one")
    return name, value


def _object(said: object, what: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise BadInput(f"{what} is no JSON object")
    return said


def _text(said: object, what: str) -> str:
    if said is None:
        return ""
    if not isinstance(said, str):
        raise BadInput(f"{what} is {str(said)[:80]!r}, no text")
    if "\0" in said or (not said.isascii() and _is_broken(said)):
        raise BadInput(f"{what} is {said[:80]!r}: no NUL and no half of a character may be in it")
    return said


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _argv(said: object, what: str, most: int = WORDS_MAX) -> tuple[str, ...]:
    if said is None:
        return ()
    if not isinstance(said, list) or len(said) > most:
        raise BadInput(f"{what} is no list of at most {most} words")
    return tuple(_text(one, what) for one in said)


def _words(said: object, what: str) -> tuple[tuple[str, str], ...]:
    if said is None:
        return ()
    words = _object(said, what)
    if len(words) > WORDS_MAX:
        raise BadInput(f"there are more than {WORDS_MAX} {what}")
    return tuple(sorted((_text(key, what), _text(value, what)) for key, value in words.items()))


def _each(
    said: dict[str, Any], key: str, what: str, most: int, read: Callable[[object, str], T]
) -> tuple[T, ...]:
    found = said.get(key)
    if not isinstance(found, list) or len(found) > most:
        raise BadInput(f"{key} of {what} is no list of at most {most}")
    return tuple(read(one, f"an entry in {key} of {what}") for one in found)
