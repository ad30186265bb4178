"""Which ECUs may be asked is said in the settings; what is said wrongly is told with its place."""

import pytest

from edge_agent.config import Config
from edge_agent.config_diagnostics import Ecu
from fairway.errors import BadInput
from tests.edge_agent.test_config import LEAST, loaded

ENGINE = """
[[ecu]]
name = "engine"
bus = "can0"
target_address = 1
request_id = 0x7E0
response_id = 0x7E8
"""
GEARBOX = (
    ENGINE.replace("engine", "gearbox")
    .replace("= 1", "= 2")
    .replace("0x7E0", "0x7E1")
    .replace("0x7E8", "0x7E9")
)


def test_nobody_is_asked_by_default():
    assert loaded(LEAST).ecu == ()


def test_the_least_to_say_of_an_ecu_is_enough():
    (engine,) = loaded(LEAST + ENGINE).ecu

    assert engine == Ecu("engine", "can0", 1, 0x7E0, 0x7E8)
    assert (engine.p2_ms, engine.p2_star_ms, engine.fd, engine.is_extended) == (
        50,
        5000,
        False,
        False,
    )
    assert engine.asked_by_all_id == 0x7DF


def test_ids_of_29_bits_have_an_id_for_all_of_their_own():
    text = ENGINE.replace("0x7E0", "0x18DA10F1").replace("0x7E8", "0x18DAF110")
    (engine,) = loaded(LEAST + text).ecu
    (other,) = loaded(LEAST + text + "functional_id = 0x18DB40F1").ecu

    assert engine.is_extended
    assert (engine.asked_by_all_id, other.asked_by_all_id) == (0x18DB33F1, 0x18DB40F1)


def test_several_ecus_stand_side_by_side():
    settings: Config = loaded(LEAST + ENGINE + GEARBOX)

    assert [ecu.name for ecu in settings.ecu] == ["engine", "gearbox"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"engine"', '""'), r"ecu\[0\]: the name of an ECU is empty"),
        (("= 1", "= -1"), "target_address is -1"),
        (("0x7E0", "0x20000000"), "request_id is 536870912; choose from 0 to 0x1FFFFFFF"),
        (("0x7E8", "0x7E0"), "request_id and response_id are both 0x7E0"),
        (("0x7E8", "0x18DAF110"), "not both of 11 bits, or of 29"),
        (("0x7E8", "0x7E8\np2_ms = 0"), "p2_ms is 0; choose from 1 to 60000"),
        (("0x7E8", "0x7E8\np2_star_ms = 60001"), "p2_star_ms is 60001"),
        (('"can0"', '"can1"'), r"\[\[ecu\]\] engine: there is no \[\[bus\]\] can1 with a source"),
    ],
)
def test_an_impossible_ecu_is_refused_with_its_reason(change: tuple[str, str], words: str):
    with pytest.raises(BadInput, match=words):
        loaded(LEAST + ENGINE.replace(*change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("gearbox", "engine"), "engine: another one has its name already"),
        (("= 2", "= 1"), "gearbox: another one has its target_address already"),
        (("0x7E1", "0x7E0"), "gearbox: another one has its request_id already"),
        (("0x7E9", "0x7E8"), "gearbox: another one has its response_id already"),
    ],
)
def test_no_two_ecus_are_alike(change: tuple[str, str], words: str):
    with pytest.raises(BadInput, match=words):
        loaded(LEAST + ENGINE + GEARBOX.replace(*change))


def test_a_bus_that_is_a_log_cannot_be_asked_on():
    text = LEAST.replace('source = "socketcan:can0"', "") + '[replay]\nlog = "x.log"\n'

    with pytest.raises(BadInput, match=r"no \[\[bus\]\] can0 with a source"):
        loaded(text + ENGINE)


def test_what_apps_make_the_agent_send_is_no_request_to_an_ecu():
    text = LEAST + '[onboard]\ntrust_socket = true\n[[outbound]]\nbus = "can0"\nid = 0x7E0\n'

    with pytest.raises(BadInput, match=r"engine and \[\[outbound\]\] both send 0x7E0 on can0"):
        loaded(text + ENGINE)
