"""What images and bundles are in metadata."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from ota.canonical import canonical
from ota.custom import (
    bundle_from_json,
    bundle_to_json,
    image_from_target,
    image_to_target,
    own_blob,
)
from ota.manifest import Blob, Bundle, Image, Kind
from tests.ota.releases import bundles, images, json_values, sentence

SHA = "ab" * 32
KNOWN = [
    "kind", "name", "version", "release_counter", "hardware_ids", "hardwareIds", "chunk_bytes",
    "chunks_sha256", "sources", "requires", "conflicts", "install", "rxswin", "service",
]  # fmt: skip


@given(images())
def test_an_image_survives_metadata(image: Image):
    target = json.loads(canonical(image_to_target(image)))

    assert image_from_target(image.path, target) == image


@given(bundles)
def test_a_bundle_survives_its_document(bundle: Bundle):
    document = bundle_to_json(bundle)

    assert bundle_from_json(document) == bundle
    assert bundle_to_json(bundle_from_json(document)) == document


@given(st.dictionaries(st.sampled_from(KNOWN) | st.text(), json_values))
def test_garbage_in_a_target_is_an_image_or_a_sentence(custom: dict[str, object]):
    target = {"length": 1, "hashes": {"sha256": SHA}, "custom": custom}

    assert "\n" not in sentence(lambda: image_from_target("a/b", target))


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_no_bundle(document: bytes):
    with pytest.raises(BadInput):
        bundle_from_json(document)


def test_metadata_of_others_are_images_too():
    """As aktualizr's tools write them."""
    custom = {
        "hardwareIds": ["qemux86-64"],
        "name": "core-image",
        "version": "7",
        "targetFormat": "OSTREE",
        "uri": "https://example.com/core",
    }
    target = {"length": 5, "hashes": {"sha256": SHA, "sha512": "cd" * 64}, "custom": custom}

    image = image_from_target("core-image-7", target)

    assert (image.kind, image.name, image.version) == (Kind.FILE, "core-image", "7")
    assert (image.hardware_ids, image.release_counter) == (("qemux86-64",), 0)
    assert own_blob(image) == Blob(SHA, 5)


def test_a_target_without_custom_data_is_called_by_its_path():
    image = image_from_target("x.bin", {"length": 5, "hashes": {"sha256": SHA}})

    assert (image.name, image.hardware_ids) == ("x.bin", ())


def test_an_older_vehicle_passes_over_what_it_does_not_know():
    source = {"form": "zstd", "sha256": SHA, "length": 3, "colour": "blue"}
    custom = {"sources": [source], "glow": {"much": 1}, "requires": [{"name": "a", "why": "so"}]}

    image = image_from_target(
        "x", {"length": 5, "hashes": {"sha256": SHA}, "custom": custom, "new": 1}
    )

    assert image.sources[0].blob.sha256 == SHA


@pytest.mark.parametrize(
    ("path", "change", "says"),
    [
        ("x", {"length": -1}, "target x: length: is -1"),
        ("x", {"length": True}, "target x: length: is True"),
        ("x", {"hashes": {}}, "target x: hashes.sha256: is missing"),
        ("x", {"hashes": {"sha256": "AB" * 32}}, "is no hash: give it in lower-case"),
        ("x", {"hashes": {"sha256": "abab"}}, "give a SHA-256"),
        ("x", {"custom": {"release_counter": -1}}, "custom.release_counter: is -1"),
        ("x", {"custom": {"release_counter": 1 << 63}}, "custom.release_counter"),
        ("x", {"custom": {"chunk_bytes": 5}}, "give both or none"),
        ("x", {"custom": {"kind": "toaster"}}, "choose from container, slot"),
        ("x", {"custom": {"sources": [{"form": "zstd"}]}}, "custom.sources[0].sha256: is missing"),
        ("x", {"custom": {"service": "{"}}, "custom.service is not JSON"),
        (
            "x",
            {"custom": {"requires": [{"name": "a", "counter_min": 5, "counter_max": 4}]}},
            "counter_max: is 4; give a whole number from 5",
        ),
        ("../x", {}, "no part of a path may be empty, . or .."),
        ("/x", {}, "no part of a path may be empty"),
        ("a\\b", {}, "no backslash"),
        ("a\nb", {}, "printable"),
        ("", {}, "1 to 512"),
    ],
)
def test_a_wrong_target_is_refused_with_its_place(path: str, change: dict[str, object], says: str):
    target = {"length": 5, "hashes": {"sha256": SHA}, "custom": {}} | change

    with pytest.raises(BadInput) as refusal:
        image_from_target(path, target)
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"[]", "no JSON object"),
        (b'{"fairway": 2}', "update it"),
        (b'{"fairway": 1, "version": "1", "images": []}', "name: is missing"),
        (b'{"name": "a", "version": "1", "images": ["a", "a"]}', "an image twice"),
        (b'{"name": "a", "version": "1", "images": ["../a"]}', "names no target"),
        (b'{"name": "a", "name": "b"}', "a key stands there twice"),
        (b'{"name": "\\ud800", "version": "1", "images": []}', "is not JSON"),
        (b" " * (1 << 20) + b"{}", "1048576 at most"),
    ],
)
def test_a_wrong_bundle_is_refused_with_its_place(document: bytes, says: str):
    with pytest.raises(BadInput) as refusal:
        bundle_from_json(document)
    assert says in str(refusal.value)


def test_an_image_that_would_read_back_differently_is_not_written():
    image = Image("x", 1, SHA.upper(), Kind.FILE, "x", "1", 1, ())

    with pytest.raises(BadInput):
        image_to_target(image)
