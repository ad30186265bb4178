import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.services.manifests import documents, image_name, read_manifests
from fairway.errors import BadInput, FairwayError
from fairway.services.manifest import service_to_yaml
from fairway.services.model import Service

DIGEST = "sha256:" + "a" * 64


def named(name: str) -> str:
    if name != "tyre-watch:1":
        raise BadInput(f"no image is called {name}")
    return DIGEST


def test_an_image_that_is_called_by_a_name_becomes_its_digest():
    text = b"name: tyre-watch\nversion: 1.0.0\nimage: tyre-watch:1\n"

    (service,) = read_manifests([("a.yaml", text)], named)

    assert (service.name, service.image) == ("tyre-watch", DIGEST)


def test_a_digest_is_taken_as_it_is():
    text = f"name: x\nversion: '1'\nimage: {DIGEST}\n".encode()

    assert read_manifests([("a.yaml", text)], named)[0].image == DIGEST
    assert image_name(text, file="a.yaml") is None


def test_a_name_that_nobody_knows_is_an_error():
    with pytest.raises(BadInput, match="no image is called other"):
        read_manifests([("a.yaml", b"name: x\nversion: '1'\nimage: other\n")], named)


def test_a_file_may_hold_several_manifests():
    made = [Service(name, "1", DIGEST) for name in ("a", "b", "c")]
    text = "---\n".join(service_to_yaml(one) for one in made).encode()

    assert read_manifests([("all.yaml", text)], named) == made


def test_comments_and_empty_parts_are_no_manifests():
    text = b"# of the car\n---\nname: x\nversion: '1'\n---\n\n# the end\n"

    assert [place for place, _ in documents("a.yaml", text)] == ["a.yaml"]
    with pytest.raises(BadInput, match="there is no manifest in it"):
        list(documents("a.yaml", b"# nothing\n---\n"))


def test_of_several_the_wrong_one_is_named():
    text = f"name: x\nversion: '1'\nimage: {DIGEST}\n---\nname: X\n".encode()

    with pytest.raises(BadInput, match=r"a\.yaml \(manifest 2\)"):
        read_manifests([("a.yaml", text)], named)


def test_what_is_too_large_is_not_read():
    with pytest.raises(BadInput, match="those are no manifests"):
        list(documents("a.yaml", b"#" * (5 << 20)))


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else(content: bytes):
    said = "a.yaml"
    try:
        read_manifests([("a.yaml", content)], named)
    except FairwayError as error:
        said = str(error)
    assert "a.yaml" in said or "no image" in said
