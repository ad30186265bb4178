"""Puts the edge agent together, top to bottom in the order data flows.

    sources > decoder > mapping > collection > batches > spool > uplink > cloud
              '-------------- sampling --------------'       '-- delivery --'
                           |----> campaigns (campaigns_open.py) > partitions --'
                           '----> the vehicle's data <> door (onboard.py) <> apps in the vehicle
    sources < frames of the allow-list < actuators (acting.py) <-----'

Rule 1: what can be known to be wrong is said before anything runs: files, databases, certificates.
Rule 2: a cloud that cannot be reached is no error: the spool is for that.
Rule 3: at a cloud of FleetWise what is decoded comes from there: when that changes, everything begins anew.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Sequence

from edge_agent.adapters.campaigns_open import Around, CampaignParts
from edge_agent.adapters.clock_watch import watch_clock
from edge_agent.adapters.delivery import Delivery
from edge_agent.adapters.ecu_buses import EcuBuses
from edge_agent.adapters.identity_files import identity_target
from edge_agent.adapters.log_replay import LogReplay
from edge_agent.adapters.merge import Merged
from edge_agent.adapters.metrics_http import MetricsServer, Status
from edge_agent.adapters.onboard import Opened, open_onboard
from edge_agent.adapters.patience import Patient
from edge_agent.adapters.pipelines import open_pipeline, resumption
from edge_agent.adapters.renewal import identity_renewal
from edge_agent.adapters.sampling import LOOK_INTERVAL_NS, Limits, Pipeline, Sampling
from edge_agent.adapters.services_wired import ServiceParts, services_for, with_their_signals
from edge_agent.adapters.sources import open_source
from edge_agent.adapters.spool_files import SpoolFiles
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.adapters.summary import Summary, summary_of
from edge_agent.adapters.tap import Tapped
from edge_agent.adapters.updates_wired import UpdateRunner, updates_for, with_update_signals
from edge_agent.adapters.uplink_tls import Address, address, guarded
from edge_agent.adapters.uplinks import CloudUplink, open_foreign, open_uplink
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.mapping import Mapping
from edge_agent.canbus.source import FrameSource
from edge_agent.config import Config, Replay
from edge_agent.diagnostics.fetcher import Fetcher
from edge_agent.telemetry.batching import Sealing
from fairway import log
from fairway.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from fairway.errors import BadInput
from fairway.samples import SampleBlock
from fairway.signals import Dictionary
from fairway.wire.telemetry import dictionary_to_bytes

EVENTS = log.get("edge_agent")

SERVICES_RUN_S = 60.0


def run(config: Config, *, until_drained: bool = False) -> Summary:
    """Run the agent until it is told to stop; `until_drained`: until finite sources are in the cloud.

    Raises BadInput, Conflict or Unavailable when it cannot start.
    """
    while True:
        summary = asyncio.run(_run(config, until_drained=until_drained))
        if summary is not None:
            return summary


async def _run(config: Config, *, until_drained: bool) -> Summary | None:
    """Return what a run did; None: it is to begin anew, with what the cloud has said."""
    clock = SystemClock()
    target = _target(config)
    side = open_foreign(config, target, clock)
    said = await side.databases() if side else {}
    pipeline, dictionary, catalog, plan = open_pipeline(config, said)
    uplink: CloudUplink | None = side.uplink if side else None
    if side is None and target is not None:
        uplink = open_uplink(target, vehicle=config.vehicle.id)
    onboard = open_onboard(
        config,
        pipeline.mapping,
        plan,
        with_update_signals(config, with_their_signals(config, catalog)),
        clock,
        is_for_services=bool(config.services or config.updates),
    )
    if until_drained and uplink is None:
        raise BadInput("there is no [uplink]: nothing can be drained")
    spool = SpoolWorker(
        SpoolFiles(
            config.spool.dir, max_bytes=config.spool.max_bytes, when_full=config.spool.when_full
        )
    )
    try:
        spool.spool.keep_dictionary(dictionary.id, dictionary_to_bytes(dictionary))
        ecus = EcuBuses(config.ecu, [bus.name for bus in config.bus], clock)
        fetcher = Fetcher(ecus) if config.ecu else None
        campaigns = CampaignParts(config, Around(spool, pipeline.mapping.table, clock, fetcher))
        takers = [campaigns.take] if onboard is None else [onboard.feed.take, campaigns.take]
        pipeline.mapped = _each(takers)
        pipeline.due_ns = campaigns.due_ns
        delivery = _delivery(spool, uplink, clock, str(target), campaigns) if uplink else None
        services = await services_for(config, onboard, clock, campaigns, target)
        updates = updates_for(config, onboard, clock, campaigns, target, services)
        agent = _Agent(
            config,
            clock,
            pipeline,
            dictionary,
            spool,
            delivery=delivery,
            campaigns=campaigns,
            ecus=ecus,
            onboard=onboard,
            services=services,
            updates=updates,
            changed=side.changed if side else _never,
        )
        try:
            return await agent.run(until_drained=until_drained)
        finally:
            await campaigns.close()
            if updates is not None:
                updates.close()
            if services is not None:
                await services.close()
    finally:
        await spool.close()


async def _never() -> None:
    await asyncio.Event().wait()


def _each(
    takers: Sequence[Callable[[SampleBlock, FrameBlock], None]],
) -> Callable[[SampleBlock, FrameBlock], None]:
    def take(block: SampleBlock, frames: FrameBlock) -> None:
        for one in takers:
            one(block, frames)

    return take


def _delivery(
    spool: SpoolWorker, uplink: CloudUplink, clock: Clock, where: str, campaigns: CampaignParts
) -> Delivery:
    """Return what carries the lanes of the agent, and its campaigns' conversation beside them."""
    delivery = Delivery(
        spool,
        uplink,
        clock,
        where=where,
        lanes=campaigns.partitions,
        purse=campaigns.purse,
        beside=campaigns.connect(uplink).run,
    )
    campaigns.partitions.written = delivery.wake
    campaigns.is_connected = lambda: delivery.is_connected
    return delivery


