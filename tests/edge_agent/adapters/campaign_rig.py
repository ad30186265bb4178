"""The campaigns of an agent between blocks that a test makes and a cloud of a few lines, all in one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from edge_agent.adapters.campaigns_open import Around, CampaignParts
from edge_agent.adapters.delivery import Delivery
from edge_agent.adapters.memory import MemoryUplink
from edge_agent.adapters.spool_files import SpoolFiles
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.canbus.frames import block_of
from edge_agent.config import Bus, Config, Spool, Uplink, Vehicle
from edge_agent.telemetry.fetching import Fetcher
from fairway.campaign.document import campaign_of, sync_id
from fairway.clock import Clock, SystemClock
from fairway.control import (
    Answer,
    CampaignList,
    CampaignOrder,
    Catalogue,
    CheckIn,
    FromVehicle,
    StateReport,
    ToVehicle,
)
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fairway.telemetry import CampaignEvent, Dictionary, Outcome, Receipt, SealedBatch
from fairway.wire import telemetry as wire
from fairway.wire.control import from_vehicle_from_bytes, to_vehicle_to_bytes

VEHICLE = "CAR-1"
SPEED, BRAKE, GEAR = 0, 1, 2
TABLE = SignalTable(
    (
        Signal("Vehicle.Speed", unit="km/h"),
        Signal("Vehicle.Brake", Kind.BOOL),
        Signal("Vehicle.Gear", Kind.TEXT),
    )
)
NO_FRAMES = block_of([])


def order(document: dict[str, object], *, is_suspended: bool = False) -> CampaignOrder:
    """Return a campaign as the cloud orders it."""
    campaign = campaign_of(document)
    return CampaignOrder(sync_id(campaign), campaign, is_suspended)


def every(period_ms: int, name: str = "often", **more: object) -> dict[str, object]:
    """Return a time-based campaign that collects the speed."""
    scheme = {"timeBasedCollectionScheme": {"periodMs": period_ms}}
    signals = [{"name": "Vehicle.Speed"}]
    return {"name": name, "collectionScheme": scheme, "signalsToCollect": signals} | more


def when(expression: str, name: str = "braking", **more: object) -> dict[str, object]:
    """Return a condition-based campaign that collects the speed."""
    scheme = {"conditionBasedCollectionScheme": {"expression": expression}}
    signals = [{"name": "Vehicle.Speed"}]
    return {"name": name, "collectionScheme": scheme, "signalsToCollect": signals} | more


class Cloud:
    """Stores what comes, and keeps every word."""

    def __init__(self) -> None:
        self.said: list[FromVehicle] = []
        self.batches: list[tuple[SealedBatch, SampleBlock]] = []
        self.request_bytes = 0
        self.dictionaries: dict[bytes, Dictionary] = {}
        self.stores = True
        self.news = asyncio.Event()

    def telemetry(self, request: bytes) -> list[bytes]:
        """Take one TelemetryRequest."""
        self.request_bytes += len(request)
        content = wire.request_from_bytes(request, vehicle=VEHICLE)
        self.news.set()
        if isinstance(content, Dictionary):
            self.dictionaries[content.id] = content
            return []
        if not self.stores:
            return []
        name = content.name
        if any(sealed.name == name for sealed, _ in self.batches):
            outcome = Outcome.DUPLICATE
        else:
            outcome = Outcome.STORED
            table = self.dictionaries[content.dictionary_id].table
            self.batches.append((content, wire.opened(content, table)))
        return [wire.receipts_to_bytes([Receipt(name.stream, name.sequence, outcome)])]

    def control(self, request: bytes) -> list[bytes]:
        """Take one ControlRequest."""
        self.said.append(from_vehicle_from_bytes(request))
        self.news.set()
        return []

    def events(self, campaign: str = "") -> list[CampaignEvent]:
        """Return every event of a campaign ("": of all), as it came."""
        return [
            event
            for sealed, _ in self.batches
            if sealed.campaign is not None and campaign in ("", sealed.campaign.sync_id)
            for event in sealed.campaign.events
        ]

    def check_ins(self) -> list[CheckIn]:
        """Return what the vehicle said it runs."""
        return [one for one in self.said if isinstance(one, CheckIn)]

    def answers(self) -> list[Answer]:
        """Return the answers to commands."""
        return [one for one in self.said if isinstance(one, Answer)]

    def reports(self) -> list[StateReport]:
        """Return last known states."""
        return [one for one in self.said if isinstance(one, StateReport)]

    def catalogues(self) -> list[Catalogue]:
        """Return catalogues."""
        return [one for one in self.said if isinstance(one, Catalogue)]


class Rig:
    """Campaigns that run."""

    def __init__(
        self,
        parts: CampaignParts,
        uplink: MemoryUplink,
        delivery: Delivery,
        cloud: Cloud,
        clock: Clock,
    ) -> None:
        self.parts, self.uplink, self.delivery = parts, uplink, delivery
        self.cloud, self.clock = cloud, clock

    def say(self, noun: ToVehicle) -> None:
        """Have the cloud say something."""
        self.uplink.order(to_vehicle_to_bytes(noun))

    async def run_campaigns(self, *orders: CampaignOrder, revision: int = 1) -> None:
        """Order campaigns, and wait until the vehicle says that it runs them."""
        self.say(CampaignList(revision, orders))
        await self.until(
            lambda: any(one.campaigns_revision == revision for one in self.cloud.check_ins())
        )

    def drive(self, *values: float, signal: int = SPEED, text: str = "") -> None:
        """Feed values of a signal, stamped now, a millisecond apart."""
        count = len(values)
        times = self.clock.now_ns() - 1_000_000 * np.arange(count - 1, -1, -1, dtype=np.int64)
        self.parts.take(
            SampleBlock(
                TABLE,
                np.full(count, signal, np.int32),
                times,
                np.array(values, np.float64),
                (text,) if text else (),
            ),
            NO_FRAMES,
        )

    async def until(self, done, within_s: float = 20) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(within_s):
            while not done():
                self.cloud.news.clear()
                try:
                    async with asyncio.timeout(0.05):
                        await self.cloud.news.wait()
                except TimeoutError:
                    pass

    async def connected(self) -> None:
        """Wait for the first word."""
        await self.until(lambda: bool(self.cloud.check_ins()))


def config(folder: Path, **settings: object) -> Config:
    """Return settings of an agent whose bus is a test."""
    return Config(
        vehicle=Vehicle(VEHICLE),
        bus=(Bus("can0", (), source="unix:none"),),
        spool=Spool(folder / "spool"),
        uplink=Uplink(url="mqtts://nowhere"),
        **settings,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def rig(
    settings: Config,
    cloud: Cloud | None = None,
    *,
    clock: Clock | None = None,
    fetcher: Fetcher | None = None,
    has_door: bool = True,
) -> AsyncIterator[Rig]:
    """Run campaigns until the block ends, in order."""
    cloud, clock = cloud or Cloud(), clock or SystemClock()
    spool = SpoolWorker(SpoolFiles(settings.spool.dir, max_bytes=settings.spool.max_bytes))
    parts = CampaignParts(settings, Around(spool, TABLE, clock, fetcher))
    uplink = MemoryUplink(cloud.telemetry, cloud.control if has_door else None)
    delivery = Delivery(
        spool,
        uplink,
        clock,
        where="memory",
        lanes=parts.partitions,
        purse=parts.purse,
        beside=parts.connect(uplink).run,
    )
    parts.partitions.written = delivery.wake
    parts.is_connected = lambda: delivery.is_connected
    tasks = [asyncio.create_task(delivery.run()), asyncio.create_task(parts.run())]
    try:
        yield Rig(parts, uplink, delivery, cloud, clock)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.finish()
        await parts.close()
        await spool.close()
