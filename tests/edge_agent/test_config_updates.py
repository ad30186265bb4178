"""Settings of updates that cannot be are refused with one sentence."""

import pytest

from edge_agent.config_updates import UpdateEcu, Updates
from fairway.errors import BadInput


def ecu(**more: object) -> UpdateEcu:
    usual: dict[str, object] = {"serial": "one", "hardware_id": "h", "kind": "simulated"}
    return UpdateEcu(**usual | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"serial": ""}, "serial of 1 to 64"),
        ({"hardware_id": ""}, "hardware_id"),
        ({"kind": "file"}, "set folder"),
        ({"kind": "slot"}, "set slots and devices, two each"),
    ],
)
def test_an_ecu_that_cannot_be_is_refused(settings: dict[str, object], sentence: str):
    with pytest.raises(BadInput, match=sentence):
        ecu(**settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ecu": (ecu(), ecu())}, "a serial twice"),
        ({"ecu": (ecu(primary=True), ecu(serial="two", primary=True))}, "only one"),
        ({"window_from": "22:00"}, "set window_from and window_until"),
        ({"poll_s": 0}, "poll_s is 0; choose from 1 to 86400"),
        ({"health_for_s": 400.0}, "health_for_s is 400; choose from 0 to 300"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], sentence: str):
    with pytest.raises(BadInput, match=sentence):
        Updates(**settings)  # type: ignore[arg-type]
