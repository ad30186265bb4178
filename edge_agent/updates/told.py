"""What people are told of updates: how it stands, and why the last one went back."""

from typing import Any

from edge_agent.updates.life import Step
from edge_agent.updates.order import Done, Kept, Order
from edge_agent.updates.progress_signals import percent_of, text_of
from edge_agent.updates.telling import stage_of
from fairway.errors import BadInput


def status(
    kept: Kept, waits_for: tuple[str, ...], *, asks: bool, step: Step | None, trouble: str
) -> dict[str, Any]:
    """Return how it stands, for json.dumps."""
    order = kept.order
    return {
        "update": None if order is None else _order(order),
        "waits_for": list(waits_for),
        "asks_driver": asks,
        "last": _done(kept.done[-1]) if kept.done else None,
        "looking": None if step is None else str(step),
        "trouble": trouble,
        "installed": {
            serial: {
                "image": one.path,
                "sha256": one.sha256,
                "release_counter": one.release_counter,
            }
            for serial, one in kept.installed.items()
        },
        "untold_events": len(kept.events),
    }


def why(kept: Kept, action: str) -> dict[str, Any]:
    """Return what explains how an update ended, the newest without a name.  Raises BadInput."""
    for one in reversed(kept.done):
        if action in ("", one.action):
            bad = [
                {"ecu": bad.serial, "version": bad.version, "why": bad.why}
                for bad in kept.bad
                if bad.why == one.sentence
            ]
            return _done(one) | {"log": one.log.splitlines(), "never_again": bad}
    if kept.order is not None and action in ("", kept.order.action):
        return _order(kept.order)
    known = ", ".join(one.action for one in kept.done) or "none"
    raise BadInput(f"no update {action[:80]!r} has ended here; known are: {known}")


def _order(order: Order) -> dict[str, Any]:
    return {
        "action": order.action,
        "stage": str(stage_of(order)),
        "step": str(order.step),
        "percent": percent_of(order),
        "text": text_of(order),
        "consent": str(order.consent),
        "fault": None if order.fault is None else str(order.fault),
        "sentence": order.sentence,
        "images": [
            {
                "ecu": one.assigned.ecu.serial,
                "name": one.assigned.image.name,
                "version": one.assigned.image.version,
                "done": str(one.mark),
                "fetch": str(one.source.form),
                "bytes": one.source.blob.length,
            }
            for one in order.tasks
        ],
    }


def _done(one: Done) -> dict[str, Any]:
    return {
        "action": one.action,
        "stage": str(one.stage),
        "time_ns": one.time_ns,
        "fault": None if one.fault is None else str(one.fault),
        "sentence": one.sentence,
        "ecu": one.ecu,
        "versions": list(one.versions),
    }
