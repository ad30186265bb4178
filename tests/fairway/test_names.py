import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway import ids, topics
from fairway.errors import BadInput


@pytest.mark.parametrize("name", ["WFWSIM00000000001", "truck-7", "a", "A.b_c-9", "x" * 64])
def test_a_vin_and_a_fleet_name_are_vehicle_ids(name: str):
    assert ids.vehicle_id(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "a+", "#", "x" * 65, "é", "a\n"])
def test_what_could_mean_something_elsewhere_is_no_vehicle_id(name: str):
    with pytest.raises(BadInput, match="is not a vehicle id"):
        ids.vehicle_id(name)


def test_a_stream_is_sixteen_hexadecimal_digits():
    assert ids.stream_id("00ff00ff00ff00ff") == "00ff00ff00ff00ff"
    with pytest.raises(BadInput, match="is not a stream id"):
        ids.stream_id("00FF00FF00FF00FF")


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True))
def test_a_topic_says_whose_it_is(vehicle: str):
    assert topics.vehicle_of(topics.up_telemetry(vehicle)) == vehicle
    assert topics.vehicle_of(topics.down_telemetry(vehicle)) == vehicle


@given(st.text(max_size=80))
def test_any_other_topic_is_bad_input(text: str):
    try:
        vehicle = topics.vehicle_of(text)
    except BadInput:
        return

    assert text.startswith(f"{topics.ROOT}/{vehicle}/")
