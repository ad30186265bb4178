"""Puts the campaigns of an agent together: their partitions, budgets, engine, and the doors to them."""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edge_agent.adapters.campaign_control import CampaignControl
from edge_agent.adapters.campaign_door import SOCKET_NAME, campaign_door
from edge_agent.adapters.campaign_fetches import Fetches
from edge_agent.adapters.campaign_orders import CampaignOrders
from edge_agent.adapters.campaign_status import CampaignStatuses
from edge_agent.adapters.campaigns import Campaigns, Setting
from edge_agent.adapters.function_host import campaign_functions
from edge_agent.adapters.kept_files import KeptFiles
from edge_agent.adapters.lanes import OneLane
from edge_agent.adapters.network import Network
from edge_agent.adapters.partition_folders import PartitionFolders
from edge_agent.adapters.partition_shelf import PartitionShelf, Seal
from edge_agent.adapters.partitions import Partitions
from edge_agent.adapters.purse import LEDGER, BudgetPurse, ledger_from_bytes
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.canbus.frames import FrameBlock
from edge_agent.config import Config
from edge_agent.telemetry.active import Orders
from edge_agent.telemetry.budgets import VEHICLE, Account, Budgets, Span, campaign_limits
from edge_agent.telemetry.fetching import Fetcher
from edge_agent.telemetry.uplink import ControlDoor
from fairway.campaign.document import campaign_from_json, sync_id
from fairway.campaign.engine import Limits
from fairway.clock import Clock
from fairway.control import CampaignOrder
from fairway.errors import BadInput
from fairway.samples import SampleBlock, SignalTable

FOLDER = "campaigns"
# Processes of custom functions are started, and given up, at their leisure.
FUNCTIONS_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Around:
    """What campaigns need of the agent."""

    spool: SpoolWorker
    table: SignalTable
    clock: Clock
    fetcher: Fetcher | None = None


