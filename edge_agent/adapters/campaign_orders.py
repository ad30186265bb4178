"""What the cloud orders and asks, done: lists, templates, commands; and what the vehicle says of itself.

Services are another's: what is ordered and asked of them is handed on, and so is what is said of them.

Rule 1: lists, activations and commands are durable before they are in force, or not at all.
Rule 2: a disk that takes nothing leaves everything as it was; the next check-in says so by its revision.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Protocol

from edge_agent.adapters.campaign_status import CampaignStatuses
from edge_agent.adapters.campaigns import Campaigns
from edge_agent.telemetry import inbox
from edge_agent.telemetry.inbox import Inbox
from edge_agent.telemetry.kept import Kept
from edge_agent.telemetry.last_states import LastStates
from fairway import log
from fairway.clock import NS_PER_S, Clock
from fairway.control import (
    QUESTIONS,
    ActivateState,
    Answer,
    AnswerState,
    CampaignList,
    CheckIn,
    Command,
    DeactivateState,
    ExplainCampaign,
    ServiceList,
    ServiceStatus,
    ServiceWhat,
    SnapshotState,
    StateReport,
    StateTemplateList,
    ToVehicle,
    UpdateNotice,
    UploadPartition,
)
from fairway.errors import BadInput, Unavailable
from fairway.wire.control import to_vehicle_from_bytes, to_vehicle_to_bytes

EVENTS = log.get("edge_agent.control")

TEMPLATES = "templates"
STATES = "states"
COMMANDS = "commands"
IDLE_MAX_S = 10.0


class ServicesOrdered(Protocol):
    """Services as the cloud orders them: service_orders.py."""

    @property
    def revision(self) -> int:
        """Of the list in force; 0: none yet."""
        ...

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return how each service stands."""
        ...

    async def order(self, services: ServiceList) -> None:
        """Put a list into force.  Raises Unavailable when nothing changed."""
        ...

    async def obey(self, id_: str, what: ServiceWhat) -> Answer:
        """Do what is told, or answer what is asked.  Raises Unavailable."""
        ...


class UpdatesNoticed(Protocol):
    """Updates, as far as the conversation goes (edge_agent.adapters.updates_cloud)."""

    @property
    def revision(self) -> int:
        """Of the last notice that was heeded."""
        ...

    async def notice(self, said: UpdateNotice) -> None:
        """Look at once.  Raises Unavailable when it cannot be kept."""
        ...


