"""Answers what devices ask of AWS IoT Jobs, and says what they are to be told unasked.

    topic, payload --> settle with what is offered --> do what is asked --> answer, notices

Rule 1: before anything is answered, executions are settled with what is offered to the vehicle now.
Rule 2: what becomes of a job is told to the rollout before the device hears that it was accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fairway import iot_jobs
from fairway.clock import Clock
from fairway.errors import Unavailable
from fairway.iot_jobs import NEXT, Ask, Verb
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.rollouts.foreign import job_requests
from fleet_cloud.rollouts.foreign.feedback import numbered
from fleet_cloud.rollouts.foreign.jobs import (
    Code,
    Execution,
    Refusal,
    Status,
    event_of,
    job_of,
    seconds,
    settled,
    started,
    updated,
)
from fleet_cloud.rollouts.foreign.ports import Document, Documents, Kind, change, found, read
from fleet_cloud.rollouts.ports import Offer, Offers

# Executions that were begun and are not over: one, and those that a crash left behind.
_OPEN_MAX = 20
# How often things may change while one request looks at them: orders that are given up, one after the other.
_SETTLINGS_MAX = 100


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be published."""

    topic: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Standing:
    """How things stand with a vehicle's jobs."""

    tenant: str
    vehicle: str
    offer: Offer | None
    pending: Execution | None
    now_ns: int
    tellings: list[Telling] = field(default_factory=list)

    @property
    def now_s(self) -> int:
        """Now, as Jobs tells it."""
        return seconds(self.now_ns)


