"""Services as the cloud orders them: its list into the wanted state, its commands done, their statuses told.

    ServiceList --> manifests read --> supervisor.apply --> revision --> check-in
    a command   --> logs, why, restart, stop, execute   --> answer

Rule 1: a list is in force whole or not at all, and the revision that is told is that of the list in force.
Rule 2: a manifest that this version cannot read costs no service: the one before stays as it is, and the status
        says why.
Rule 3: what the vehicle's own settings forbid is refused, whoever asks.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from edge_agent.services.denials import Denial
from edge_agent.services.ports import Kept
from edge_agent.services.records import Source
from edge_agent.services.runtime import Executed
from edge_agent.telemetry import inbox
from fairway import log
from fairway.control import (
    FORBIDDEN_BY_VEHICLE,
    Answer,
    AnswerState,
    ExecuteInService,
    ExplainService,
    FetchServiceLogs,
    RestartService,
    ServiceDenial,
    ServiceList,
    ServiceOrder,
    ServiceStatus,
    ServiceWhat,
    StopService,
)
from fairway.errors import BadInput, Conflict, Denied, Unavailable
from fairway.services.manifest import service_from_json
from fairway.services.model import Service, service_name
from fairway.services.states import State, Status
from fairway.wire.control import to_vehicle_from_bytes, to_vehicle_to_bytes
from fairway.wire.control_services import DENIALS_MAX

EVENTS = log.get("edge_agent.services")

ORDERED = "services_ordered"
LINES_USUAL = 200
LINES_MAX = 10_000
# Of what an answer may carry (ANSWER_JSON_MAX_BYTES) half: text may need twice its bytes as JSON.
LOGS_MAX_BYTES = 1 << 20


class Supervised(Protocol):
    """The supervisor, as far as the cloud has to do with it: services.py."""

    @property
    def revision(self) -> str:
        """Of the cloud's list that is wanted; "" before the first."""
        ...

    async def apply(
        self,
        services: Sequence[Service],
        *,
        source: Source,
        retry: bool = False,
        replace: bool = False,
        revision: str | None = None,
    ) -> None:
        """Declare services, durably.  Raises BadInput, Conflict, Unavailable; then nothing is changed."""
        ...

    def statuses(self) -> list[Status]:
        """Return how all services stand."""
        ...

    def denials(self, name: str) -> Sequence[Denial]:
        """Return what a service was denied, the newest first."""
        ...

    def why(self, name: str) -> dict[str, Any]:
        """Return what explains how a service stands.  Raises BadInput."""
        ...

    def logs(self, name: str, last: int) -> list[str]:
        """Return the newest lines of a service.  Raises BadInput."""
        ...

    async def start(self, name: str) -> None:
        """Have a service run that was stopped.  Raises BadInput, Unavailable."""
        ...

    async def stop(self, name: str) -> None:
        """Stop a service until it is started.  Raises BadInput, Unavailable."""
        ...

    async def restart(self, name: str) -> None:
        """Stop what runs of a service, to be started again.  Raises BadInput."""
        ...

    async def execute(self, name: str, argv: Sequence[str]) -> Executed:
        """Run a command inside.  Raises BadInput, Denied, Unavailable."""
        ...


