"""The doors of all services: each meets the agent at its own socket, and others where both manifests agree.

    open(instance)   folder, agent.sock, token, keys.jwks
    started(id)      a port on its own loopback, for who can show no token
    serve(active)    uses/<offer>/{sock,token} in the folder of each user, swapped when who offers it changes
    run()            tokens renewed, sockets made anew linked again, denials told to the audit

Rule 1: links follow decisions (services/registry.py) and nothing else: what is not decided is taken away.
Rule 2: a service that cannot be linked yet costs nobody else anything: it is tried again at each look.
Rule 3: an agent that ends leaves folders and links: services go on calling each other, and the next agent
        takes them over.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from edge_agent.adapters.edge_audit import Audit
from edge_agent.adapters.onboard_grpc import AddService
from edge_agent.adapters.service_door import (
    Handlers,
    Link,
    ServiceDoor,
    environment,
    has_loopback,
    open_door,
)
from edge_agent.adapters.service_folder import TOKEN
from edge_agent.adapters.service_registry import ServiceRegistry
from edge_agent.adapters.service_tokens import RENEW_AFTER_S, Mint
from edge_agent.broker.vehicle import VehicleData
from edge_agent.services.audit import Act
from edge_agent.services.denials import Denial, Denials
from edge_agent.services.instance import Instance
from edge_agent.services.registry import Announced, Sight, announce, offered, sights
from fairway import log as logs
from fairway.clock import NS_PER_S, Clock, JumpWatch
from fairway.errors import BadInput, FairwayError, Unavailable

log = logs.get("edge_agent.services")

# A socket that a service made anew is linked again, and a denial is in the audit, within so long.
LOOK_INTERVAL_S = 1.0
# Denials that wait for a full disk.
_UNTOLD_MAX = 1000

PidOf = Callable[[str], Awaitable[int]]


class ServiceDoors:
    """Opens doors, and leads from one to the other."""

    def __init__(
        self,
        data: VehicleData,
        mint: Mint,
        audit: Audit,
        clock: Clock,
        services: Sequence[AddService] = (),
        pid_of: PidOf | None = None,
    ) -> None:
        """`services` are what the on-board door serves too, of the same Service: Opened.serving.

        `pid_of` says which process an instance is, 0 for none: with `access: socket` it gets a port.
        """
        self.denied = Denials()
        self._data, self._mint, self._audit, self._clock = data, mint, audit, clock
        self._doors: dict[str, ServiceDoor] = {}
        self._active: dict[str, Instance] = {}
        self._announced: dict[tuple[str, str], Announced] = {}
        self._changed = asyncio.Event()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._renewed_ns = clock.monotonic_ns()
        self._jumps = JumpWatch(clock)
        self._untold: deque[Denial] = deque(maxlen=_UNTOLD_MAX)
        self._pid_of = pid_of
        self._health = health.aio.HealthServicer()
        self._handlers = self._gathered(services)

    async def open(self, instance: Instance) -> tuple[tuple[str, str], ...]:
        async with self._turn(instance.id):
            if instance.id not in self._doors:
                await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
                door = await open_door(
                    instance, self._mint, self._handlers, self.denied, self._clock
                )
                self._doors[instance.id] = door
                if instance.service.signals.provide:
                    self._data.said_ns[instance.id] = {}
                self._settle()
        return environment(instance)

    async def started(self, id_: str) -> None:
        door = self._doors.get(id_)
        if door is not None:
            door.pid = 0  # the number may even be the one of before
            await self._reach(id_)

    async def serve(self, active: Mapping[str, Instance]) -> None:
        self._active = dict(active)
        self._settle()

    async def close(self, id_: str) -> None:
        async with self._turn(id_):
            door = self._doors.pop(id_, None)
            if door is None:
                return
            self._active = {name: one for name, one in self._active.items() if one.id != id_}
            self._announced = {key: said for key, said in self._announced.items() if key[0] != id_}
            self._data.said_ns.pop(id_, None)
            self._settle()
            await door.stop()
            door.folder.remove()

    async def run(self) -> None:
        """Look after tokens, links and the audit until cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            await self.look()

    async def look(self) -> None:
        """Do what is due now."""
        for id_, door in tuple(self._doors.items()):
            if not door.pid:
                await self._reach(id_)
        self._relink()
        now_ns = self._clock.monotonic_ns()
        is_due = now_ns - self._renewed_ns >= RENEW_AFTER_S * NS_PER_S
        if self._jumps.jump_ns() or is_due:
            self._renewed_ns = now_ns
            self._renew()
        for door in self._doors.values():
            door.guard.review()
        await self._tell_audit()

    async def _reach(self, id_: str) -> None:
        """Lead an instance to its door by its own loopback, if it is to have one and runs."""
        door = self._doors.get(id_)
        if self._pid_of is None or door is None or not has_loopback(door.instance):
            return
        async with self._turn(id_):
            pid = 0
            try:
                pid = await self._pid_of(id_)
                if pid and not door.pid and self._doors.get(id_) is door:
                    await door.reach(pid)
            except FairwayError as error:
                if isinstance(error, BadInput):
                    door.pid = pid  # it never will be
                log.warning("no_loopback", instance=id_, reason=str(error))

    async def stop(self) -> None:
        """Close all doors and leave the folders: services outlive the agent."""
        await self._health.enter_graceful_shutdown()
        doors, self._doors = self._doors, {}
        await asyncio.gather(*(door.stop() for door in doors.values()))
        for door in doors.values():
            door.folder.close()
        await self._tell_audit(is_last=True)

    def denials(self, name: str) -> tuple[Denial, ...]:
        """Return what a service was denied since the agent's start, the newest first."""
        return self.denied.of(name)

    def last_published(self, id_: str, path: str) -> float | None:
        """Return how long ago, in seconds, an instance last published a value; None: never."""
        number = self._data.signals.find(path)
        said_ns = self._data.said_ns.get(id_, {}).get(-1 if number is None else number)
        if said_ns is None:
            return None
        return (self._clock.monotonic_ns() - said_ns) / NS_PER_S

    def instance_of(self, id_: str) -> Instance:
        return self._door(id_).instance

    def sights_of(self, id_: str) -> tuple[Sight, ...]:
        return self._door(id_).sights

    def announce(self, id_: str, offer: str, features: tuple[str, ...], *, is_ready: bool) -> None:
        said = announce(self._door(id_).instance.service, offer, features, is_ready=is_ready)
        self._announced[id_, offer] = said
        self._settle()

    @property
    def changed(self) -> asyncio.Event:
        return self._changed

    def _turn(self, id_: str) -> asyncio.Lock:
        """Return what one instance is opened or closed under: others do not wait for it."""
        turn = self._turns.get(id_)
        if turn is None:
            turn = self._turns[id_] = asyncio.Lock()
        return turn

    def _door(self, id_: str) -> ServiceDoor:
        door = self._doors.get(id_)
        if door is None:
            raise Unavailable("this instance is not served any more")
        return door

    def _gathered(self, services: Sequence[AddService]) -> Handlers:
        """Return all that is served at each door."""
        handlers = Handlers()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, handlers)  # type: ignore[arg-type]
        adders = (*services, ServiceRegistry(self).add)
        names = [add(handlers) for add in adders]  # type: ignore[arg-type]
        told = reflection.aio.ReflectionServicer(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        )
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(told, handlers)  # type: ignore[no-untyped-call]
        return handlers

    def _settle(self) -> None:
        """Bring links and sights of all doors to what manifests and announcements say now."""
        offers = offered(self._active, self._announced)
        is_other = False
        for door in self._doors.values():
            seen = sights(door.instance.service, offers, door.instance.id)
            before, door.sights = door.sights, tuple(self._linked(door, sight) for sight in seen)
            self._note(door, before)
            wanted = {sight.name for sight in door.sights if sight.is_open}
            for name in {*door.links, *door.folder.linked()} - wanted:
                door.folder.unlink(name)
                door.links.pop(name, None)
            is_other = is_other or door.sights != before
        if is_other:
            self._changed.set()
            self._changed = asyncio.Event()

    def _linked(self, door: ServiceDoor, sight: Sight) -> Sight:
        """Link what is open, and return the sight of it, with a sentence where that cannot be now."""
        if not sight.is_open or sight.offered is None:
            return sight
        source = self._doors.get(sight.offered.instance)
        if source is None:
            return replace(sight, why=f"{sight.offered.service} is not served now")
        name, socket = sight.name, sight.offered.offer.socket
        inode = source.folder.offered(socket)
        if inode is not None and door.links.get(name) == Link(source.instance.id, inode):
            return sight
        try:
            token = self._mint.use(door.instance, sight.offered)
            inode = door.folder.link(name, source.folder, socket, token)
        except FairwayError as error:
            if isinstance(error, BadInput):
                self.denied.note(
                    sight.offered.service, "offer", name, str(error), now_ns=self._clock.now_ns()
                )
            is_there = inode is not None
            missing = f"{sight.offered.service} has no socket {socket} there yet"
            return replace(sight, why=str(error) if is_there else missing)
        door.links[name] = Link(source.instance.id, inode)
        log.info("offer_linked", offer=name, user=door.instance.id, by=source.instance.id)
        return sight

    def _note(self, door: ServiceDoor, before: tuple[Sight, ...]) -> None:
        """Note which uses the manifests deny, once for each time they come to do so."""
        known = {sight.denial for sight in before}
        for sight in door.sights:
            if sight.denial and sight.denial not in known:
                name = door.instance.service.name
                now_ns = self._clock.now_ns()
                self.denied.note(name, "call", sight.name, sight.denial, now_ns=now_ns)

    def _relink(self) -> None:
        """Settle again where a socket that is offered came, went or was made anew."""
        for door in self._doors.values():
            for sight in door.sights:
                if sight.offered is None or sight.is_own or not sight.offered.is_ready:
                    continue
                source = self._doors.get(sight.offered.instance)
                inode = source and source.folder.offered(sight.offered.offer.socket)
                link = door.links.get(sight.name)
                if inode != (link and link.inode):
                    self._settle()
                    return

    def _renew(self) -> None:
        for door in self._doors.values():
            try:
                door.folder.write(TOKEN, self._mint.own(door.instance))
                for sight in door.sights:
                    if sight.is_open and sight.offered is not None:
                        door.folder.renew(sight.name, self._mint.use(door.instance, sight.offered))
            except Unavailable as error:
                log.warning("token_not_renewed", instance=door.instance.id, reason=str(error))

    async def _tell_audit(self, *, is_last: bool = False) -> None:
        due = self.denied.due(now_ns=self._clock.monotonic_ns(), is_last=is_last)
        self._untold.extend(due)
        told = tuple(self._untold)
        if not told:
            return
        try:
            await asyncio.to_thread(self._audit.write, [_act(one) for one in told])
        except Unavailable as error:
            log.warning("audit_unavailable", waiting=len(told), reason=str(error))
            return
        for _ in told:
            self._untold.popleft()


def _act(denial: Denial) -> Act:
    kind = "offer" if denial.action in ("call", "offer") else "signal"
    return Act(
        f"{kind}.{denial.action.replace(' ', '_')}",
        f"service:{denial.service}",
        denial.what,
        "denied",
        denial.count,
        {"why": denial.why},
    )
