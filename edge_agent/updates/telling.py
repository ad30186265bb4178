"""What is told of an order: its stage, the events for the cloud, and how it ended.

Rule 1: an event is kept in the same transaction as what it tells, and until the cloud has it.
Rule 2: an order that ends leaves what failed behind, so that it is never tried again.
"""

from collections.abc import Mapping
from dataclasses import replace

from edge_agent.updates.life import Step
from edge_agent.updates.order import (
    BAD_MAX,
    DONE_MAX,
    EVENTS_MAX,
    SENTENCE_MAX_CHARS,
    Bad,
    Consent,
    Done,
    Kept,
    Order,
)
from edge_agent.updates.planner import Means
from fairway.update import Fault, Stage, UpdateEvent
from ota.report import EcuReport, Installed, VehicleReport
from ota.trust.model import Vehicle

_STAGES: dict[Step, Stage] = {
    Step.FETCH: Stage.DOWNLOADING,
    Step.VERIFY_IMAGES: Stage.DOWNLOADING,
    Step.WAIT_CONDITIONS: Stage.WINDOW,
    Step.PREPARE: Stage.INSTALLING,
    Step.ACTIVATE: Stage.INSTALLING,
    Step.RESTART: Stage.INSTALLING,
    Step.HEALTH: Stage.VERIFYING,
    Step.COMMIT: Stage.VERIFYING,
    Step.ROLLBACK: Stage.VERIFYING,
    Step.RESTART_BACK: Stage.VERIFYING,
}
# What speaks against an image, and not against the moment at which it was tried.
_BLAMES = frozenset({Fault.INSTALL, Fault.HEALTH, Fault.SAFETY})


def stage_of(order: Order) -> Stage:
    """Return how an order stands."""
    if order.step is Step.REPORT:
        return _end(order)
    if (
        order.step is Step.WAIT_CONDITIONS
        and order.needs_consent
        and order.consent is not Consent.ACCEPTED
    ):
        return Stage.CONSENT
    return _STAGES[order.step]


def _end(order: Order) -> Stage:
    if order.fault is None:
        return Stage.COMMITTED
    if "neither wholly old nor wholly new" in order.sentence:
        return Stage.FAILED
    return Stage.ROLLED_BACK if order.touched else Stage.FAILED


def with_order(kept: Kept, order: Order, *, now_ns: int) -> Kept:
    """Return what is kept with an order that has moved, and the event if that is news."""
    before = kept.order
    after = replace(kept, order=order)
    if before is None or before.token != order.token:
        after = with_event(after, order, Stage.OFFERED, now_ns=now_ns)
        return with_event(after, order, stage_of(order), now_ns=now_ns)
    if stage_of(before) is stage_of(order) and before.step is not Step.COMMIT:
        return after
    if order.step is Step.REPORT:
        return after  # its last event comes with ended()
    if stage_of(before) is stage_of(order):
        return after
    return with_event(after, order, stage_of(order), now_ns=now_ns)


def with_event(
    kept: Kept,
    order: Order,
    stage: Stage,
    *,
    now_ns: int,
    percent: int | None = None,
    ecu: str = "",
) -> Kept:
    """Return what is kept with one event more, of an ECU or of the vehicle as a whole."""
    is_end = stage.is_final
    event = UpdateEvent(
        action=order.action,
        sequence=kept.sequence + 1,
        time_ns=now_ns,
        stage=stage,
        ecu=ecu,
        percent=percent,
        fault=order.fault if is_end else None,
        sentence=order.sentence if is_end else "",
        log=order.log if is_end else "",
    )
    return replace(kept, events=(*kept.events, event)[-EVENTS_MAX:], sequence=event.sequence)


def ended(kept: Kept, order: Order, *, now_ns: int) -> Kept:
    """Return what is kept once an order is over."""
    stage = _end(order)
    done = Done(
        order.action,
        order.director_version,
        stage,
        now_ns,
        order.fault,
        order.sentence,
        order.log,
        order.ecu,
        tuple(f"{one.assigned.image.name} {one.assigned.image.version}" for one in order.tasks),
    )
    installed = dict(kept.installed)
    if stage is Stage.COMMITTED:
        for one in order.tasks:
            image = one.assigned.image
            installed[one.assigned.ecu.serial] = Installed(
                image.path, image.length, image.sha256, image.release_counter
            )
    after = replace(
        kept,
        order=None,
        bad=_with_bad(kept, order),
        done=(*kept.done, done)[-DONE_MAX:],
        is_report_due=True,
        installed=installed,
    )
    if order.ecu:
        after = with_event(after, order, stage, now_ns=now_ns, ecu=order.ecu)
    return with_event(after, order, stage, now_ns=now_ns)


def refused(
    kept: Kept, action: str, director_version: int, fault: Fault, sentence: str, *, now_ns: int
) -> Kept:
    """Return what is kept after an order that was not even begun; said twice it is told once."""
    newest = kept.done[-1] if kept.done else None
    sentence = sentence[:SENTENCE_MAX_CHARS]
    same = (action, director_version, sentence)
    if newest and (newest.action, newest.director_version, newest.sentence) == same:
        return kept
    order = Order(action, "", director_version, (), Step.REPORT, fault=fault, sentence=sentence)
    return ended(kept, order, now_ns=now_ns)


def report_of(
    kept: Kept, vehicle: Vehicle, held: Mapping[str, str], *, time_ns: int, means: Means
) -> VehicleReport:
    """Return what the vehicle says of itself; `held`: what each ECU holds, "" where it does not say."""
    action = kept.done[-1].action if kept.done else ""
    return VehicleReport(
        vehicle=vehicle.id,
        primary=vehicle.primary,
        ecus=tuple(
            EcuReport(
                one.serial,
                one.hardware_id,
                _installed(kept, one.serial, held.get(one.serial, "")),
                kept.reports,
                time_ns,
                kept.attacks if one.serial == vehicle.primary else (),
            )
            for one in vehicle.ecus
        ),
        counter=kept.reports,
        action=action,
        forms=tuple(sorted(means.forms)),
        memory_max_bytes=means.memory_max_bytes,
    )


def _installed(kept: Kept, serial: str, sha256: str) -> Installed | None:
    """What an ECU holds, by what it says; of what we did not install nobody here knows more than the hash."""
    if not sha256:
        return None
    known = kept.installed.get(serial)
    return known if known and known.sha256 == sha256 else Installed("unknown", 0, sha256)


def told(kept: Kept, upto: int) -> Kept:
    """Return what is kept once the cloud has the events up to a number."""
    return replace(kept, events=tuple(one for one in kept.events if one.sequence > upto))


def _with_bad(kept: Kept, order: Order) -> tuple[Bad, ...]:
    if order.fault not in _BLAMES:
        return kept.bad
    new = [
        Bad(one.assigned.ecu.serial, one.assigned.image.sha256, one.assigned.image.version, why)
        for one in order.tasks
        if order.ecu in ("", one.assigned.ecu.serial)
        for why in [order.sentence]
    ]
    names = {(one.serial, one.sha256) for one in new}
    others = [one for one in kept.bad if (one.serial, one.sha256) not in names]
    return (*others, *new)[-BAD_MAX:]