class JobDesk:
    """Serves the devices of all tenants; one thread at a time."""

    def __init__(
        self, documents: Documents, offers: Offers, clock: Clock, blobs_url: Callable[[], str]
    ) -> None:
        """`blobs_url` is where devices fetch bytes: the device door."""
        self._documents, self._offers, self._clock = documents, offers, clock
        self._blobs_url = blobs_url
        self._told: dict[str, tuple[str, str]] = {}  # vehicle -> job and status it was told last

    def answer(self, tenant: str, ask: Ask, payload: bytes) -> list[Telling]:
        """Return what is said to a request.  Raises Unavailable."""
        said = job_requests.request_of(payload)
        if isinstance(said, Refusal):
            return [_refused(ask, said, {}, self._clock.now_ns())]
        self._note(tenant, ask.vehicle)
        at = self._standing(tenant, ask.vehicle)
        return [self._done(at, ask, said), *self._notices(self._standing(tenant, ask.vehicle))]

    def _done(self, at: _Standing, ask: Ask, said: dict[str, Any]) -> Telling:
        match ask.verb:
            case Verb.LIST:
                return _accepted(ask, _lists(at.pending), said, at)
            case Verb.START:
                return self._start(at, ask, said)
            case Verb.SHOW:
                return self._show(at, ask, said)
            case Verb.UPDATE:
                return self._update(at, ask, said)

    def look(self, tenant: str, vehicle: str) -> list[Telling]:
        """Return what a vehicle is to be told unasked, nothing when it knows.  Raises Unavailable.

        Who never asked for a job is left alone: its orders come to it in another language.
        """
        if not self._speaks(tenant, vehicle):
            return []
        return self._notices(self._standing(tenant, vehicle))

    def _speaks(self, tenant: str, vehicle: str) -> bool:
        if vehicle not in self._told:
            return self._documents.document(tenant, Kind.JOB, f"{vehicle}/") is not None
        return True

    def _note(self, tenant: str, vehicle: str) -> None:
        """Note that a vehicle speaks this language."""
        if not self._speaks(tenant, vehicle):
            self._documents.put(tenant, Document(Kind.JOB, f"{vehicle}/", {}, group="devices"))
        self._told.setdefault(vehicle, ("", ""))

    def forget(self, vehicle: str) -> None:
        """Have a vehicle told again what it was told."""
        self._told.pop(vehicle, None)

    def _standing(self, tenant: str, vehicle: str) -> _Standing:
        # An order that is given up makes room for the next one, and so on until nothing changes.
        given_up = ""
        for _ in range(_SETTLINGS_MAX):
            at, has_changed = self._settled(tenant, vehicle)
            action = at.offer.action if at.offer is not None else ""
            is_said = at.offer is not None and at.offer.is_cancelled and action == given_up
            if not has_changed or is_said:
                return at
            given_up = action
        raise Unavailable(f"the orders of {vehicle} change faster than they can be looked at")

    def _settled(self, tenant: str, vehicle: str) -> tuple[_Standing, bool]:
        """Return how things stand now, and whether that was otherwise before."""
        now_ns = self._clock.now_ns()
        offer = self._offers.offer(tenant, vehicle, now_ns)
        kept = None if offer is None else self._kept(tenant, vehicle, job_of(offer.action))
        listed = self._documents.listed(tenant, Kind.JOB, vehicle, limit=_OPEN_MAX)
        open_ = [read(Execution, one.content) for one in listed]
        changed = settled(offer, open_, kept, seconds(now_ns))
        for one in changed:
            self._tell(tenant, vehicle, event_of(one, now_ns))
            self._keep(tenant, vehicle, one)
        is_over = kept is not None and kept.is_over
        if offer is not None and offer.is_cancelled and not changed and not is_over:
            self._give_up(tenant, vehicle, offer, now_ns)
            return _Standing(tenant, vehicle, offer, None, now_ns), True
        pending = open_[0] if open_ else None
        return _Standing(tenant, vehicle, offer, pending, now_ns), bool(changed)

    def _give_up(self, tenant: str, vehicle: str, offer: Offer, now_ns: int) -> None:
        """Say that an order is given up of which the device has not begun a job."""
        said = "The job was cancelled before it was begun"
        event = UpdateEvent(
            offer.action, now_ns, now_ns, Stage.FAILED, fault=Fault.CANCELLED, sentence=said
        )
        self._tell(tenant, vehicle, event)

    def _tell(self, tenant: str, vehicle: str, event: UpdateEvent) -> None:
        history = self._offers.history(tenant, vehicle, event.action)
        self._offers.tell(tenant, vehicle, [numbered(event, history)], event.time_ns)

    def _start(self, at: _Standing, ask: Ask, said: dict[str, Any]) -> Telling:
        update = job_requests.update_of(said, ask.verb)
        if isinstance(update, Refusal):
            return _refused(ask, update, said, at.now_ns)
        if at.pending is None:
            return _accepted(ask, {"execution": {}}, said, at)
        begun = self._moved(at, at.pending, started(at.pending, update, at.now_s))
        shown = job_requests.shown(at.vehicle, begun, self._document(at, begun))
        return _accepted(ask, {"execution": shown}, said, at)

    def _show(self, at: _Standing, ask: Ask, said: dict[str, Any]) -> Telling:
        if ask.job == NEXT and at.pending is None:
            return _accepted(ask, {"execution": {}}, said, at)
        execution = self._meant(at, ask)
        if execution is None:
            return _refused(ask, _unknown(ask), said, at.now_ns)
        wanted = said.get("includeJobDocument", True) is not False
        document = self._document(at, execution) if wanted else None
        shown = job_requests.shown(at.vehicle, execution, document)
        return _accepted(ask, {"execution": shown}, said, at)

    def _update(self, at: _Standing, ask: Ask, said: dict[str, Any]) -> Telling:
        execution = self._meant(at, ask)
        if execution is None:
            return _refused(ask, _unknown(ask), said, at.now_ns)
        update = job_requests.update_of(said, ask.verb)
        if isinstance(update, Refusal):
            return _refused(ask, update, said, at.now_ns)
        after = updated(execution, update, at.now_s)
        if isinstance(after, Refusal):
            return _refused(ask, after, said, at.now_ns, job_requests.state(execution))
        self._moved(at, execution, after)
        more: dict[str, Any] = {}
        if said.get("includeJobExecutionState") is True:
            more["executionState"] = job_requests.state(after)
        if said.get("includeJobDocument") is True:
            more["jobDocument"] = self._document(at, after)
        return _accepted(ask, more, said, at)

    def _meant(self, at: _Standing, ask: Ask) -> Execution | None:
        if ask.job == NEXT or (at.pending is not None and at.pending.job == ask.job):
            return at.pending
        return self._kept(at.tenant, at.vehicle, ask.job)

    def _moved(self, at: _Standing, before: Execution, after: Execution) -> Execution:
        if after != before:
            self._tell(at.tenant, at.vehicle, event_of(after, at.now_ns))
            self._keep(at.tenant, at.vehicle, after)
        return after

    def _document(self, at: _Standing, execution: Execution) -> Any:
        if at.offer is None or job_of(at.offer.action) != execution.job:
            return {}
        return job_requests.document_of(at.offer, self._blobs_url())

    def _notices(self, at: _Standing) -> list[Telling]:
        """Return what has changed since the vehicle was told last."""
        pending = at.pending
        now = (pending.job, pending.status.value) if pending is not None else ("", "")
        before = self._told.get(at.vehicle, ("", ""))
        if now == before:
            return []
        self._told[at.vehicle] = now
        jobs = {} if pending is None else {now[1]: [job_requests.summary(pending)]}
        tellings = [Telling(iot_jobs.notify(at.vehicle), {"timestamp": at.now_s, "jobs": jobs})]
        if now[0] != before[0]:
            content: dict[str, Any] = {"timestamp": at.now_s}
            if pending is not None:
                document = self._document(at, pending)
                content["execution"] = job_requests.shown(at.vehicle, pending, document)
            tellings.append(Telling(iot_jobs.notify_next(at.vehicle), content))
        return tellings

    def _kept(self, tenant: str, vehicle: str, job: str) -> Execution | None:
        return found(self._documents, tenant, Kind.JOB, f"{vehicle}/{job}", Execution)

    def _keep(self, tenant: str, vehicle: str, execution: Execution) -> None:
        change(
            self._documents,
            tenant,
            Kind.JOB,
            f"{vehicle}/{execution.job}",
            lambda _: execution,
            Execution,
            group=lambda one: f"{vehicle}/closed" if one.is_over else vehicle,
        )


def _lists(pending: Execution | None) -> dict[str, Any]:
    shown = [] if pending is None else [job_requests.summary(pending)]
    is_begun = pending is not None and pending.status is Status.IN_PROGRESS
    return {"inProgressJobs": shown if is_begun else [], "queuedJobs": [] if is_begun else shown}


def _unknown(ask: Ask) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"there is no job {ask.job} of {ask.vehicle}")


def _accepted(ask: Ask, content: dict[str, Any], said: dict[str, Any], at: _Standing) -> Telling:
    return Telling(ask.accepted, {**content, **_token(said), "timestamp": at.now_s})


def _refused(
    ask: Ask,
    refusal: Refusal,
    said: dict[str, Any],
    now_ns: int,
    state: dict[str, Any] | None = None,
) -> Telling:
    more = {} if state is None else {"executionState": state}
    content = {"code": refusal.code.value, "message": refusal.message, **more, **_token(said)}
    return Telling(ask.rejected, {**content, "timestamp": seconds(now_ns)})


def _token(said: dict[str, Any]) -> dict[str, Any]:
    return {"clientToken": said["clientToken"]} if "clientToken" in said else {}
