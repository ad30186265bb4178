"""The door of AWS IoT FleetWise's agents: they check in, are sent documents, and send events.

    broker --session--> worker thread --VehicleData as a batch of ours--> Intake --> ingest
                              |   <--------------answer: stored, busy------------------+
                              +--> documents, commands        PUBACK when it is stored, and not before

Rule 1: an agent's only receipt is its broker's PUBACK: from then on the broker has the event, and the session
        there keeps it until it is stored here.
Rule 2: a payload is stored once, however often it comes: its name is made from what it says (blocks.py).
Rule 3: what ingest is too busy for is offered again by this door; over a new connection the broker sends it.
Rule 4: what cannot be read goes to the quarantine, whole, and so does an event of which a part was left out.
Rule 5: whose message it is comes from the topic: the broker lets a vehicle publish below its own name only.
"""

import heapq
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import TypeAlias

from fairway import log as logs
from fairway.clock import NS_PER_MS, NS_PER_S, Clock
from fairway.control import Command
from fairway.errors import BadInput, Unavailable
from fairway.fleetwise.blocks import batch_name, block_of, campaign_part
from fairway.fleetwise.data import Checkin
from fairway.fleetwise.topics import Prefixes
from fairway.telemetry import Batch, Dictionary, Outcome
from fairway.wire.fleetwise.commands import answer_from_bytes
from fairway.wire.fleetwise.states import state_data_from_bytes
from fairway.wire.fleetwise.vehicle_data import (
    PAYLOAD_MAX_BYTES,
    body_of,
    checkin_from_bytes,
    vehicle_data_from_body,
)
from fairway.wire.telemetry import batch_to_bytes, dictionary_of, dictionary_to_bytes
from fleet_cloud.adapters.addresses import BrokerAddress
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.mqtt_session import Heard, MqttSession, Terms
from fleet_cloud.fleetwise.documents import Wanted, documents, reports_of, request_of
from fleet_cloud.fleetwise.ports import Fleet, NamedManifest
from fleet_cloud.ingest.ports import Answer, Message
from fleet_cloud.ingest.records import Misfit, Quarantine
from fleet_cloud.vehicles.registry import FLEETWISE_NAME

log = logs.get("fleet_cloud.fleetwise")

# Payloads on their way through here: at AWS IoT's 128 KiB each, 16 MiB; 256 MiB at the very most.
RECEIVE_MAXIMUM = 128
PACKET_MAX_BYTES = 2 * PAYLOAD_MAX_BYTES
# How long ingest may be full before an event is put aside, and for how long it is.
STALL_S = 1.0
AGAIN_NS = 5 * NS_PER_S
_IDLE_S = 0.5
# Last check-ins, for whom something changes: 300 bytes each.
CHECKINS_MAX = 100_000
# Dictionaries of manifests in use: a model of vehicles each.
DICTIONARIES_MAX = 256


@dataclass(frozen=True, slots=True, eq=False)
class _Event:
    """An event as ingest takes it, and the message that is acknowledged when it is stored."""

    heard: Heard
    vehicle: str
    request: bytes
    dictionary: Dictionary
    is_unknown: bool = False  # ingest has asked for the dictionary


@dataclass(frozen=True, slots=True)
class _Changed:
    """What a vehicle is to have has changed."""

    vehicle: str


_Job: TypeAlias = Heard | _Event | _Changed


@dataclass(frozen=True, slots=True, eq=False)
class _Later:
    """What is to be done when it is time."""

    job: _Job
    due_ns: int


