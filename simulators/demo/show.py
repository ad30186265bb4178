"""One demo from start to end: set the stage, drive, watch, let everything arrive, count.

cloud up, release signed -> buses open -> vehicles registered, agents up -> drive, an update comes ...
    -> agents drained -> summary
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

from fairway.clock import NS_PER_S, Clock, SystemClock
from fairway.errors import Unavailable
from simulators.demo import campaign, http, traffic, update, watch
from simulators.demo.stage import PERSON, Stage
from simulators.demo.summary import Summary, percentile

# What is on its way when the drive ends: a batch of half a second, a group commit, a resend on a busy machine.
DRAIN_S = 30.0
# An agent loads its databases and connects in one or two seconds; on two busy cores in five.
JOIN_S = 60.0
_STEP_S = 1.0
# Without --seconds, what came so far is told once after this long; then the demo stays up.
_FIRST_SUMMARY_S = 20.0
_STAYING = "driving on; Ctrl-C ends the demo"

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Options:
    """What to show."""

    folder: Path
    vehicles: int
    seconds: float | None  # None: until interrupted
    api: str  # host:port
    uplink: str  # mqtt or grpc


@dataclass(frozen=True, slots=True)
class Look:
    """The demo at one moment, all agents together."""

    frames: int  # received by agents
    dropped: int
    signals: int
    samples: int  # durable in spools
    campaign_samples: int  # of the campaign's events
    waiting: int  # batches without a receipt
    batch_bytes: int
    rows: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it."""

    look: Look
    campaign: campaign.Brought
    update: update.Updated


async def run(options: Options, out: TextIO) -> Summary:
    """Run the demo; `out` is told how it goes.  Raises Unavailable when a program fails."""
    clock = SystemClock()
    stage = Stage(options.folder, options.api, options.uplink)
    stop = _stop_event()
    print("starting the cloud ...", file=out, flush=True)
    cars: list[traffic.Car] = []
    try:
        rollout = await _unless(stop, _set_up(stage, cars, options, clock, out))
        latencies = watch.Latencies()
        began_ns = clock.monotonic_ns()
        async with _task(latencies.listen(stage.api, stage.key(), clock)):
            async with _to_its_end(rollout.run(), stop):
                async with _task(traffic.run(cars, clock)):
                    if options.seconds is None:
                        await _driving(stage, _FIRST_SUMMARY_S, stop, out, latencies)
                        if not stop.is_set():
                            came = Came(await _look(stage), *await _brought(stage, rollout))
                            so_far = _summary(
                                cars, came, latencies, _FIRST_SUMMARY_S, is_over=False
                            )
                            print(f"{so_far.as_text()}\n{_STAYING}", file=out, flush=True)
                    await _driving(stage, options.seconds, stop, out, latencies)
                drove_s = (clock.monotonic_ns() - began_ns) / NS_PER_S
            look = await _drained(stage, sum(car.bus.sent for car in cars))
            came = Came(look, *await _brought(stage, rollout))
        return _summary(cars, came, latencies, drove_s, is_over=True)
    finally:
        await traffic.close(cars)
        await stage.close()


