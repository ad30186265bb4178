"""Each of FleetWise's words for what is wrong with a decoder manifest has a case here."""

from typing import Any

import pytest

from fleet_cloud.api.compat.fleetwise_shapes import shape
from fleet_cloud.models.catalog import created
from fleet_cloud.models.decoders import Decoders, Wish, refuse_incomplete, updated
from fleet_cloud.models.refusals import BadDecoders, BadField, NotThere
from tests.fleet_cloud.api.compat.small import CAN, CUSTOM, HORN, NODES, PATHS, SPEED

CATALOG = created(NODES)
MODEL = frozenset({"Vehicle", *PATHS})
EMPTY = Decoders({}, {})
NOTHING = Wish()
SOME = Decoders({"Vehicle.Speed": SPEED}, {"1": CAN, "2": CUSTOM})


def without(document: Any, member: str) -> Any:
    return {name: value for name, value in document.items() if name != member}


def reasons(before: Decoders, signals: Wish = NOTHING, interfaces: Wish = NOTHING) -> Any:
    with pytest.raises(BadDecoders) as refused:
        updated(before, signals, interfaces, MODEL, CATALOG)
    faults = (*refused.value.signals, *refused.value.interfaces)
    return {(fault.name, fault.reason) for fault in faults}


def test_decoders_and_interfaces_are_added_changed_and_removed():
    both = updated(EMPTY, Wish(add=[SPEED, HORN]), Wish(add=[CAN, CUSTOM]), MODEL, CATALOG)
    assert set(both.signals) == {"Vehicle.Speed", "Vehicle.Horn"}

    slower = {**SPEED, "canSignal": {**SPEED["canSignal"], "factor": 0.1}}
    after = updated(both, Wish(update=[slower], remove=["Vehicle.Horn"]), NOTHING, MODEL, CATALOG)
    assert after == Decoders({"Vehicle.Speed": slower}, {"1": CAN, "2": CUSTOM})
    last = updated(after, NOTHING, Wish(remove=["2"]), MODEL, CATALOG)
    assert set(last.interfaces) == {"1"}


OTHER_SPEED: Any = {**SPEED, "interfaceId": "9"}
SIGNAL_CASES: list[tuple[str, Wish, str]] = [
    ("DUPLICATE_SIGNAL", Wish(add=[HORN, HORN]), "Vehicle.Horn"),
    ("CONFLICTING_SIGNAL", Wish(update=[SPEED], remove=["Vehicle.Speed"]), "Vehicle.Speed"),
    ("SIGNAL_TO_ADD_ALREADY_EXISTS", Wish(add=[SPEED]), "Vehicle.Speed"),
    ("SIGNAL_NOT_ASSOCIATED_WITH_NETWORK_INTERFACE", Wish(update=[OTHER_SPEED]), "Vehicle.Speed"),
    (
        "NETWORK_INTERFACE_TYPE_INCOMPATIBLE_WITH_SIGNAL_DECODER_TYPE",
        Wish(update=[{**SPEED, "interfaceId": "2"}]),
        "Vehicle.Speed",
    ),
    ("SIGNAL_NOT_IN_MODEL", Wish(add=[{**HORN, "fullyQualifiedName": "Vehicle.Unused"}]), "Vehicle.Unused"),
    (
        "NO_SIGNAL_IN_CATALOG_FOR_DECODER_SIGNAL",
        Wish(add=[{**HORN, "fullyQualifiedName": "Vehicle.Heat"}]),
        "Vehicle.Heat",
    ),
    (
        "SIGNAL_DECODER_INCOMPATIBLE_WITH_SIGNAL_CATALOG",
        Wish(add=[{**HORN, "fullyQualifiedName": "Vehicle"}]),
        "Vehicle",
    ),
    ("CAN_SIGNAL_INFO_IS_NULL", Wish(update=[without(SPEED, "canSignal")]), "Vehicle.Speed"),
    ("CUSTOM_DECODING_SIGNAL_INFO_IS_NULL", Wish(add=[without(HORN, "customDecodingSignal")]), "Vehicle.Horn"),
    ("OBD_SIGNAL_INFO_IS_NULL", Wish(add=[{**HORN, "type": "OBD_SIGNAL"}]), "Vehicle.Horn"),
    ("MESSAGE_SIGNAL_INFO_IS_NULL", Wish(add=[{**HORN, "type": "MESSAGE_SIGNAL"}]), "Vehicle.Horn"),
]  # fmt: skip
OBD: Any = {"interfaceId": "3", "type": "OBD_INTERFACE"}
INTERFACE_CASES: list[tuple[str, Wish, str]] = [
    ("DUPLICATE_NETWORK_INTERFACE", Wish(update=[CAN, CAN]), "1"),
    ("CONFLICTING_NETWORK_INTERFACE", Wish(update=[CAN], remove=["1"]), "1"),
    ("CONFLICTING_NETWORK_INTERFACE", Wish(update=[{**CUSTOM, "interfaceId": "1"}]), "1"),
    ("NETWORK_INTERFACE_TO_ADD_ALREADY_EXISTS", Wish(add=[CAN]), "1"),
    ("CAN_NETWORK_INTERFACE_INFO_IS_NULL", Wish(update=[without(CAN, "canInterface")]), "1"),
    ("OBD_NETWORK_INTERFACE_INFO_IS_NULL", Wish(add=[OBD]), "3"),
    (
        "VEHICLE_MIDDLEWARE_NETWORK_INTERFACE_INFO_IS_NULL",
        Wish(add=[{**OBD, "type": "VEHICLE_MIDDLEWARE"}]),
        "3",
    ),
    (
        "CUSTOM_DECODING_SIGNAL_NETWORK_INTERFACE_INFO_IS_NULL",
        Wish(add=[{**OBD, "type": "CUSTOM_DECODING_INTERFACE"}]),
        "3",
    ),
    ("NETWORK_INTERFACE_TO_REMOVE_ASSOCIATED_WITH_SIGNALS", Wish(remove=["1"]), "1"),
]