class ServiceOrders:
    """Takes what the cloud says of services."""

    def __init__(self, supervised: Supervised, kept: Kept) -> None:
        """`kept` remembers manifests as they were ordered, for services whose next one cannot be read."""
        self._supervised, self._kept = supervised, kept
        self._ordered: dict[str, Service] = {}
        self.artifacts_url = ""  # where the cloud says that images are
        self._refused: dict[
            str, str
        ] = {}  # services of the newest list, and why they are not in force
        self._remember()

    # what is said of ourselves

    @property
    def revision(self) -> int:
        """Of the list in force; 0: none yet."""
        revision = self._supervised.revision
        return int(revision) if revision.isdecimal() else 0

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return how each service stands, and those of the newest list that are refused."""
        told = {status.name: self._told(status) for status in self._supervised.statuses()}
        for name, why in self._refused.items():
            known = told.get(name)
            if known is None:
                told[name] = ServiceStatus(name, "", State.NOT_SCHEDULED, why=why, is_isolated=True)
            else:
                told[name] = replace(known, why=f"{why}; {known.why}" if known.why else why)
        return tuple(told[name] for name in sorted(told))

    def _told(self, status: Status) -> ServiceStatus:
        ordered = self._ordered.get(status.name)
        is_that = ordered is not None and ordered.version == status.version
        denials = self._supervised.denials(status.name)
        return ServiceStatus(
            name=status.name,
            version=status.version,
            state=status.state,
            sub=status.sub,
            why=status.why,
            is_ready=status.is_ready,
            restarts=status.restarts,
            last_good=status.last_good,
            bad=status.bad,
            image=ordered.image if ordered is not None and is_that else "",
            is_isolated=status.is_isolated,
            denials=tuple(
                ServiceDenial(one.action, one.what, one.count, one.last_ns, one.why)
                for one in denials[:DENIALS_MAX]
            ),
            denied=sum(one.count for one in denials),
        )

    # what is ordered

    async def order(self, services: ServiceList) -> None:
        """Put a list into force; one that cannot be is told by the statuses.

        Raises Unavailable when it could not be made durable, and nothing changed.
        """
        read, unread = self._read(services)
        wanted = read | {name: self._ordered[name] for name in unread if name in self._ordered}
        self.artifacts_url = services.artifacts_url
        try:
            await self._supervised.apply(
                list(wanted.values()),
                source=Source.CLOUD,
                replace=True,
                revision=str(services.revision),
            )
        except (BadInput, Conflict) as error:
            EVENTS.warning("services_refused", revision=services.revision, reason=str(error))
            why = f"list {services.revision} of the cloud is not in force: {error}"
            changed = [name for name, one in read.items() if self._ordered.get(name) != one]
            self._refused = dict.fromkeys(changed or read, why) | unread
            return
        for name, why in unread.items():
            EVENTS.warning("service_unreadable", service=name, reason=why)
        self._ordered, self._refused = wanted, unread
        record = ServiceList(
            services.revision,
            tuple(one for one in services.services if _name(one) in read),
            services.artifacts_url,
        )
        await self._try_to_keep(to_vehicle_to_bytes(record))
        EVENTS.info("services_ordered", revision=services.revision, services=len(wanted))

    def _read(self, services: ServiceList) -> tuple[dict[str, Service], dict[str, str]]:
        """Return the services of a list by name, and why others of it cannot be read."""
        read: dict[str, Service] = {}
        unread: dict[str, str] = {}
        for order in services.services:
            try:
                service = service_from_json(order.manifest)
                read[service.name] = service
            except BadInput as error:
                name = _name(order)
                if not name:
                    EVENTS.warning("service_unreadable", sync_id=order.sync_id, reason=str(error))
                    continue
                unread[name] = f"its new manifest cannot be read by this agent: {error}"
        for sync_id, reason in services.unreadable:
            EVENTS.warning("service_unreadable", sync_id=sync_id, reason=reason)
        return read, unread

    def _remember(self) -> None:
        record = self._kept.read(ORDERED)
        if not record:
            return
        try:
            said = to_vehicle_from_bytes(record)
        except BadInput as error:
            EVENTS.error("services_ordered_forgotten", reason=str(error))
            return
        if isinstance(said, ServiceList):
            self._ordered, self._refused = self._read(said)
            self.artifacts_url = said.artifacts_url

    async def _try_to_keep(self, record: bytes) -> None:
        try:
            await asyncio.to_thread(self._kept.keep, ORDERED, record)
        except Unavailable as error:  # the supervisor has kept what counts
            EVENTS.warning("services_ordered_not_kept", reason=str(error))

    # what is told and asked

    async def obey(self, id_: str, what: ServiceWhat) -> Answer:
        """Do what is told, or answer what is asked."""
        try:
            said = await self._done(what)
        except Denied as error:
            EVENTS.warning("service_command_denied", command=id_, service=what.service)
            return Answer(id_, AnswerState.FAILED, FORBIDDEN_BY_VEHICLE, str(error))
        except (BadInput, Conflict) as error:
            return Answer(id_, AnswerState.FAILED, inbox.PRECONDITION_FAILED, str(error))
        except TimeoutError:
            sentence = f"the command in {what.service} did not end in time"
            return Answer(id_, AnswerState.TIMED_OUT, sentence=sentence)
        except Unavailable as error:
            return Answer(id_, AnswerState.FAILED, inbox.INTERNAL_ERROR, str(error))
        text = "" if said is None else json.dumps(said, default=str)
        return Answer(id_, AnswerState.SUCCEEDED, json=text)

    async def _done(self, what: ServiceWhat) -> Mapping[str, Any] | None:
        match what:
            case FetchServiceLogs(service, lines):
                count = min(lines or LINES_USUAL, LINES_MAX)
                found = await asyncio.to_thread(self._supervised.logs, service, count)
                return {"lines": _newest(found)}
            case ExplainService(service):
                return self._supervised.why(service)
            case RestartService(service):
                ordered = self._ordered.get(service)
                if (
                    ordered is None or ordered.is_active
                ):  # a stand-in is started by what it stands for
                    await self._supervised.start(service)
                await self._supervised.restart(service)
            case StopService(service):
                await self._supervised.stop(service)
            case ExecuteInService(service, argv, timeout_s):
                async with asyncio.timeout(timeout_s or None):
                    executed = await self._supervised.execute(service, argv)
                return {"code": executed.code, "output": executed.output}
        return None


def _name(order: ServiceOrder) -> str:
    """Return the name of a service whose manifest may say what this version does not know."""
    try:
        return service_name(str(json.loads(order.manifest)["name"]))
    except (ValueError, KeyError, TypeError, RecursionError, BadInput):
        return ""


def _newest(lines: Sequence[str]) -> list[str]:
    """Return as many of the newest lines as an answer takes."""
    left = LOGS_MAX_BYTES
    for at in range(len(lines) - 1, -1, -1):
        left -= len(lines[at].encode("utf-8", "replace")) + 4
        if left < 0:
            return list(lines[at + 1 :])
    return list(lines)
