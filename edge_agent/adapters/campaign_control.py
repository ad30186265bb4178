"""The control door: what the vehicle runs goes up, what it is to run and to answer comes down.

    connected > check in > [ lists, templates, commands come | check-ins, answers, reports go ] > lost

Rule 1: the vehicle checks in when it connects, when what it runs has changed, when it stops, and every so
        often; when counts alone have changed, every COUNTS_INTERVAL_S.
Rule 2: nothing is kept for a cloud that is away: on the next connection the check-in says all.
Rule 3: a cloud without this door is said once; its telemetry goes on.
"""

import asyncio
import contextlib
from dataclasses import replace

from edge_agent.adapters.campaign_orders import CampaignOrders
from edge_agent.telemetry.lanes import Purse, paid
from edge_agent.telemetry.uplink import ControlDoor
from fairway import log
from fairway.clock import NS_PER_S, Clock
from fairway.control import (
    Catalogue,
    CatalogueWanted,
    CheckIn,
    FromVehicle,
    ToVehicle,
)
from fairway.errors import BadInput, FairwayError
from fairway.wire.control import from_vehicle_to_bytes, to_vehicle_from_bytes

EVENTS = log.get("edge_agent.control")

# What changes together is told together.
CHANGE_PAUSE_S = 0.1
# Counts that move are told no more often.
COUNTS_INTERVAL_S = 10.0
# What was handed over last leaves this machine within so long, or not at all.
FAREWELL_S = 0.2


class CampaignControl:
    """The conversation; `run` it beside each connection."""

    def __init__(
        self,
        door: ControlDoor,
        orders: CampaignOrders,
        clock: Clock,
        *,
        interval_s: float,
        purse: Purse,
    ) -> None:
        """`purse` pays for reports of states; what it does not pay for is left out."""
        self._door, self._orders, self._clock = door, orders, clock
        self._interval_ns = round(interval_s * NS_PER_S)
        self._purse = purse
        self._has_changed = asyncio.Event()
        self._is_silent = self._is_talking = False
        self.check_ins = 0

    def changed(self) -> None:
        """Check in soon."""
        self._has_changed.set()

    async def run(self) -> None:
        """Talk until the connection is lost.  Raises Unavailable or Denied."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._hear())
                tasks.create_task(self._check_in())
                tasks.create_task(self._report())
        except* BadInput as errors:
            if not self._is_silent:
                self._is_silent = True
                reason = str(errors.exceptions[0])
                EVENTS.warning("no_campaigns_from_this_cloud", reason=reason)
        except* FairwayError as errors:
            raise errors.exceptions[0] from None
        finally:
            self._is_talking = False
        await asyncio.Event().wait()

    async def _send(self, noun: FromVehicle) -> None:
        await self._door.send_control(from_vehicle_to_bytes(noun))

    async def farewell(self) -> None:
        """Say how everything stands at the end, if anybody listens, and give it time to leave."""
        if self._is_talking:
            with contextlib.suppress(FairwayError):
                await self._send(self._orders.check_in())
                await asyncio.sleep(FAREWELL_S)

    async def _check_in(self) -> None:
        while True:
            self._has_changed.clear()
            check_in = self._orders.check_in()
            await self._send(check_in)
            self._is_talking = True
            self.check_ins += 1
            await self._until_news(check_in)

    async def _until_news(self, told: CheckIn) -> None:
        """Wait until something has changed since `told`, counts for a while, or it is time again."""
        again_ns = self._clock.monotonic_ns() + self._interval_ns
        while (left_s := (again_ns - self._clock.monotonic_ns()) / NS_PER_S) > 0:
            try:
                async with asyncio.timeout(min(left_s, COUNTS_INTERVAL_S)):
                    await self._has_changed.wait()
            except TimeoutError:
                if _counted(self._orders.check_in()) != _counted(told):
                    return
                continue
            await asyncio.sleep(CHANGE_PAUSE_S)
            if not _same(self._orders.check_in(), told):
                return
            self._has_changed.clear()

    async def _hear(self) -> None:
        while True:
            message = await self._door.receive_control()
            try:
                said = to_vehicle_from_bytes(message)
            except BadInput as error:
                EVENTS.warning("order_unreadable", reason=str(error))
                continue
            await self._heard(said)

    async def _heard(self, said: ToVehicle) -> None:
        if isinstance(said, CatalogueWanted):
            await self._send(Catalogue(self._orders.campaigns.dictionary))
            return
        for answer in await self._orders.take(said):
            await self._send(answer)

    async def _report(self) -> None:
        """Tell last known states."""
        while True:
            await self._orders.until_report()
            for report in self._orders.reports():
                message = from_vehicle_to_bytes(report)
                if await paid(self._purse, len(message)):
                    await self._door.send_control(message)


def _same(one: CheckIn, other: CheckIn) -> bool:
    """Whether two check-ins differ in nothing but time and counts."""
    return _essence(one) == _essence(other)


def _essence(check_in: CheckIn) -> CheckIn:
    campaigns = tuple(
        replace(
            one,
            triggers=0,
            samples=0,
            sent_bytes=0,
            waiting_bytes=0,
            dropped_samples=0,
            held_back_bytes=int(one.held_back_bytes > 0),
        )
        for one in check_in.campaigns
    )
    services = tuple(replace(one, restarts=0) for one in _counted(check_in).services)
    return replace(check_in, time_ns=0, campaigns=campaigns, services=services)


def _counted(check_in: CheckIn) -> CheckIn:
    """Leave out what may move without end: how often a service is denied the same; a new thing counts."""
    services = tuple(replace(one, denials=(), denied=len(one.denials)) for one in check_in.services)
    return replace(check_in, time_ns=0, services=services)
