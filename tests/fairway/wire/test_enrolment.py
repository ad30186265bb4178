"""Enrolment messages: there and back, and garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.enrolment import (
    CSR_MAX_BYTES,
    FACT_MAX_CHARACTERS,
    Ask,
    Endpoints,
    Granted,
    Waiting,
)
from fairway.errors import BadInput
from fairway.v1 import enrolment_pb2 as v1
from fairway.wire.enrolment import (
    answer_from_bytes,
    answer_to_bytes,
    ask_from_bytes,
    ask_to_bytes,
)

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
FACTS = st.text(st.characters(categories=("L", "N")), max_size=FACT_MAX_CHARACTERS)
PEM = st.binary(min_size=1, max_size=100)


@given(st.builds(Ask, NAMES, st.binary(min_size=1, max_size=CSR_MAX_BYTES), FACTS, FACTS))
def test_a_request_comes_back(ask: Ask):
    assert ask_from_bytes(ask_to_bytes(ask)) == ask


@given(
    st.builds(Granted, PEM, PEM, st.builds(Endpoints, FACTS, FACTS, FACTS))
    | st.builds(Waiting, st.integers(0, 86_400), FACTS)
)
def test_an_answer_comes_back(answer: Granted | Waiting):
    assert answer_from_bytes(answer_to_bytes(answer)) == answer


@pytest.mark.parametrize(
    "message",
    [
        v1.EnrolRequest(vehicle="VIN1"),
        v1.EnrolRequest(vehicle="VIN1", csr_der=b"x" * (CSR_MAX_BYTES + 1)),
        v1.EnrolRequest(vehicle="VIN1", csr_der=b"x" * 100_000),
        v1.EnrolRequest(vehicle="a/b", csr_der=b"x"),
        v1.EnrolRequest(vehicle="VIN1", csr_der=b"x", hardware_serial="a\nb"),
        v1.EnrolRequest(vehicle="VIN1", csr_der=b"x", agent_version="v" * 129),
    ],
)
def test_a_request_over_a_limit_is_refused(message: v1.EnrolRequest):
    with pytest.raises(BadInput):
        ask_from_bytes(message.SerializeToString())


@pytest.mark.parametrize(
    "message",
    [
        v1.EnrolResponse(),
        v1.EnrolResponse(state=v1.ENROL_STATE_ISSUED, certificate_pem=b"x"),
        v1.EnrolResponse(state=v1.ENROL_STATE_ISSUED, anchors_pem=b"x"),
        v1.EnrolResponse(
            state=v1.ENROL_STATE_ISSUED, certificate_pem=b"x", anchors_pem=b"x", mqtt_url="a\nb"
        ),
    ],
)
def test_an_answer_that_lacks_something_is_refused(message: v1.EnrolResponse):
    with pytest.raises(BadInput):
        answer_from_bytes(message.SerializeToString())


@given(st.binary(max_size=300))
def test_garbage_is_read_or_refused_in_one_sentence(noise: bytes):
    for read in (ask_from_bytes, answer_from_bytes):
        try:
            read(noise)
        except BadInput as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said
