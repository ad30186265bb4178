"""The uplink to a cloud of AWS IoT FleetWise: its topics and messages, behind our own conversation.

    TelemetryRequest --FleetWiseWire--> signals         PUBACK of all parts --> receipt STORED
    ControlRequest   --FleetWiseWire--> checkins, last_known_states/data, executions/<id>/response
    collection_schemes, last_known_states/config, executions/<id>/request --FleetWiseWire--> ControlResponse
    decoder_manifests --> kept, and told: what signals are has changed

Rule 1: an agent without a manifest checks in with nothing, and is sent one: `first_manifest`.
Rule 2: a new manifest changes what is decoded: the agent begins anew with it.  Until then campaigns of the old
        one go on.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.adapters.mqtt_dialer import MqttDialer
from edge_agent.adapters.mqtt_line import Caller, MqttLine
from edge_agent.adapters.uplink_tls import Address
from edge_agent.telemetry.fleetwise import Down, FleetWiseWire
from fairway import log as logs
from fairway.clock import Clock
from fairway.errors import BadInput, Unavailable
from fairway.fleetwise.data import Checkin
from fairway.fleetwise.decoders import DecoderManifest
from fairway.fleetwise.topics import Prefixes
from fairway.telemetry import Receipt
from fairway.wire.fleetwise.decoders import manifest_from_bytes
from fairway.wire.fleetwise.vehicle_data import checkin_to_bytes
from fairway.wire.telemetry import receipts_to_bytes

log = logs.get("edge_agent.fleetwise")


@dataclass(slots=True)
class _Waiting:
    """A batch whose parts are on their way."""

    receipt: Receipt
    left: int


class FleetWiseUplink:
    """An uplink that speaks FleetWise's dialect; `name` is the vehicle's there."""

    def __init__(
        self,
        target: Address,
        *,
        name: str,
        prefixes: Prefixes,
        clock: Clock,
        keep: Callable[[bytes], None],
    ) -> None:
        """Read the certificates; `keep` is given each new manifest, and keeps it.  Raises BadInput."""
        self._target, self._name, self._topics = target, name, prefixes
        self._clock, self._keep = clock, keep
        self._dialer = MqttDialer(target)
        self._wire: FleetWiseWire | None = None
        self._sync_id = ""
        self._line: MqttLine | None = None
        self._receipts: asyncio.Queue[bytes] = asyncio.Queue()
        self._control: asyncio.Queue[bytes] = asyncio.Queue()
        self._parts: dict[int, _Waiting] = {}
        self._answers: set[asyncio.Task[None]] = set()
        self.manifest_changed: asyncio.Event = asyncio.Event()
        self.manifest: DecoderManifest | None = None

    def speak(self, wire: FleetWiseWire, manifest: DecoderManifest) -> None:
        """Use `wire`, which was made with `manifest`, from now on."""
        self._wire, self._sync_id = wire, manifest.sync_id

    async def first_manifest(self) -> DecoderManifest:
        """Check in with nothing, and return the manifest that is sent.  Raises Unavailable, Denied."""
        line = self._open()
        nothing = Checkin((), self._clock.now_ns() // 1_000_000)
        await line.publish(self._topics.checkins(self._name), checkin_to_bytes(nothing))
        changed = asyncio.ensure_future(self.manifest_changed.wait())
        await asyncio.wait((changed, line.lost), return_when=asyncio.FIRST_COMPLETED)
        if self.manifest is None:
            changed.cancel()
            raise line.lost.result()
        return self.manifest

    async def connect(self) -> None:
        await self.close()
        caller = Caller(self._name, self._topics.down(self._name), self._heard, self._arrived)
        self._line = await self._dialer.dial(caller)
        self._parts = {}

    async def send(self, request: bytes) -> None:
        line = self._open()
        up = self._spoken().up(request)
        if up.receipt is None:
            return
        waiting = _Waiting(up.receipt, len(up.payloads))
        if not up.payloads:
            self._receipts.put_nowait(receipts_to_bytes([up.receipt]))
        for payload in up.payloads:
            number = await line.publish(self._topics.signals(self._name), payload)
            self._parts[number] = waiting

    async def receive(self) -> bytes:
        return await self._next(self._receipts)

    async def send_control(self, request: bytes) -> None:
        line = self._open()
        up = self._spoken().control_up(request)
        if up.checkin is not None:
            await line.publish(self._topics.checkins(self._name), up.checkin)
        if up.states is not None:
            await line.publish(self._topics.state_data(self._name), up.states)
        if up.answer is not None:
            command, answer = up.answer
            await line.publish(self._topics.response(self._name, command), answer)

    async def receive_control(self) -> bytes:
        return await self._next(self._control)

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    def _open(self) -> MqttLine:
        if self._line is None:
            raise Unavailable(f"there is no connection to {self._target}")
        return self._line

    def _spoken(self) -> FleetWiseWire:
        if self._wire is None:
            raise Unavailable("the cloud has not said yet what signals there are")
        return self._wire

    async def _next(self, queue: asyncio.Queue[bytes]) -> bytes:
        line = self._open()
        getting = asyncio.ensure_future(queue.get())
        try:
            await asyncio.wait((getting, line.lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not getting.done():
                getting.cancel()
        if getting.done() and not getting.cancelled():
            return getting.result()
        raise line.lost.result()

    def _arrived(self, number: int) -> None:
        waiting = self._parts.pop(number, None)
        if waiting is None:
            return
        waiting.left -= 1
        if waiting.left == 0:
            self._receipts.put_nowait(receipts_to_bytes([waiting.receipt]))

    def _heard(self, topic: str, payload: bytes) -> None:
        try:
            if topic == self._topics.manifests(self._name):
                self._take_manifest(payload)
            else:
                self._take(self._down(topic, payload))
        except (BadInput, Unavailable) as error:
            log.warning("fleetwise_refused", topic=topic, reason=str(error))

    def _down(self, topic: str, payload: bytes) -> Down:
        wire = self._spoken()
        if topic == self._topics.schemes(self._name):
            return wire.schemes(payload)
        if topic == self._topics.state_config(self._name):
            return wire.templates(payload)
        return wire.command(payload, now_ns=self._clock.now_ns())

    def _take(self, down: Down) -> None:
        for sentence in down.sentences:
            log.warning("fleetwise_left_out", reason=sentence)
        if down.response is not None:
            self._control.put_nowait(down.response)
        if down.refusal is not None and self._line is not None:
            command, answer = down.refusal
            topic = self._topics.response(self._name, command)
            task = asyncio.ensure_future(self._answer(self._line, topic, answer))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _answer(self, line: MqttLine, topic: str, answer: bytes) -> None:
        try:
            await line.publish(topic, answer)
        except Unavailable as error:
            log.warning("fleetwise_answer_lost", reason=str(error))

    def _take_manifest(self, payload: bytes) -> None:
        manifest = manifest_from_bytes(payload)
        if manifest.sync_id == self._sync_id:
            return
        self._keep(payload)
        self.manifest = manifest
        self.manifest_changed.set()
