"""Our own conversation with a cloud, turned into FleetWise's: what goes up, and what comes down.

    TelemetryRequest --up--> VehicleData payloads, and a receipt when the broker has all of them
    ControlRequest --control_up--> Checkin, StateData, CommandResponse
    SchemeList, StateTemplateChange, CommandRequest --down--> ControlResponse

So everything behind the uplink is as with a cloud of ours: partitions, budgets, the window, the engine.

Rule 1: a cloud of FleetWise has no receipt but its broker's PUBACK: with it the spool forgets.
Rule 2: what such a cloud can never take (samples of no campaign) is answered REFUSED, with the reason.
Rule 3: numbers are those of the manifest this was made with; a campaign of another one is left out until that
        one is there.
Rule 4: no I/O and no clock here.
"""

from dataclasses import dataclass, replace

from fairway.campaign.model import Compression
from fairway.control import (
    Answer,
    AnswerState,
    CampaignList,
    CampaignOrder,
    CampaignState,
    Catalogue,
    CheckIn,
    Command,
    StateReport,
    StateTemplate,
    StateTemplateList,
)
from fairway.errors import BadInput
from fairway.fleetwise.blocks import data_of
from fairway.fleetwise.campaigns import Scheme
from fairway.fleetwise.commands import Actuate
from fairway.fleetwise.data import CapturedState, Checkin, StateData, StateSample
from fairway.fleetwise.data import StateTemplate as Foreign
from fairway.fleetwise.decoders import DecoderManifest
from fairway.fleetwise.names import SignalNames
from fairway.signals import SignalTable
from fairway.telemetry import Batch, Dictionary, Outcome, Receipt, SealedBatch
from fairway.wire.control import from_vehicle_from_bytes, to_vehicle_to_bytes
from fairway.wire.fleetwise.commands import answer_to_bytes, command_from_bytes
from fairway.wire.fleetwise.schemes_in import scheme_list_from_bytes
from fairway.wire.fleetwise.states import change_from_bytes, state_data_to_bytes
from fairway.wire.fleetwise.vehicle_data import checkin_to_bytes, payloads
from fairway.wire.telemetry import opened, request_from_bytes

# What AWS IoT Core takes in one message.
PAYLOAD_MAX_BYTES = 128 * 1024
# A reason code of FleetWise's.
_NOT_SUPPORTED = 8
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Up:
    """What becomes of a TelemetryRequest: payloads, and the receipt that is due when all have arrived."""

    payloads: tuple[bytes, ...] = ()
    receipt: Receipt | None = None  # None: nothing waits for one


@dataclass(frozen=True, slots=True)
class ControlUp:
    """What becomes of a ControlRequest."""

    checkin: bytes | None = None
    states: bytes | None = None
    answer: tuple[str, bytes] | None = None  # the command's id


@dataclass(frozen=True, slots=True)
class Down:
    """What a message from the cloud becomes: a ControlResponse, and sentences for the log."""

    response: bytes | None = None
    sentences: tuple[str, ...] = ()
    refusal: tuple[str, bytes] | None = (
        None  # a command that is not done here, and the answer to it
    )