def _target(config: Config) -> Address | None:
    uplink = config.uplink
    if uplink is None:
        return None
    if config.identity is not None:
        target = identity_target(config.identity.folder, uplink.url, config.vehicle.id)
    else:
        target = address(uplink.url, ca=uplink.ca, certificate=uplink.certificate, key=uplink.key)
    return guarded(
        target,
        region=config.vehicle.region,
        hosts=uplink.region_hosts,
        tls_min=uplink.tls_min,
    )


class _Agent:
    """One run."""

    def __init__(  # noqa: PLR0913 - a run has that many parts
        self,
        config: Config,
        clock: Clock,
        pipeline: Pipeline,
        dictionary: Dictionary,
        spool: SpoolWorker,
        *,
        delivery: Delivery | None,
        campaigns: CampaignParts,
        ecus: EcuBuses,
        onboard: Opened | None,
        services: ServiceParts | None,
        updates: UpdateRunner | None,
        changed: Callable[[], Coroutine[None, None, None]],
    ) -> None:
        self._config, self._clock, self._spool = config, clock, spool
        self._feed = onboard.feed if onboard else None
        self._door = onboard.door if onboard else None
        self._actuators = onboard.actuators if onboard else None
        self._mapping: Mapping = pipeline.mapping
        self._delivery, self._campaigns, self._ecus = delivery, campaigns, ecus
        self._renewal = (
            identity_renewal(config.identity.folder, clock, delivery.reconnect)
            if config.identity is not None and delivery is not None
            else None
        )
        replay_id, skip = resumption(config, dictionary, spool.spool.cursor)
        self._sampling = Sampling(
            pipeline,
            spool,
            Sealing(
                config.vehicle.id,
                spool.spool.stream,
                dictionary.id,
                config.telemetry.batch_max_bytes,
                replay_id,
            ),
            self._limits(),
            clock,
            skip_samples=skip,
            spooled=self._delivery.wake if self._delivery else lambda: None,
            until_room=campaigns.until_room,
        )
        self._sources: list[FrameSource] = []
        self._stopping, self._changed = asyncio.Event(), changed
        self._services, self._updates = services, updates

    def _limits(self) -> Limits:
        telemetry, spool = self._config.telemetry, self._config.spool
        can_wait = self._config.replay is not None and self._config.replay.speed == "max"
        return Limits(
            max_samples=telemetry.batch_max_samples,
            max_age_ns=telemetry.batch_max_age_ms * NS_PER_MS,
            fsync_interval_ns=spool.fsync_interval_ms * NS_PER_MS,
            hold_up_bytes=spool.max_bytes // 2 if can_wait and self._delivery else None,
            look_interval_ns=0 if can_wait else LOOK_INTERVAL_NS,
        )

    async def run(self, *, until_drained: bool) -> Summary | None:
        """Run until stopped, or drained; None: what there is to run has changed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        metrics = MetricsServer(self.status)
        if self._config.metrics.listen is not None:
            port = await metrics.start(self._config.metrics.listen)
            EVENTS.info("metrics_listen", port=port)
        if self._door is not None:
            await self._door.start()
        EVENTS.info(
            "started",
            vehicle=self._config.vehicle.id,
            stream=self._spool.spool.stream,
            signals=len(self._mapping.table),
            waiting_batches=self._spool.spool.state.waiting,
        )
        carriers = (self._renewal, self._delivery, self._actuators, self._campaigns)
        more = (self._services, self._updates)
        carrying = [asyncio.create_task(one.run()) for one in (*carriers, *more) if one is not None]
        working = asyncio.create_task(self._work(until_drained=until_drained))
        stopping = asyncio.create_task(self._stopping.wait())
        watching = asyncio.create_task(watch_clock(self._clock))
        changing = asyncio.create_task(self._changed())
        tasks = [working, stopping, *carrying, watching, changing]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Samples first: their batch goes to the spool.  Nothing waits for the cloud.
            await _ended(working)
            await self._sampling.finish()
            await self._campaigns.finish()
            for source in self._sources:
                source.close()
            await _ended(stopping)
            await _ended(watching)
            has_changed = changing.done()
            await _ended(changing)
            for carrier in carrying:
                await _ended(carrier)
            if self._door is not None:
                await self._door.stop()
            await metrics.stop()
        for task in tasks:
            if not task.cancelled() and task.exception() is not None:
                task.result()
        if has_changed and not self._stopping.is_set():
            return None
        vehicle, stream = self._config.vehicle.id, self._spool.spool.stream
        return summary_of(vehicle, stream, self.status(), self._mapping)

    async def _work(self, *, until_drained: bool) -> None:
        if (
            self._services is not None
            and self._config.replay
            and self._config.replay.after_services
        ):
            await self._services.until_running(SERVICES_RUN_S)
        await self._sample()
        await self._sampling.finish()
        await self._campaigns.finish()
        if self._feed is not None:
            self._feed.end()
        EVENTS.info("sources_ended", samples=self._sampling.counts.samples)
        if not until_drained:
            await asyncio.Event().wait()
        while self._spool.spool.state.waiting:
            await self._spool.until_settled()
        await self._campaigns.until_drained()

    async def _sample(self) -> None:
        replay = self._config.replay
        if replay is not None and replay.speed != "max" and self._sampling.is_catching_up:
            fast = self._log(replay, speed=None)
            self._sources = [fast]
            await self._sampling.catch_up(fast)
            fast.close()
            self._sources = self._opened(start_at=fast.position)
        else:
            self._sources = self._opened(start_at=0)
        source = self._sources[0] if len(self._sources) == 1 else Merged(self._sources)
        await self._sampling.run(Tapped(source, self._ecus.take))

    def _opened(self, *, start_at: int) -> list[FrameSource]:
        """Open every source: the log once, for all the buses it stands for."""
        replay, sources = self._config.replay, list[FrameSource]()
        if replay is not None:
            speed = None if replay.speed == "max" else replay.speed
            sources.append(self._log(replay, speed=speed, start_at=start_at))
        for number, bus in enumerate(self._config.bus):
            if bus.source is not None:
                source = open_source(bus.source, name=bus.name, bus=number)
                patient = Patient(source, bus.name, self._clock)
                sources.append(patient)
                if self._actuators is not None:
                    self._actuators.connect(number, patient)
                self._ecus.connect(number, patient)
        return sources

    def _log(self, replay: Replay, *, speed: float | None, start_at: int = 0) -> LogReplay:
        channels = {
            bus.name: number for number, bus in enumerate(self._config.bus) if bus.source is None
        }
        return LogReplay(replay.log, channels, speed=speed, start_at=start_at, clock=self._clock)

    def status(self) -> Status:
        """Return everything there is to tell."""
        delivery, oldest_ns = self._delivery, None
        if delivery is not None:
            oldest_ns = delivery.oldest_time_ns()
        age_ns = 0 if oldest_ns is None else max(0, self._clock.now_ns() - oldest_ns)
        return Status(
            sampling=self._sampling.counts,
            spool=self._spool.spool.state,
            uplink=delivery.sending.counts if delivery else None,
            is_connected=bool(delivery and delivery.is_connected),
            connections=delivery.connections if delivery else 0,
            oldest_age_s=age_ns / NS_PER_S,
            dropped_frames=self._dropped(),
            certificate_left_s=self._renewal.left_s() if self._renewal else None,
            onboard=self._door.counts if self._door else None,
            data=self._feed.data.numbers() if self._feed else None,
            campaigns=self._campaigns.statuses.numbers(),
            services=self._services.supervisor.numbers() if self._services else None,
            updates=self._updates.numbers() if self._updates else None,
        )

    def _dropped(self) -> tuple[tuple[str, int], ...]:
        live = [bus.name for bus in self._config.bus if bus.source is not None]
        names = (["replay"] if self._config.replay else []) + live
        return tuple(
            (name, source.dropped) for name, source in zip(names, self._sources, strict=False)
        )


async def _ended(task: "asyncio.Task[object]") -> None:
    """Cancel a task and wait until it has ended; how it ended is looked at later."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait([task])
