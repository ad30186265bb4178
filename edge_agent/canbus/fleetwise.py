"""A FleetWise decoder manifest as bus databases: what a DBC says elsewhere, a cloud of FleetWise says by it.

    DecoderManifest --databases_of--> a Database for each bus, names of signals by number, and what is left out

Rule 1: the wire has numbers only: signal 7 in frame 0x1A2 of can0 is can0.x1A2.s7.
Rule 2: an id above 0x7FF is one of 29 bits; the wire has no flag.
Rule 3: a frame is as long as its signals need: shorter frames than that are somebody else's.
Rule 4: OBD, custom and structured signals come from no frame: a sentence for each kind says so.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.canbus.model import ByteOrder, Database, Message, Number, Signal
from fairway.errors import BadInput
from fairway.fleetwise.decoders import CanSignal, DecoderManifest, start_in_dbc
from fairway.fleetwise.names import SignalNames, names_of

_BUS = re.compile(r"[\w-]+")  # what may begin a signal's name in a campaign


@dataclass(frozen=True, slots=True, eq=False)
class ManifestDatabases:
    """What a manifest means to this vehicle; `buses` by name, `left_out` in sentences."""

    buses: Mapping[str, Database]
    names: SignalNames
    left_out: tuple[str, ...]


def databases_of(manifest: DecoderManifest, buses: Mapping[str, str]) -> ManifestDatabases:
    """Return the databases of a manifest; `buses` says which bus each interface of it is.

    Raises BadInput for the name of a bus that cannot begin the name of a signal.
    """
    for bus in buses.values():
        if not _BUS.fullmatch(bus):
            raise BadInput(
                f"the bus {bus!r} cannot begin names of signals: letters, digits, _ and -"
            )
    left_out = _not_from_frames(manifest)
    called: dict[int, str] = {}
    frames: dict[str, dict[int, list[Signal]]] = {bus: {} for bus in buses.values()}
    for one in manifest.can:
        bus = buses.get(one.interface, "")
        if not bus:
            left_out.append(
                f"signal {one.id} is on the interface {one.interface!r}, which is no bus here"
            )
            continue
        try:
            signal = _signal(one)
        except BadInput as error:
            left_out.append(str(error))
            continue
        called[one.id] = f"{bus}.{_frame(one.frame_id)}.{signal.name}"
        frames[bus].setdefault(one.frame_id, []).append(signal)
    databases = {
        bus: Database("decoder-manifest", tuple(_message(one, some) for one, some in found.items()))
        for bus, found in frames.items()
    }
    return ManifestDatabases(databases, names_of(manifest, called), tuple(left_out))


def _not_from_frames(manifest: DecoderManifest) -> list[str]:
    sentences = []
    if manifest.obd:
        sentences.append(
            f"{len(manifest.obd)} signals are answers to OBD requests, which nobody here sends"
        )
    if manifest.custom:
        sentences.append(
            f"{len(manifest.custom)} signals are read by a word of FleetWise's agent; here those that are"
            " fetched have values, and no others"
        )
    if manifest.complex_signals:
        sentences.append(
            f"{len(manifest.complex_signals)} signals are structured, which is not read here"
        )
    return sentences


def _signal(one: CanSignal) -> Signal:
    number = Number.SIGNED if one.is_signed else Number.UNSIGNED
    return Signal(
        name=f"s{one.id}",
        start=start_in_dbc(one),
        length=one.length_bits,
        byte_order=ByteOrder.BIG if one.is_big_endian else ByteOrder.LITTLE,
        number=Number.FLOAT if one.is_float else number,
        scale=one.factor,
        offset=one.offset,
    )


def _message(frame_id: int, signals: Sequence[Signal]) -> Message:
    needed = max(_last_byte(signal) for signal in signals) + 1
    return Message(
        name=_frame(frame_id),
        frame_id=frame_id,
        is_extended=frame_id > 0x7FF,
        length=needed,
        signals=tuple(signals),
        is_fd=needed > 8,
    )


def _last_byte(signal: Signal) -> int:
    if signal.byte_order is ByteOrder.LITTLE:
        return (signal.start + signal.length - 1) // 8
    sent_at = signal.start // 8 * 8 + 7 - signal.start % 8
    return (sent_at + signal.length - 1) // 8


def _frame(frame_id: int) -> str:
    return f"x{frame_id:X}"
