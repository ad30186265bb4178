"""Looks for orders: drives the verification of both repositories, plans what it says, and tells the cloud.

    due, or a notice > metadata, verified file by file > Plan > planner > Updates.take
                                   '-> Refusal: an attack, told in the next report
    events > told > forgotten        what the vehicle holds > signed > report

Rule 1: what was verified is kept whether or not the look came to its end.
Rule 2: a plan that names the order under way changes nothing, said as often as one likes; one that does not
        withdraws it, while that costs nothing.
Rule 3: what cannot be told now is told at the next look; nothing is lost, and nothing waits for it.
Rule 4: where nothing was ever published nothing is dropped; once something was, its absence is an attack.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edge_agent.adapters.updates import Updates
from edge_agent.adapters.updates_around import Around
from edge_agent.updates import telling
from edge_agent.updates.acts import Failed
from edge_agent.updates.fetching import Attacked
from edge_agent.updates.life import Event, Step, moved
from edge_agent.updates.order import Kept
from edge_agent.updates.planner import Means, Nothing, order_of, token_of
from edge_agent.updates.ports import Bases, Metadata, Reports
from fairway import log
from fairway.crypto import Signer
from fairway.errors import BadInput, Conflict, FairwayError, Tampered, Unavailable
from fairway.update import UpdateEvent
from ota.registration import Registered
from ota.report_json import report_to_signed
from ota.trust.kept import Kept as Trusted
from ota.trust.kept import committed
from ota.trust.model import Assigned, Attack, Plan, Refusal, Repository, UpToDate, Vehicle
from ota.trust.refresh import Refresh

EVENTS = log.get("edge_agent.updates")

# So that a fleet that was switched on together does not ask together.
JITTER = 0.2
TOLD_AT_ONCE = 100
TIMESTAMP = "timestamp"


class TrustStore(Protocol):
    """What is trusted, kept between looks.  Contract: tests/contracts/test_trust_store.py."""

    def read(self) -> Trusted:
        """Return what is kept.  Raises Unavailable, BadInput."""
        ...

    def keep(self, kept: Trusted) -> None:
        """Replace it whole, and return once that is durable.  Raises Unavailable."""
        ...


class Registering(Reports, Protocol):
    """Reports, and who reports."""

    async def register(self, ecus: Sequence[Registered]) -> None:
        """Make the vehicle's ECUs known.  Raises Unavailable, also until a person accepts them; BadInput."""
        ...


@dataclass(frozen=True, slots=True)
class Cloud:
    """The cloud's side, and who we are to it."""

    metadata: Metadata
    reports: Registering
    trust: TrustStore
    vehicle: Vehicle
    signer: Callable[[], Signer]
    poll_s: float = 300.0
    chance: Callable[[], float] = random.random


def raised(trust: TrustStore, assigned: Sequence[Assigned]) -> None:
    """Raise the release counters of what was committed, durably.  Raises Unavailable."""
    trust.keep(committed(trust.read(), tuple(assigned)))