class FleetWiseDoor:
    """Serves the agents of FleetWise at one broker."""

    def __init__(  # noqa: PLR0913 - put together once, in app.py
        self,
        address: BrokerAddress,
        *,
        prefixes: Prefixes,
        fleet: Fleet,
        intake: Intake,
        quarantine: Quarantine,
        tenants: Callable[[], Mapping[str, str]],
        clock: Clock,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._topics, self._fleet, self._intake = prefixes, fleet, intake
        self._quarantine, self._tenants, self._clock = quarantine, tenants, clock
        self._failed = failed
        self._jobs: SimpleQueue[_Job | _Later | None] = SimpleQueue()
        self._later: list[tuple[int, int, _Job]] = []
        self._turn = 0
        self._checkins: OrderedDict[str, Checkin] = OrderedDict()
        self._dictionaries: OrderedDict[str, tuple[NamedManifest, Dictionary]] = OrderedDict()
        self._handlers: dict[str, Callable[[str, Heard], None]] = {
            "checkins": self._checkin,
            "signals": self._signals,
            "last_known_states/data": self._states,
            "answer": self._answered,
        }
        self._session = MqttSession(
            address,
            client_id=FLEETWISE_NAME,
            topics=prefixes.up("+"),
            terms=Terms(RECEIVE_MAXIMUM, PACKET_MAX_BYTES),
            hear=self._jobs.put,
        )
        self._thread = threading.Thread(target=self._work, name="fleetwise")

    @property
    def connected(self) -> bool:
        """Whether agents can be heard now."""
        return self._session.connected

    def start(self) -> None:
        """Begin to connect, and go on for ever.  Raises BadInput for an address that cannot work."""
        self._thread.start()
        self._session.start()

    def wait_connected(self, timeout_s: float) -> bool:
        """Return whether the door is open within `timeout_s`."""
        return self._session.wait_connected(timeout_s)

    def stop(self) -> None:
        """Close the door; what is not stored yet comes again."""
        self._jobs.put(None)
        self._thread.join()
        self._session.stop()

    def changed(self, vehicles: Iterable[str]) -> None:
        """Send `vehicles` what they are to have now, as far as they were heard of; must not block."""
        for vehicle in vehicles:
            self._jobs.put(_Changed(vehicle))

    def command(self, vehicle: str, command: Command) -> None:
        """Send a command.  Raises BadInput for one that agents of FleetWise cannot do, Unavailable."""
        fleet = self._fleet
        templates = fleet.states.templates(vehicle)
        manifest = fleet.manifests.of_vehicle(vehicle)
        request = request_of(command, templates, manifest, now_ns=self._clock.now_ns())
        self._session.publish(self._topics.request(vehicle, command.id), request)

    def answer(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            event = answer.message.token
            if not isinstance(event, _Event):
                continue  # of a dictionary
            receipt = answer.receipt
            if receipt is None or receipt.outcome.is_final:
                self._session.acknowledge(event.heard)
            elif receipt.outcome is Outcome.UNKNOWN_DICTIONARY:
                self._put_off(replace(event, is_unknown=True), 0)
            else:
                self._put_off(event, receipt.retry_after_ms * NS_PER_MS)

    def _put_off(self, job: _Job, wait_ns: int) -> None:
        """Have `job` done again; from any thread."""
        self._jobs.put(_Later(job, self._clock.monotonic_ns() + wait_ns))

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._do(job)
            except Unavailable as error:
                log.warning("fleetwise_put_off", reason=str(error))
                self._put_off(job, AGAIN_NS)
            except BaseException as error:  # noqa: BLE001 - told to the program, which ends
                self._failed(error)
                return

    def _next(self) -> "_Job | None":
        while True:
            due_ns = self._later[0][0] if self._later else None
            now_ns = self._clock.monotonic_ns()
            if due_ns is not None and due_ns <= now_ns:
                return heapq.heappop(self._later)[2]
            wait_s = _IDLE_S if due_ns is None else min(_IDLE_S, (due_ns - now_ns) / NS_PER_S)
            try:
                job = self._jobs.get(timeout=wait_s)
            except Empty:
                continue
            if not isinstance(job, _Later):
                return job
            self._turn += 1
            heapq.heappush(self._later, (job.due_ns, self._turn, job.job))

    def _do(self, job: _Job) -> None:
        if isinstance(job, _Changed):
            self._send_documents(job.vehicle)
            return
        heard = job.heard if isinstance(job, _Event) else job
        if heard.connection != self._session.connection:
            return  # it comes again
        if isinstance(job, _Event):
            self._offer(job)
            return
        try:
            vehicle, what = self._topics.sender(heard.topic)
        except BadInput as error:
            log.warning("topic_refused", reason=str(error))
            self._session.acknowledge(heard)
            return
        try:
            self._handlers[what](vehicle, heard)
        except BadInput as error:
            self._keep(vehicle, heard, str(error))
            self._session.acknowledge(heard)

    def _checkin(self, vehicle: str, heard: Heard) -> None:
        checkin = checkin_from_bytes(heard.payload)
        if vehicle in self._tenants():
            self._checkins[vehicle] = checkin
            self._checkins.move_to_end(vehicle)
            if len(self._checkins) > CHECKINS_MAX:
                self._checkins.popitem(last=False)
            self._send_documents(vehicle, is_news=True)
        self._session.acknowledge(heard)

    def _send_documents(self, vehicle: str, *, is_news: bool = False) -> None:
        checkin = self._checkins.get(vehicle)
        if checkin is None:
            return  # it will check in
        fleet = self._fleet
        manifest = fleet.manifests.of_vehicle(vehicle)
        wanted = Wanted(manifest, fleet.campaigns.orders(vehicle), fleet.states.templates(vehicle))
        found = documents(checkin, wanted, now_ns=self._clock.now_ns())
        for topic, document in (
            (self._topics.manifests(vehicle), found.manifest),
            (self._topics.schemes(vehicle), found.schemes),
            (self._topics.state_config(vehicle), found.templates),
        ):
            if document is not None:
                self._session.publish(topic, document)
        # An agent need not check in for what it was sent; when it does, its own word counts again.
        self._checkins[vehicle] = found.will_have
        if is_news:
            catalogue = self._dictionary(manifest) if manifest else None
            fleet.campaigns.checked_in(vehicle, found.check_in, catalogue)

    def _signals(self, vehicle: str, heard: Heard) -> None:
        body = body_of(heard.payload)
        data = vehicle_data_from_body(body)
        manifest = self._fleet.manifests.called(vehicle, data.decoder_sync_id)
        if manifest is None:
            raise BadInput(
                f"an event is of the decoder manifest {data.decoder_sync_id!r:.120}, which nobody knows"
            )
        blocked = block_of(data, manifest.names)
        dictionary = self._dictionary(manifest)
        batch = Batch(
            batch_name(vehicle, data, body),
            dictionary.id,
            blocked.block,
            self._clock.now_ns(),
            campaign_part(data, len(blocked.block)),
        )
        request = batch_to_bytes(batch)
        if blocked.left_out:
            self._keep(vehicle, heard, "; ".join(blocked.left_out))
        self._offer(_Event(heard, vehicle, request, dictionary))

    def _offer(self, event: _Event) -> None:
        now_ns = self._clock.now_ns()
        messages = [Message(event.vehicle, event.request, now_ns, self, event)]
        if event.is_unknown:
            data = dictionary_to_bytes(event.dictionary)
            messages.insert(0, Message(event.vehicle, data, now_ns, self))
        if not all(self._intake.offer(one, wait_s=STALL_S) for one in messages):
            self._put_off(event, AGAIN_NS)

    def _states(self, vehicle: str, heard: Heard) -> None:
        data = state_data_from_bytes(heard.payload)
        manifest = self._fleet.manifests.of_vehicle(vehicle)
        if manifest is None:
            raise BadInput("last known states came from a vehicle without a decoder manifest")
        for report in reports_of(data, manifest):
            self._fleet.states.heard(vehicle, report)
        self._session.acknowledge(heard)

    def _answered(self, vehicle: str, heard: Heard) -> None:
        self._fleet.states.heard(vehicle, answer_from_bytes(heard.payload))
        self._session.acknowledge(heard)

    def _keep(self, vehicle: str, heard: Heard, reason: str) -> None:
        tenant = self._tenants().get(vehicle, "")
        log.warning("fleetwise_misfit", vehicle=vehicle, reason=reason)
        if tenant:  # a stranger's messages are not kept: anyone could fill the quarantine
            now_ns = self._clock.now_ns()
            self._quarantine.keep([Misfit(tenant, vehicle, reason, now_ns, heard.payload)])

    def _dictionary(self, manifest: NamedManifest) -> Dictionary:
        sync_id = manifest.manifest.sync_id
        known = self._dictionaries.get(sync_id)
        if known is None or known[0] is not manifest:
            known = (manifest, dictionary_of(manifest.names.table))
            self._dictionaries[sync_id] = known
            if len(self._dictionaries) > DICTIONARIES_MAX:
                self._dictionaries.popitem(last=False)
        return known[1]