class CampaignParts:
    """The campaigns of one run, and everything around them."""

    def __init__(self, config: Config, around: Around) -> None:
        """Begin with what was in force.  Raises BadInput for documents of our own that are none."""
        clock, spool, folder = around.clock, around.spool, config.spool.dir / FOLDER
        self._clock = clock
        own = Orders(own=tuple(_own(path) for path in config.campaigns.files))
        kept = KeptFiles(folder)
        most = config.campaigns.max_bytes
        shelf = PartitionShelf(
            PartitionFolders(folder, max_bytes=most),
            Seal(config.vehicle.id, config.telemetry.batch_max_bytes, {}),
            clock,
            max_bytes=most,
        )
        standing = OneLane(spool, rank=config.telemetry.priority)
        self.partitions = Partitions(shelf, standing, clock)
        network = Network(config.network.metered, config.network.metered_file, clock)
        self.purse = BudgetPurse(
            Budgets(_vehicle_limits(config), ledger_from_bytes(kept.read(LEDGER))),
            kept,
            clock,
            is_metered=network.is_metered,
            campaign_of=self.partitions.campaign_of,
        )
        self._fetches = Fetches(around.fetcher)
        self._functions = campaign_functions(config.functions, clock)
        self.campaigns = Campaigns(
            Setting(
                around.table,
                is_live=_is_live(config),
                own=own,
                limits=Limits(ring_bytes=config.campaigns.memory_max_bytes),
            ),
            self.partitions,
            kept,
            clock,
            functions=self._functions,
            fetches=self._fetches,
            keep_dictionary=spool.spool.keep_dictionary,
        )
        self.is_connected: Callable[[], bool] = lambda: False
        self.statuses = CampaignStatuses(
            self.campaigns, self.purse, self._fetches, clock, self._is_reached
        )
        self.statuses.functions = self._functions.report
        self.orders = CampaignOrders(
            self.campaigns, self.statuses, kept, clock, metadata.version("fairway")
        )
        self._interval_s = config.campaigns.check_in_interval_s
        self._control: CampaignControl | None = None
        self._door = campaign_door(
            config.spool.dir / SOCKET_NAME, self.statuses.listed, self.statuses.why
        )
        self.purse.counts = self.campaigns.counts
        self.purse.changed = self.orders.changed = self._tell
        self.campaigns.changed = self._changed
        self._changed()

    def connect(self, door: ControlDoor) -> CampaignControl:
        """Return the conversation over a connection."""
        self._control = CampaignControl(
            door,
            self.orders,
            self._clock,
            interval_s=self._interval_s,
            purse=self.purse,
        )
        return self._control

    def take(self, block: SampleBlock, frames: FrameBlock) -> None:
        """Take everything that was mapped."""
        self.campaigns.take(block, frames)
        self.orders.states.take(block)
        self.orders.news()

    def due_ns(self) -> int | None:
        """Return when, by the monotonic clock, a campaign does something by time alone; None: it does not."""
        return self.campaigns.due_ns

    async def run(self) -> None:
        """Run until cancelled."""
        _be_prompt()
        await self._door.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.campaigns.run())
                tasks.create_task(self._advance_functions())
        finally:
            await self._door.stop()

    async def _advance_functions(self) -> None:
        while True:
            await asyncio.sleep(FUNCTIONS_LOOK_S)
            self._functions.advance()

    async def finish(self) -> None:
        """Make durable what was collected, and what was spent."""
        await self.campaigns.finish()
        if self._control is not None:
            await self._control.farewell()

    async def until_room(self) -> None:
        """Wait while more is collected than the cloud takes: for logs played as fast as possible."""
        while self.partitions.is_crowded:
            await self.partitions.until_moved()

    async def until_drained(self) -> None:
        """Wait until everything that may be sent was sent."""
        while not self.partitions.is_drained(self.purse.exhausted):
            await self.partitions.until_moved()
        if self._control is not None:
            await self._control.farewell()

    async def close(self) -> None:
        """Let go of files; nothing is sent any more."""
        self._functions.close()
        await asyncio.to_thread(self.purse.close)
        await self.partitions.close()

    def tell(self) -> None:
        """Have the cloud told soon: something that a check-in says has changed."""
        self._tell()

    def _changed(self) -> None:
        plan = self.campaigns.plan
        limits: dict[Account, int] = {}
        for one in plan.standings:
            limits |= campaign_limits(one.order.sync_id, one.order.campaign.budget)
        gone = {terms.key.campaign for terms in self.partitions.gone_terms()}
        known = {one.order.sync_id for one in plan.standings} | gone
        self.purse.budgets.set_campaigns(limits, known)
        self.orders.states.use_table(self.campaigns.table)
        self._tell()

    def _tell(self) -> None:
        if self._control is not None:
            self._control.changed()

    def _is_reached(self) -> bool:
        return self.is_connected()


def _be_prompt() -> None:
    """Let nothing in this process hold up a look at the buses for as long as that is to last."""
    # Some 150,000 objects were made to start and stay: to look through them takes 50 ms each time.
    gc.freeze()


def _own(path: Path) -> CampaignOrder:
    """Read a campaign document.  Raises BadInput."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the campaign {path}: {error.strerror}") from error
    try:
        campaign = campaign_from_json(text, name=path.stem)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    return CampaignOrder(sync_id(campaign), campaign)


def _is_live(config: Config) -> bool:
    """Whether rows come as they are stamped: those of a log have the log's time."""
    sources = [bus.source or "" for bus in config.bus]
    return config.replay is None and not any(one.startswith("replay:") for one in sources)


def _vehicle_limits(config: Config) -> dict[Account, int]:
    said = {
        Span.DAY: config.budget.max_bytes_per_day,
        Span.METERED_DAY: config.budget.max_metered_bytes_per_day,
    }
    return {Account(VEHICLE, span): most for span, most in said.items() if most}
