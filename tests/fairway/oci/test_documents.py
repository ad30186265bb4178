"""Documents of images are read strictly and written the same every time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.oci import documents, model, written
from fairway.oci.model import Descriptor, ImageConfig, Index, Manifest, Platform

DIGEST = "sha256:" + "ab" * 32
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
pairs = st.dictionaries(texts, texts, max_size=3).map(lambda one: tuple(sorted(one.items())))
digests = st.binary(max_size=4).map(model.digest_of)
named = st.text("abc", min_size=1, max_size=3)
folders = texts.map(lambda text: "/" + text)
configs = st.builds(
    ImageConfig,
    platform=st.builds(Platform, named, named, texts),
    diff_ids=st.lists(digests, max_size=3).map(tuple),
    entrypoint=st.lists(texts, max_size=3).map(tuple),
    command=st.lists(texts, max_size=3).map(tuple),
    environment=st.lists(st.tuples(named, texts), max_size=3).map(tuple),
    folder=folders,
    user=texts,
    stop_signal=texts,
    labels=pairs,
    created=texts,
    history=st.lists(texts, max_size=3).map(tuple),
)


def descriptors(kinds: list[str]) -> st.SearchStrategy[Descriptor]:
    return st.builds(
        Descriptor,
        media_type=st.sampled_from(kinds),
        digest=digests,
        size_bytes=st.integers(0, (1 << 63) - 1),
        platform=st.none() | st.builds(Platform, named, named, texts),
        annotations=pairs,
    )


@given(configs)
def test_an_image_configuration_survives_the_wire(config: ImageConfig):
    assert documents.image_config(written.image_config_bytes(config)) == config


@given(st.builds(Index, st.lists(descriptors([model.MANIFEST, model.INDEX])).map(tuple), pairs))
def test_an_index_survives_the_wire(index: Index):
    assert documents.index(written.index_bytes(index)) == index


@given(
    st.builds(
        Manifest,
        descriptors([model.CONFIG, model.DOCKER_CONFIG]),
        st.lists(descriptors(list(model.LAYERS)), max_size=4).map(tuple),
        pairs,
    )
)
def test_a_manifest_survives_the_wire(manifest: Manifest):
    assert documents.manifest(written.manifest_bytes(manifest)) == manifest


READERS = [
    documents.index,
    documents.manifest,
    documents.image_config,
    documents.layout,
    documents.docker_archive,
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just(DIGEST),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "schemaVersion",
                    "mediaType",
                    "manifests",
                    "config",
                    "layers",
                    "rootfs",
                    "diff_ids",
                    "type",
                    "digest",
                    "size",
                    "annotations",
                    "platform",
                    "os",
                    "Env",
                    "Entrypoint",
                    "Config",
                    "Layers",
                    "history",
                    "Labels",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("read", READERS)
@given(said=VALUES)
def test_whatever_json_says_is_read_or_refused_with_a_sentence(read, said):
    try:
        read(json.dumps(said).encode())
    except BadInput as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize("read", READERS)
@given(data=st.binary(max_size=60))
def test_garbage_is_refused(read, data: bytes):
    with pytest.raises(BadInput):
        read(b"\xff" + data)


def test_json_that_is_too_deep_is_refused():
    with pytest.raises(BadInput, match="not JSON"):
        documents.index(b"[" * 100_000)


def test_more_bytes_than_a_document_has_are_not_read():
    with pytest.raises(BadInput, match="more than 4194304"):
        documents.index(b" " * ((4 << 20) + 1))


def test_a_name_that_is_there_twice_is_refused():
    with pytest.raises(BadInput, match="twice"):
        documents.index(b'{"schemaVersion": 2, "manifests": [], "manifests": []}')


def test_a_document_that_is_both_an_index_and_a_manifest_is_refused():
    both = {"schemaVersion": 2, "manifests": [], "layers": [], "config": {}}

    with pytest.raises(BadInput, match="it would be a manifest"):
        documents.index(json.dumps(both).encode())
    with pytest.raises(BadInput, match="it would be an index"):
        documents.manifest(json.dumps(both).encode())


def manifest(**changed: object) -> bytes:
    config = {"mediaType": model.CONFIG, "digest": DIGEST, "size": 3}
    return json.dumps({"schemaVersion": 2, "config": config, "layers": [], **changed}).encode()


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"schemaVersion": 1}, "schema version"),
        ({"mediaType": model.INDEX}, "calls itself"),
        ({"config": {"mediaType": "application/wasm", "digest": DIGEST, "size": 3}}, "no image that can run"),
        ({"config": {"mediaType": model.CONFIG, "digest": "sha512:" + "a" * 128, "size": 3}}, "no digest"),
        ({"config": {"mediaType": model.CONFIG, "digest": DIGEST.upper(), "size": 3}}, "no digest"),
        ({"config": {"mediaType": model.CONFIG, "digest": DIGEST + "\n", "size": 3}}, "no digest"),
        ({"config": {"mediaType": model.CONFIG, "digest": DIGEST, "size": -1}}, "no count of bytes"),
        ({"config": {"mediaType": model.CONFIG, "digest": DIGEST, "size": True}}, "no count of bytes"),
        ({"layers": [{"mediaType": "text/plain", "digest": DIGEST, "size": 3}]}, "tar, tar.gzip and tar.zstd"),
        ({"layers": [{"mediaType": model.LAYER, "digest": DIGEST, "size": 3}] * 128}, "at most 127"),
        ({"layers": None}, "no list"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_right_is_refused(changed: dict[str, object], match: str):
    assert documents.manifest(manifest()).layers == ()

    with pytest.raises(BadInput, match=match):
        documents.manifest(manifest(**changed))


def test_manifests_of_docker_are_read():
    config = {"mediaType": model.DOCKER_CONFIG, "digest": DIGEST, "size": 3}
    layer = {"mediaType": model.DOCKER_LAYER + ".gzip", "digest": DIGEST, "size": 3}

    read = documents.manifest(
        manifest(mediaType=model.DOCKER_MANIFEST, config=config, layers=[layer])
    )

    assert read.layers == (Descriptor(model.DOCKER_LAYER + ".gzip", DIGEST, 3),)


def test_steps_of_the_history_that_made_no_layer_are_left_out():
    said = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
        "history": [{"created_by": "ADD"}, {"created_by": "ENV", "empty_layer": True}],
    }

    assert documents.image_config(json.dumps(said).encode()).history == ("ADD",)
