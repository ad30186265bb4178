import pytest
from cantools.autosar import compute_profile2_crc, compute_profile5_crc
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus.checksums import AUTOSAR_H2F, KINDS, SAE_J1850, Protection, crc8, crc16
from edge_agent.canbus.database import load
from edge_agent.canbus.model import ByteOrder, Message, Multiplex, Number, Signal
from fairway.errors import BadInput
from tests.edge_agent.canbus import golden
from tests.shared_data import shared

CHECK = b"123456789"  # what every catalogue of CRCs works out


def message(checksum_bits: int = 8, length: int = 8, frame_id: int = 0x123, **more) -> Message:
    signals = (
        Signal("Checksum", 0, checksum_bits),
        Signal("Counter", 16 if checksum_bits == 16 else 8, 4),
        Signal("Data", 8 * (length - 2), 16),
    )
    return Message("M", frame_id, is_extended=False, length=length, signals=signals, **more)


def test_the_catalogues_values_come_out():
    assert crc8(SAE_J1850, CHECK) == 0x4B  # CRC-8/SAE-J1850
    assert crc8(AUTOSAR_H2F, CHECK) == 0xDF  # CRC-8/AUTOSAR
    assert crc16(CHECK) == 0x29B1  # CRC-16/IBM-3740


@pytest.mark.parametrize(
    ("kind", "bits", "counter", "data_ids", "payload"),
    [
        # AUTOSAR PRS E2EProtocol, examples of each profile: zeros
        ("e2e-p1", 8, 0, (0x0123,), "cc00000000000000"),
        ("e2e-p2", 8, 1, tuple(range(1, 17)), "1b01000000000000"),
        ("e2e-p2", 8, 2, tuple(range(1, 17)), "9802000000000000"),
        ("e2e-p5", 16, 0, (0x1234,), "1cca000000000000"),
    ],
)
def test_the_standards_examples_come_out(kind, bits, counter, data_ids, payload):
    protection = Protection(message(bits), kind, "Checksum", "Counter", data_ids)

    assert protection.protect(bytes(8), counter).hex() == payload
    assert protection.verify(bytes.fromhex(payload))


@given(st.binary(min_size=8, max_size=8), st.integers(0, 15), st.integers(0, 0xFFFF))
def test_profiles_2_and_5_agree_with_cantools(payload: bytes, counter: int, data_id: int):
    data_ids = tuple((data_id + i) % 256 for i in range(16))
    profile_2 = Protection(message(), "e2e-p2", "Checksum", "Counter", data_ids)
    profile_5 = Protection(message(16), "e2e-p5", "Checksum", "Counter", (data_id,))

    one, other = profile_2.protect(payload, counter), profile_5.protect(payload, counter)

    assert one[0] == compute_profile2_crc(one, data_ids[counter])
    assert int.from_bytes(other[:2], "little") == compute_profile5_crc(other, data_id)


def test_toyota_checksums_of_a_real_drive_hold():
    database = load(shared("can/dbc") / "opendbc/toyota_new_mc_pt_generated.dbc")
    protected = {
        m.frame_id: Protection(m, "toyota", "CHECKSUM")
        for m in database.messages
        if any(signal.name == "CHECKSUM" for signal in m.signals)
    }
    log = shared("can/logs") / "comma2k19-rav4/rav4-60s.candump.log.xz"
    frames = [f for f in golden.candump(log, "can0").frames() if f.can_id in protected]

    broken = [f for f in frames if not protected[f.can_id].verify(f.data)]

    assert len(frames) > 10_000
    assert broken == []


def test_a_honda_checksum_closes_the_sum_of_nibbles():
    layout = Message(
        "STEERING_CONTROL",
        0xE4,
        is_extended=False,
        length=5,
        signals=(
            Signal("STEER_TORQUE", 7, 16, ByteOrder.BIG, Number.SIGNED),
            Signal("COUNTER", 37, 2, ByteOrder.BIG),
            Signal("CHECKSUM", 35, 4, ByteOrder.BIG),
        ),
    )
    protection = Protection(layout, "honda", "CHECKSUM", "COUNTER")

    payload = protection.protect(bytes.fromhex("1234000000"), 6)

    assert payload.hex() == "123400002" + f"{(8 - 0xE - 4 - 1 - 2 - 3 - 4 - 2) & 0xF:x}"
    assert protection.verify(payload)


@pytest.mark.parametrize("kind", KINDS)
@given(
    payload=st.binary(min_size=8, max_size=8), counter=st.integers(0, 40), bit=st.integers(0, 63)
)
def test_a_protected_payload_holds_and_a_turned_bit_shows(kind, payload, counter, bit):
    data_ids = tuple(range(100, 100 + max(KINDS[kind].data_ids)))
    protection = Protection(message(KINDS[kind].bits), kind, "Checksum", "Counter", data_ids)

    protected = protection.protect(payload, counter)
    turned = bytearray(protected)
    turned[bit // 8] ^= 1 << bit % 8

    assert protection.verify(protected)
    assert protection.counter(protected) == counter % protection.counter_values
    assert (
        not protection.verify(bytes(turned)) or kind == "e2e-p2"
    )  # its data id changes with the counter
    assert protection.protect(protected, counter) == protected


def test_a_payload_of_another_length_never_holds():
    protection = Protection(message(), "sum8", "Checksum", "Counter")

    assert not protection.verify(bytes(7))
    for call in (protection.protect, protection.counter):
        with pytest.raises(BadInput, match="M has 8 bytes, but the payload has 7"):
            call(bytes(7))


def test_profile_1_counts_to_14():
    assert Protection(message(), "e2e-p1", "Checksum", "Counter", (1,)).counter_values == 15
    assert Protection(message(), "e2e-p2", "Checksum", "Counter", (1,) * 16).counter_values == 16
    assert Protection(message(), "xor8", "Checksum").counter_values == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("crc64", "Checksum"), "crc64 is no kind of checksum; choose one of crc8-sae-j1850"),
        (("xor8", "Sum"), "M has no signal Sum inside its 8 bytes"),
        (("xor8", "Far"), "M has no signal Far inside its 8 bytes"),
        (("xor8", "Data"), "Data has 16 bits; xor8 needs 8"),
        (("xor8", "Page"), "Page must be a whole number that is always in the frame"),
        (("xor8", "Checksum", "Same"), "Same and Checksum share bits"),
        (("e2e-p1", "Checksum", "Counter"), "e2e-p1 takes 1 data ids, not 0"),
        (("crc8-autosar", "Checksum", None, (1, 2)), "crc8-autosar takes 0 or 1 data ids, not 2"),
        (("e2e-p1", "Checksum", None, (70_000,)), "a data id has 16 bits"),
        (("e2e-p2", "Checksum", None, (1,) * 16), "e2e-p2 needs a counter"),
    ],
)
def test_what_cannot_protect_a_message_is_said(arguments, sentence: str):
    layout = message()
    more = (
        Signal("Far", 60, 8),
        Signal("Same", 4, 4),
        Signal("Page", 16, 8, multiplex=Multiplex(1, ((0, 0),))),
    )
    layout = Message("M", 1, is_extended=False, length=8, signals=layout.signals + more)

    with pytest.raises(BadInput) as refusal:
        Protection(layout, *arguments)

    assert sentence in str(refusal.value)
