"""The thread that answers vehicles' control messages, and tells vehicles of what changed.

    doors --offer--> [control] parse, keep, answer --> the door it came through
    poke, or every 200 ms      what changed? --slices--> streams held here, else MQTT

Rule 1: messages are taken many at a time, so ten thousand check-ins are some transactions.
Rule 2: a change goes to a large fleet in slices, and what came in meanwhile is answered between two of them.
Rule 3: a registry that does not answer loses nothing that vehicles do not say again.
Rule 4: an error nobody understood ends the program, as in ingest.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fairway import log as logs
from fairway.clock import NS_PER_S, Clock
from fairway.control import CampaignList, ServiceList, StateTemplateList, ToVehicle
from fairway.errors import BadInput, Unavailable
from fairway.wire.control import from_vehicle_from_bytes, to_vehicle_to_bytes
from fleet_cloud.access.grants import DEFAULT_FLEET
from fleet_cloud.adapters.conversation import Conversation
from fleet_cloud.control.listing import Heard, Told
from fleet_cloud.control.ports import (
    Vehicle,
)

log = logs.get("fleet_cloud.control")

# What waits at most: a fleet of 10,000 that checks in at once, each with some campaigns.
QUEUE_MAX_MESSAGES = 20_000
QUEUE_MAX_BYTES = 64 * 1024 * 1024
# Messages answered together, and vehicles told together: a tenth of a second each.
TAKE_MAX = 1_000
SLICE_VEHICLES = 500
# A change that another process made is seen after so long.
LOOK_S = 0.2
TICK_NS = NS_PER_S
CROWDED_S = 0.01


class Door(Protocol):
    """A way to vehicles."""

    def send_control(self, vehicle: str, data: bytes) -> bool:
        """Send to a vehicle; False: it has no connection here.  Any thread; must not block."""
        ...


class Broker(Door, Protocol):
    """A way to every vehicle that listens."""

    @property
    def is_crowded(self) -> bool:
        """Whether so much is on its way that more would push receipts aside."""
        ...


@dataclass(frozen=True, slots=True)
class _Message:
    vehicle: str
    data: bytes
    door: Door
    received_time_ns: int


class Control:
    """Runs the desk."""

    def __init__(
        self,
        *,
        desk: Conversation,
        tenants: Callable[[], Mapping[str, str]],
        tick: Callable[[int], None],
        clock: Clock,
        failed: Callable[[BaseException], None],
    ) -> None:
        """`tick` is called every second with the time, for what goes by schedule."""
        self._desk = desk
        self._tenants = tenants
        self._tick = tick
        self._clock = clock
        self._failed = failed
        self._streams: Door | None = None  # tells whether it holds the vehicle
        self._broker: Broker | None = None  # reaches whoever listens
        self._waiting: deque[_Message] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._is_poked = True
        self._is_stopping = False
        self._to_push: deque[Vehicle] = deque()
        self._ticked_ns = 0
        self._looked_ns = 0
        self._is_reachable = True
        self._thread = threading.Thread(target=self._guarded, name="control")

    def start(self, *, streams: Door | None = None, broker: Broker | None = None) -> None:
        """Begin, with the doors there are."""
        self._streams, self._broker = streams, broker
        self._thread.start()

    def stop(self) -> None:
        """End after what is being done."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def fleets_of(self, tenant: str, vehicle: str) -> Collection[str]:
        """Return the fleets of a vehicle, as of a fifth of a second ago."""
        return self._desk.fleets.facts(tenant, vehicle).fleets or (DEFAULT_FLEET,)

    def poke(self) -> None:
        """Look for changes now: somebody in this process has just made one."""
        with self._changed:
            self._is_poked = True
            self._changed.notify_all()

    def offer(self, vehicle: str, data: bytes, door: Door) -> bool:
        """Take a message; False: too much waits, and the vehicle says it again."""
        message = _Message(vehicle, data, door, self._clock.now_ns())
        with self._changed:
            is_full = (
                len(self._waiting) >= QUEUE_MAX_MESSAGES
                or self._waiting_bytes + len(data) > QUEUE_MAX_BYTES
            )
            if self._is_stopping or (is_full and self._waiting):
                return False
            self._waiting.append(message)
            self._waiting_bytes += len(data)
            self._changed.notify_all()
            return True

    def _guarded(self) -> None:
        try:
            while not self._is_stopping:
                self._turn()
        except BaseException as error:  # noqa: BLE001 - told to the program, which ends
            self._failed(error)

    def _turn(self) -> None:
        messages = self._take()
        try:
            self._answer(messages)
            self._look()
            self._push()
        except Unavailable as error:
            if self._is_reachable:
                log.error("control_stalled", reason=str(error))  # noqa: TRY400 - the reason says it
            self._is_reachable = False
            self._pause()
            return
        self._is_reachable = True

    def _take(self) -> list[_Message]:
        with self._changed:
            wait_s = LOOK_S if not self._to_push else CROWDED_S if self._is_crowded else 0.0
            self._changed.wait_for(
                lambda: self._waiting or self._is_poked or self._is_stopping, wait_s
            )
            count = min(TAKE_MAX, len(self._waiting))
            messages = [self._waiting.popleft() for _ in range(count)]
            self._waiting_bytes -= sum(len(message.data) for message in messages)
            return messages

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping, LOOK_S)

    def _answer(self, messages: Sequence[_Message]) -> None:
        tenants = self._tenants()
        heard: list[Heard] = []
        doors: dict[Vehicle, Door] = {}
        for message in messages:
            tenant = tenants.get(message.vehicle)
            if tenant is None:
                log.warning("vehicle_denied", vehicle=message.vehicle, door="control")
                continue
            try:
                noun = from_vehicle_from_bytes(message.data)
            except BadInput as error:
                log.warning("control_unreadable", vehicle=message.vehicle, reason=str(error))
                continue
            vehicle = Vehicle(tenant, message.vehicle)
            doors[vehicle] = message.door
            heard.append(Heard(vehicle, noun, message.received_time_ns))
        if heard:
            encode = _Encoder()
            for told in self._desk.heard(heard, self._clock.now_ns()):
                doors[told.vehicle].send_control(told.vehicle.name, encode(told.noun))

    def _look(self) -> None:
        now_ns = self._clock.monotonic_ns()
        with self._changed:
            is_due = self._is_poked or now_ns - self._looked_ns >= LOOK_S * NS_PER_S
            self._is_poked = False
        if not is_due:
            return
        self._looked_ns = now_ns
        wall_ns = self._clock.now_ns()
        concerned = self._desk.refresh(wall_ns)
        if concerned is not None:
            waiting = set(self._to_push)
            self._to_push.extend(sorted(concerned - waiting))
            self._send(self._desk.due_commands(wall_ns))
        if now_ns - self._ticked_ns >= TICK_NS:
            self._ticked_ns = now_ns
            self._tick(wall_ns)

    def _push(self) -> None:
        count = 0 if self._is_crowded else min(SLICE_VEHICLES, len(self._to_push))
        some = [self._to_push[at] for at in range(count)]
        if some:
            self._send(self._desk.push(some))
            for _ in some:  # not before: what could not be looked up is tried again
                self._to_push.popleft()

    @property
    def _is_crowded(self) -> bool:
        return self._broker is not None and self._broker.is_crowded

    def _send(self, told: Sequence[Told]) -> None:
        encode = _Encoder()
        for one in told:
            data = encode(one.noun)
            is_held = self._streams and self._streams.send_control(one.vehicle.name, data)
            if not is_held and one.is_ours and self._broker:
                self._broker.send_control(one.vehicle.name, data)


class _Encoder:
    """Writes a list once for all the vehicles that are told the same."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[ToVehicle, bytes]] = {}

    def __call__(self, noun: ToVehicle) -> bytes:
        if not isinstance(noun, CampaignList | StateTemplateList | ServiceList):
            return to_vehicle_to_bytes(noun)
        known = self._known.get(id(noun))
        if known is None:
            # Kept with its bytes, so its id stays its own.
            known = self._known[id(noun)] = (noun, to_vehicle_to_bytes(noun))
        return known[1]