class Looks:
    """Looks now and then; `run` it as a task."""

    def __init__(self, updates: Updates, around: Around, cloud: Cloud) -> None:
        self._updates, self._around, self._cloud = updates, around, cloud
        self._wake, self._is_due = asyncio.Event(), False
        self._is_registered = False
        # What is new is told at once; after the end of an order it is also asked what comes next.
        updates.has_news, updates.over_with = self._wake.set, self.soon
        self.step, self.trouble = Step.IDLE, ""  # of the last look
        self.looks = self.refusals = 0

    def soon(self) -> None:
        """Look at once: somebody says that there is something new."""
        self._is_due = True
        self._wake.set()

    async def run(self) -> None:
        """Look now and then, and tell what there is to tell at once, until cancelled."""
        while True:
            self._is_due = False
            await self.look()
            pause_s = self._cloud.poll_s * (1 - JITTER + 2 * JITTER * self._cloud.chance())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._until_due()

    async def _until_due(self) -> None:
        while not self._is_due:
            await self._wake.wait()
            self._wake.clear()
            with contextlib.suppress(Unavailable, BadInput):  # the next look says what is wrong
                await self.tell()

    async def look(self) -> None:
        """Look once, and tell what there is to tell."""
        self.looks += 1
        self.step = moved(Step.IDLE, Event.DUE)
        trouble = ""
        try:
            await self._register()
            await self.tell()
            trouble = await self._take(await self._verdict())
            await self.tell()
        except (Unavailable, Conflict, BadInput) as error:
            trouble = str(error)
        if trouble != self.trouble and trouble:
            EVENTS.warning("updates_not_looked", reason=trouble)
        self.step, self.trouble = Step.IDLE, trouble

    async def _verdict(self) -> Plan | UpToDate | Refusal:
        """Return what both repositories say.  Raises Unavailable."""
        trust = self._cloud.trust
        before = await asyncio.to_thread(trust.read)
        refresh = Refresh(before, self._cloud.vehicle, self._around.clock.now_ns())
        try:
            return await self._driven(refresh)
        except Tampered as error:
            attack = error.attack if isinstance(error, Attacked) else Attack.ARBITRARY_SOFTWARE
            return Refusal(attack, "the cloud", str(error))
        finally:
            if refresh.kept != before:
                await asyncio.to_thread(trust.keep, refresh.kept)

    async def _driven(self, refresh: Refresh) -> Plan | UpToDate | Refusal:
        steps = refresh.steps()
        try:
            wanted = next(steps)
            while True:
                content = await self._cloud.metadata.get(wanted)
                self.step = moved(self.step, Event.ANSWERED)
                wanted = steps.send(content)
                self.step = moved(self.step, Event.MORE)
        except StopIteration as end:
            verdict: Plan | UpToDate | Refusal = end.value
            return verdict

    async def _take(self, verdict: Plan | UpToDate | Refusal) -> str:
        """Do what follows from a verdict; return what is wrong with it, for people."""
        if isinstance(verdict, Refusal):
            if (empty := await self._empty(verdict)) is not None:
                return f"nothing is published yet in the {empty} repository"
            await self._refuse(verdict)
            return str(verdict)
        await self._ordered(verdict)
        return ""

    async def _empty(self, refusal: Refusal) -> Repository | None:
        """Return the repository in which nothing was ever seen, if that is all there is to refuse."""
        roles = (await asyncio.to_thread(self._cloud.trust.read)).roles
        for one in Repository:
            is_meant = refusal.where == f"{one}/{TIMESTAMP}.json"
            if is_meant and refusal.attack is Attack.DROP_REQUEST and (one, TIMESTAMP) not in roles:
                return one
        return None

    async def _ordered(self, verdict: Plan | UpToDate) -> None:
        order = self._updates.kept.order
        if isinstance(verdict, UpToDate):
            if order is not None:
                await self._updates.withdraw("the cloud has taken the update back")
            return
        action = verdict.action or f"director-{verdict.director_version}"
        if order is not None:
            if order.token == token_of(action, verdict):
                return
            if not await self._updates.withdraw(f"the cloud wants {action} instead"):
                return  # it is looked at again when this one is over
            await self._updates.over()
        await self._plan(action, verdict)

    async def _plan(self, action: str, plan: Plan) -> None:
        self.step = Step.PLAN
        held = await self.held()
        means = await self._with_bases(self._around.means(), held)
        now_ns = self._around.clock.now_ns()
        planned = order_of(plan, held, self._updates.kept, means, now_ns=now_ns)
        if isinstance(planned, Nothing):
            return
        if isinstance(planned, Failed):
            why = planned
            await self._updates.keep(
                lambda kept: telling.refused(
                    kept, action, plan.director_version, why.fault, why.sentence, now_ns=now_ns
                )
            )
            EVENTS.warning("update_refused", action=action, fault=why.fault, reason=why.sentence)
            return
        await self._updates.take(planned)

    async def _refuse(self, refusal: Refusal) -> None:
        self.refusals += 1
        EVENTS.error(
            "update_not_trusted",
            attack=refusal.attack,
            where=refusal.where,
            reason=refusal.sentence,
        )

        def noted(kept: Kept) -> Kept:
            attacks = (*(one for one in kept.attacks if one is not refusal.attack), refusal.attack)
            return replace(kept, attacks=attacks, is_report_due=True)

        await self._updates.keep(noted)

    async def held(self) -> dict[str, str]:
        """Return what each ECU says that it holds."""
        found = dict[str, str]()
        for ecu in self._cloud.vehicle.ecus:
            installer = self._around.installers.get(ecu.serial)
            found[ecu.serial] = ""
            if installer is not None:
                with contextlib.suppress(FairwayError, OSError):
                    found[ecu.serial] = await installer.probe(ecu)
        return found

    async def _with_bases(self, means: Means, held: dict[str, str]) -> Means:
        """Return the means with the images whose bytes can be read here."""
        bases = set(means.bases)
        for ecu in self._cloud.vehicle.ecus:
            shows: object = self._around.installers.get(ecu.serial)
            if held.get(ecu.serial) and isinstance(shows, Bases):
                with contextlib.suppress(FairwayError):
                    if await shows.base(ecu) is not None:
                        bases.add(held[ecu.serial])
        return replace(means, bases=frozenset(bases))

    # telling

    async def _register(self) -> None:
        """Make the ECUs known, once: who does not wait for a person is known at once."""
        if self._is_registered or self._updates.kept.reports:
            return
        vehicle = self._cloud.vehicle
        ecus = [
            Registered(one.serial, one.hardware_id, is_primary=one.serial == vehicle.primary)
            for one in vehicle.ecus
        ]
        await self._cloud.reports.register(ecus)
        self._is_registered = True

    async def tell(self) -> None:
        """Tell what there is to tell.  Raises Unavailable."""
        while events := self._updates.kept.events[:TOLD_AT_ONCE]:
            await self._told(events)
            newest = events[-1].sequence
            await self._updates.keep(lambda kept, newest=newest: telling.told(kept, newest))  # type: ignore[misc]
        if self._updates.kept.is_report_due and self._updates.kept.order is None:
            await self._report()

    async def _told(self, events: Sequence[UpdateEvent]) -> None:
        """Tell events; one that the cloud will never take does not hold up the others."""
        try:
            await self._cloud.reports.tell(events)
        except BadInput as error:
            if len(events) == 1:
                EVENTS.error("update_event_refused", action=events[0].action, reason=str(error))
                return
            for one in events:
                await self._told([one])

    async def _report(self) -> None:
        # The counter is used up before it is sent: a report that was sent and not heard of is never sent again.
        await self._updates.keep(lambda kept: replace(kept, reports=kept.reports + 1))
        kept, trusted = self._updates.kept, await asyncio.to_thread(self._cloud.trust.read)
        report = telling.report_of(
            kept,
            self._cloud.vehicle,
            await self.held(),
            time_ns=trusted.time_ns,
            means=self._around.means(),
        )
        signed = await asyncio.to_thread(report_to_signed, report, self._cloud.signer())
        await self._cloud.reports.report(signed)
        sent = kept.attacks
        await self._updates.keep(
            lambda now: replace(
                now,
                is_report_due=now.done != kept.done,
                attacks=tuple(one for one in now.attacks if one not in sent),
            )
        )

    async def heed(self, url: str, revision: int) -> None:
        """Take a notice of the cloud.  Raises Unavailable when it cannot be kept."""
        await self._updates.keep(
            lambda kept: replace(kept, notice=max(kept.notice, revision), url=url or kept.url)
        )
        self.soon()