class FleetWiseWire:
    """Both directions, for one manifest; it remembers what it was told."""

    def __init__(
        self,
        vehicle: str,
        manifest: DecoderManifest,
        names: SignalNames,
        *,
        max_bytes: int = PAYLOAD_MAX_BYTES,
    ) -> None:
        self._vehicle, self._manifest, self._names = vehicle, manifest, names
        self._max_bytes = max_bytes
        self._tables: dict[bytes, SignalTable] = {}
        self._schemes: dict[str, Scheme] = {}
        self._templates: dict[str, Foreign] = {}
        self._revision = 0
        self._primitives = {signal.id: signal.primitive for signal in manifest.plain}

    def up(self, request: bytes) -> Up:
        """Return what to send for a TelemetryRequest.  Raises BadInput for what is none."""
        content = request_from_bytes(request, vehicle=self._vehicle)
        if isinstance(content, Dictionary):
            self._tables[content.id] = content.table
            return Up()
        name = content.name
        stored = Receipt(name.stream, name.sequence, Outcome.STORED)
        table = self._tables.get(content.dictionary_id)
        if table is None:
            return Up((), replace(stored, outcome=Outcome.UNKNOWN_DICTIONARY))
        try:
            return Up(tuple(self._payloads(content, table)), stored)
        except BadInput as error:
            return Up((), replace(stored, outcome=Outcome.REFUSED, reason=str(error)))

    def control_up(self, request: bytes) -> ControlUp:
        """Return what to send for a ControlRequest.  Raises BadInput for what is none."""
        noun = from_vehicle_from_bytes(request)
        match noun:
            case CheckIn():
                return ControlUp(checkin=checkin_to_bytes(self._checkin(noun)))
            case StateReport():
                return ControlUp(states=self._state_data(noun))
            case Answer():
                return ControlUp(answer=(noun.id, answer_to_bytes(noun)))
            case Catalogue():
                return ControlUp()  # the cloud has made the manifest: it knows

    def schemes(self, data: bytes) -> Down:
        """Return the CampaignList of a SchemeList.  Raises BadInput."""
        found = scheme_list_from_bytes(data, self._names)
        own = [one for one in found.schemes if one.decoder_sync_id == self._manifest.sync_id]
        self._schemes = {one.sync_id: one for one in own}
        self._revision = max(self._revision + 1, found.time_ms)
        orders = tuple(CampaignOrder(one.sync_id, one.campaign) for one in own)
        sentences = [f"campaign {name}: {reason}" for name, reason in found.unreadable]
        sentences += [f"campaign {one.sync_id}: {text}" for one in own for text in one.left_out]
        sentences += [
            f"campaign {one.sync_id} is of the decoder manifest {one.decoder_sync_id}; this is"
            f" {self._manifest.sync_id}"
            for one in found.schemes
            if one not in own
        ]
        return Down(
            to_vehicle_to_bytes(CampaignList(self._revision, orders)), sentences=tuple(sentences)
        )

    def templates(self, data: bytes) -> Down:
        """Return the StateTemplateList that a StateTemplateChange makes.  Raises BadInput."""
        change = change_from_bytes(data)
        for one in change.removed:
            self._templates.pop(one, None)
        self._templates |= {one.sync_id: one for one in change.added}
        known = tuple(
            StateTemplate(
                one.sync_id,
                tuple(name for n in one.signal_ids if (name := self._names.name(n)) is not None),
                one.period_ms,
            )
            for one in self._templates.values()
        )
        return Down(to_vehicle_to_bytes(StateTemplateList(change.version, known)))

    def command(self, data: bytes, *, now_ns: int) -> Down:
        """Return the Command of a CommandRequest, or the answer to one that is not done here.

        Raises BadInput.
        """
        request = command_from_bytes(data)
        if isinstance(request.what, Actuate) or len(request.what) != 1:
            sentence = (
                "this agent takes commands to one state template at a time, and to no actuator"
            )
            refused = Answer(request.id, AnswerState.FAILED, _NOT_SUPPORTED, sentence)
            return Down(sentences=(sentence,), refusal=(request.id, answer_to_bytes(refused)))
        expires_ns = (
            (request.issued_time_ms + request.timeout_ms) * _NS_PER_MS
            if request.timeout_ms
            else now_ns + 24 * 3_600_000 * _NS_PER_MS
        )
        return Down(to_vehicle_to_bytes(Command(request.id, expires_ns, request.what[0])))

    def _payloads(self, sealed: SealedBatch, table: SignalTable) -> list[bytes]:
        batch = Batch(
            sealed.name,
            sealed.dictionary_id,
            opened(sealed, table),
            sealed.created_time_ns,
            sealed.campaign,
        )
        scheme = self._schemes.get(sealed.campaign.sync_id) if sealed.campaign else None
        decoder = scheme.decoder_sync_id if scheme else self._manifest.sync_id
        is_compressed = scheme is None or scheme.campaign.compression is not Compression.OFF
        return [
            payload
            for data in data_of(batch, self._names, decoder)
            for payload in payloads(data, compress=is_compressed, max_bytes=self._max_bytes)
        ]

    def _checkin(self, check_in: CheckIn) -> Checkin:
        has = (CampaignState.READY, CampaignState.RUNNING, CampaignState.SUSPENDED)
        ids = [one.sync_id for one in check_in.campaigns if one.state in has]
        return Checkin(
            (*ids, self._manifest.sync_id, *self._templates),
            max(0, check_in.time_ns // _NS_PER_MS),
        )

    def _state_data(self, report: StateReport) -> bytes:
        time_ns = max((one.time_ns for one in report.values), default=0)
        samples = [
            StateSample(number, one.value)
            for one in report.values
            if (number := self._names.id(one.name)) is not None
        ]
        state = CapturedState(report.template, tuple(samples))
        return state_data_to_bytes(StateData(time_ns // _NS_PER_MS, (state,)), self._primitives)