class CampaignOrders:
    """Takes what the cloud says."""

    def __init__(
        self,
        campaigns: Campaigns,
        statuses: CampaignStatuses,
        kept: Kept,
        clock: Clock,
        version: str,
    ) -> None:
        """Begin with what was kept."""
        self.campaigns, self._statuses = campaigns, statuses
        self._kept, self._clock, self._version = kept, clock, version
        self._inbox = Inbox(kept.read(COMMANDS))
        self.states = LastStates(campaigns.table, kept.read(STATES))
        self._remember_templates()
        self._wake = asyncio.Event()
        self.changed: Callable[[], None] = lambda: None
        self.services: ServicesOrdered | None = None  # None: this vehicle runs none
        self.updates: UpdatesNoticed | None = None  # None: it takes no notice of updates

    # what is said of ourselves

    def check_in(self) -> CheckIn:
        """Return what this vehicle runs."""
        return CheckIn(
            agent_version=self._version,
            time_ns=self._clock.now_ns(),
            campaigns_revision=self.campaigns.orders.revision,
            campaigns=self._statuses.all(),
            catalogue_id=self.campaigns.dictionary.id,
            state_templates_revision=self.states.revision,
            state_templates=self.states.statuses(),
            services_revision=None if self.services is None else self.services.revision,
            services=() if self.services is None else self.services.statuses(),
            updates_revision=None if self.updates is None else self.updates.revision,
        )

    def news(self) -> None:
        """Note that values came."""
        due_ns = self.states.next_due_ns()
        if due_ns is not None and due_ns <= self._clock.monotonic_ns():
            self._wake.set()

    async def until_report(self) -> None:
        """Wait until a report may be due."""
        waits_s = [IDLE_MAX_S]
        due_ns, end_ns = self.states.next_due_ns(), self.states.next_end_ns()
        if due_ns is not None:
            waits_s.append((due_ns - self._clock.monotonic_ns()) / NS_PER_S)
        if end_ns is not None:
            waits_s.append((end_ns - self._clock.now_ns()) / NS_PER_S)
        try:
            async with asyncio.timeout(max(min(waits_s), 0.0)):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def reports(self) -> list[StateReport]:
        """Return what is due of last known states."""
        before = self.states.statuses()
        now_ns, monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        found = self.states.reports(now_ns=now_ns, monotonic_ns=monotonic_ns)
        if self.states.statuses() != before:
            self.changed()
        return found

    # what is ordered

    async def take(self, said: ToVehicle) -> list[Answer]:
        """Do what is said, and return what is to be answered."""
        try:
            match said:
                case CampaignList():
                    await self.campaigns.order(said)
                    self.changed()
                case StateTemplateList():
                    await self._keep(TEMPLATES, to_vehicle_to_bytes(said))
                    self.states.set_templates(said.revision, said.templates)
                    self.changed()
                case ServiceList() if self.services is not None:
                    await self.services.order(said)
                    self.changed()
                case UpdateNotice() if self.updates is not None:
                    await self.updates.notice(said)
                    self.changed()
                case Command():
                    return [await self._obey(said)]
                case _:
                    pass
        except Unavailable as error:
            EVENTS.error("order_not_kept", reason=str(error))
        return []

    async def _obey(self, command: Command) -> Answer:
        known = self._inbox.begin(command, now_ns=self._clock.now_ns())
        if known is not None:
            return known
        is_order = not isinstance(command.what, QUESTIONS)
        try:
            if is_order:
                await self._keep(COMMANDS, self._inbox.to_bytes())
            answer = await self._do(command)
        except Unavailable as error:
            answer = Answer(command.id, AnswerState.FAILED, inbox.INTERNAL_ERROR, str(error))
        self._inbox.done(answer)
        if is_order:
            await self._try_to_keep(COMMANDS, self._inbox.to_bytes())
            self.changed()
        return answer

    async def _do(self, command: Command) -> Answer:
        match command.what:
            case ExplainCampaign(campaign):
                return self._explain(command.id, campaign)
            case UploadPartition(campaign, partition, end_time_ns):
                return self._upload(command.id, campaign, partition, end_time_ns)
            case ActivateState(template, after_s):
                return await self._activate(command.id, template, after_s)
            case DeactivateState(template):
                return await self._deactivate(command.id, template)
            case SnapshotState(template):
                return self._snapshot(command.id, template)
            case what:
                return await self._of_service(command.id, what)

    def _explain(self, id_: str, campaign: str) -> Answer:
        try:
            why = self._statuses.why(campaign)
        except BadInput as error:
            return Answer(id_, AnswerState.FAILED, inbox.PRECONDITION_FAILED, str(error))
        return Answer(id_, AnswerState.SUCCEEDED, json=json.dumps(why))

    def _snapshot(self, id_: str, template: str) -> Answer:
        if not self.states.snapshot(template):
            return _no_template(id_, template)
        self._wake.set()
        return Answer(id_, AnswerState.SUCCEEDED)

    async def _of_service(self, id_: str, what: ServiceWhat) -> Answer:
        if self.services is not None:
            return await self.services.obey(id_, what)
        sentence = "this vehicle runs no services: set [services] in its agent's settings"
        return Answer(id_, AnswerState.FAILED, inbox.PRECONDITION_FAILED, sentence)

    def _upload(self, id_: str, campaign: str, partition: str, end_time_ns: int) -> Answer:
        order = self.campaigns.orders.by_name(campaign)
        sync_id = order.sync_id if order else campaign
        if self.campaigns.partitions.request(sync_id, partition, end_time_ns):
            return Answer(id_, AnswerState.SUCCEEDED)
        named = f"the partition {partition} of {campaign}" if partition else campaign
        return Answer(
            id_, AnswerState.FAILED, inbox.PRECONDITION_FAILED, f"nothing waits in {named}"
        )

    async def _activate(self, id_: str, template: str, after_s: int) -> Answer:
        was_active = self.states.is_active(template)
        now_ns, monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        if not self.states.activate(template, after_s, now_ns=now_ns, monotonic_ns=monotonic_ns):
            return _no_template(id_, template)
        await self._keep(STATES, self.states.to_bytes())
        self._wake.set()
        if was_active:
            sentence = f"{template} was active already; it goes on with the new end"
            return Answer(id_, AnswerState.SUCCEEDED, inbox.ALREADY_ACTIVATED, sentence)
        return Answer(id_, AnswerState.SUCCEEDED)

    async def _deactivate(self, id_: str, template: str) -> Answer:
        was_active = self.states.is_active(template)
        if not self.states.deactivate(template):
            return _no_template(id_, template)
        await self._keep(STATES, self.states.to_bytes())
        if not was_active:
            sentence = f"{template} was not active"
            return Answer(id_, AnswerState.SUCCEEDED, inbox.ALREADY_DEACTIVATED, sentence)
        return Answer(id_, AnswerState.SUCCEEDED)

    def _remember_templates(self) -> None:
        record = self._kept.read(TEMPLATES)
        if record is None:
            return
        try:
            said = to_vehicle_from_bytes(record)
        except BadInput as error:
            EVENTS.error("state_templates_forgotten", reason=str(error))
            return
        if isinstance(said, StateTemplateList):
            self.states.set_templates(said.revision, said.templates)

    async def _keep(self, name: str, record: bytes) -> None:
        await asyncio.to_thread(self._kept.keep, name, record)

    async def _try_to_keep(self, name: str, record: bytes) -> None:
        try:
            await self._keep(name, record)
        except Unavailable as error:
            EVENTS.warning("answer_not_kept", reason=str(error))


def _no_template(id_: str, template: str) -> Answer:
    sentence = f"no state template is called {template}: send the list first"
    return Answer(id_, AnswerState.FAILED, inbox.STATE_TEMPLATE_OUT_OF_SYNC, sentence)