@pytest.mark.parametrize(("reason", "wish", "name"), SIGNAL_CASES)
def test_what_is_wrong_with_a_decoder_is_told_in_fleetwises_words(
    reason: str, wish: Wish, name: str
):
    assert (name, reason) in reasons(SOME, signals=wish)


@pytest.mark.parametrize(("reason", "wish", "name"), INTERFACE_CASES)
def test_what_is_wrong_with_an_interface_is_told_in_fleetwises_words(
    reason: str, wish: Wish, name: str
):
    assert (name, reason) in reasons(SOME, interfaces=wish)


# What is said of the structured messages of a middleware, which are kept as they are.
UNSAID = {
    "SIGNAL_DECODER_TYPE_INCOMPATIBLE_WITH_MESSAGE_SIGNAL_TYPE",
    "STRUCT_SIZE_MISMATCH",
    "EMPTY_MESSAGE_SIGNAL",
}


def test_every_word_of_the_model_is_said_or_known_not_to_be():
    said = {reason for reason, _, _ in (*SIGNAL_CASES, *INTERFACE_CASES)}
    said.add("NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL")
    words: set[str] = set()
    for name in ("SignalDecoderFailureReason", "NetworkInterfaceFailureReason"):
        words |= set(getattr(shape(name), "enum"))  # noqa: B009 - only texts have it

    assert words - said == UNSAID


def test_a_signal_without_a_decoder_is_told_by_name():
    refuse_incomplete(SOME, ["Vehicle.Speed"])
    with pytest.raises(BadDecoders) as refused:
        refuse_incomplete(SOME, ["Vehicle.Speed", "Vehicle.Horn"])

    (fault,) = refused.value.signals
    assert (fault.name, fault.reason) == ("Vehicle.Horn", "NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL")


def test_what_is_not_there_is_neither_changed_nor_removed():
    for wish in (Wish(update=[HORN]), Wish(remove=["Vehicle.Horn"])):
        with pytest.raises(NotThere, match=r"no signal decoder called Vehicle\.Horn"):
            updated(SOME, wish, NOTHING, MODEL, CATALOG)
    with pytest.raises(NotThere, match="no network interface called 9"):
        updated(SOME, NOTHING, Wish(remove=["9"]), MODEL, CATALOG)


@pytest.mark.parametrize("odd", [{"length": 0}, {"length": 65}, {"startBit": 512}])
def test_a_can_signal_that_no_message_carries_is_refused(odd: dict[str, int]):
    signal = {**SPEED, "canSignal": {**SPEED["canSignal"], **odd}}
    with pytest.raises(BadField, match="canSignal"):
        updated(SOME, Wish(update=[signal]), NOTHING, MODEL, CATALOG)