async def _set_up(
    stage: Stage, cars: list[traffic.Car], options: Options, clock: Clock, out: TextIO
) -> update.Rollout:
    """Start the cloud and the agents of all cars, which are put into `cars`; return what they are to get."""
    releases = update.Releases(options.folder)
    await asyncio.gather(stage.open_cloud(), releases.build())
    print(f"  API    {stage.api}        documentation {stage.api}/docs", file=out)
    print(f'         curl -H "Authorization: Bearer $(cat {stage.key_file})" URL', file=out)
    if stage.is_here:
        await stage.add_person()
        print(
            f"         people sign in by OIDC there: {PERSON}, password in {stage.password_file}",
            file=out,
        )
    cars += traffic.make_cars(options.vehicles, options.folder, clock)
    for car in cars:
        await car.front.open()
    await stage.open_agents(cars, releases.root)
    vins = [car.vehicle.vin for car in cars]
    rollout = update.Rollout(stage, releases, vins)
    await asyncio.gather(_joined(stage, cars), campaign.start(stage, vins), rollout.prepare())
    for car in cars:
        print(f"  {car.profile:6} {stage.api}/v1/vehicles/{car.vehicle.vin}/signals", file=out)
    print(f"  update {rollout.url}", file=out)
    return rollout


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, Made]) -> Made:
    """Have `work` done, and return what it made.  Raises Unavailable when it is to stop before."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Unavailable("stopped before a vehicle drove")
        return working.result()
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def _joined(stage: Stage, cars: list[traffic.Car]) -> None:
    """Wait until every agent is on all of its buses, so that no frame is sent to nobody."""
    joining = asyncio.gather(*(car.front.wait_for(len(car.vehicle.bus_names)) for car in cars))
    deadline = asyncio.get_running_loop().time() + JOIN_S
    try:
        while not joining.done() and asyncio.get_running_loop().time() < deadline:
            stage.check()
            await asyncio.wait({joining}, timeout=0.2)
    finally:
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)


async def _driving(
    stage: Stage,
    seconds: float | None,
    stop: asyncio.Event,
    out: TextIO,
    latencies: watch.Latencies,
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    live = out.isatty()
    steps = 0
    while not stop.is_set() and (seconds is None or loop.time() - began < seconds):
        left_s = _STEP_S if seconds is None else seconds - (loop.time() - began)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.01, min(_STEP_S, left_s)))
        stage.check()
        steps += 1
        if live or steps % 10 == 0:
            look = await _look(stage)
            line = (
                f"{loop.time() - began:6.0f} s  {look.frames:>10,} frames  {look.samples:>10,} samples  "
                f"{look.rows:>10,} rows  {percentile(latencies.ms[-300:], 0.99):5.0f} ms bus to row (p99)"
            )
            print(f"\r{line}" if live else line, end="" if live else "\n", file=out, flush=True)
    if live:
        print(file=out)


async def _drained(stage: Stage, frames: int) -> Look:
    """Wait until the agents have every frame and a receipt for everything they hold."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DRAIN_S
    look = await _look(stage)
    before = None
    while loop.time() < deadline:
        # Nothing waits, and nothing new was collected between two looks: all that was open is closed.
        if look.frames + look.dropped >= frames and not look.waiting and before == look:
            break
        before = look
        await asyncio.sleep(0.7)
        look = await _look(stage)
    return look


async def _look(stage: Stage) -> Look:
    agents = await watch.metrics([agent.metrics for agent in stage.agents])
    ingest = json.loads(await http.text(f"{stage.api}/v1/ingest", stage.key()))
    return Look(
        frames=int(agents.get("fairway_edge_frames_total", 0)),
        dropped=int(agents.get("fairway_edge_dropped_frames_total", 0)),
        signals=int(agents.get("fairway_edge_signals_total", 0)),
        samples=int(agents.get("fairway_edge_samples_total", 0)),
        campaign_samples=int(agents.get("fairway_edge_campaign_samples_total", 0)),
        waiting=int(
            agents.get("fairway_edge_spool_batches", 0)
            + agents.get("fairway_edge_campaign_waiting_batches", 0)
        ),
        batch_bytes=int(agents.get("fairway_edge_batch_bytes_total", 0)),
        rows=int((ingest["stored"] or {"rows": 0})["rows"]),
        duplicates=int(ingest["counts"]["duplicates"]),
    )


async def _brought(
    stage: Stage, rollout: update.Rollout
) -> tuple[campaign.Brought, update.Updated]:
    return await campaign.brought(stage), await rollout.look()


def _summary(
    cars: list[traffic.Car],
    came: Came,
    latencies: watch.Latencies,
    drove_s: float,
    *,
    is_over: bool,
) -> Summary:
    look = came.look
    sent = sum(car.bus.sent for car in cars)
    missing = max(0, look.samples + look.campaign_samples - look.rows)
    return Summary(
        vehicles=len(cars),
        seconds=round(drove_s, 1),
        frames=sent,
        frames_dropped=look.dropped + sum(car.bus.dropped for car in cars),
        signals=look.signals,
        samples=look.samples,
        campaign=came.campaign,
        update=came.update,
        campaign_samples=look.campaign_samples,
        rows_stored=look.rows,
        duplicates=look.duplicates,
        on_the_way=0 if is_over else missing,
        lost=missing if is_over else 0,
        bytes_per_sample=round(look.batch_bytes / look.samples, 3) if look.samples else 0.0,
        latency_p50_ms=round(percentile(latencies.ms, 0.5), 1),
        latency_p99_ms=round(percentile(latencies.ms, 0.99), 1),
    )


def _stop_event() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop.set)
    return stop


@asynccontextmanager
async def _task(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Have `work` done beside the body, and end it with the body."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _to_its_end(
    work: Coroutine[None, None, None], stop: asyncio.Event
) -> AsyncIterator[None]:
    """Have `work` done beside the body and after it, unless it is to stop."""
    async with _task(work) as task:
        yield
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
