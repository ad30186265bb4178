"""How an update goes, as signals of the vehicle: a head unit shows it, and asks the driver.

    Vehicle.Private.Update.{Stage,Action,Percent,WaitsFor,NeedsConsent,Text,LastResult}

Rule 1: VSS leaves Vehicle.Private to whoever builds the vehicle: no path of the standard can be hit.
"""

from collections.abc import Mapping

from edge_agent.updates.order import Kept, Mark, Order
from edge_agent.updates.telling import stage_of
from fairway.catalog.model import Leaf

BRANCH = "Vehicle.Private.Update"
TEXT_MAX_CHARS = 2000


def leaves() -> tuple[Leaf, ...]:
    """Return what a catalogue says of them."""
    said = (
        ("Stage", "string", "", "How the update under way stands; empty without one."),
        ("Action", "string", "", "The name of the update under way."),
        ("Percent", "uint8", "percent", "How much of it is done."),
        ("WaitsFor", "string", "", "What it waits for, in sentences."),
        (
            "NeedsConsent",
            "boolean",
            "",
            "Whether the driver is asked: accept, decline or postpone.",
        ),
        ("Text", "string", "", "What the driver is told about it."),
        ("LastResult", "string", "", "How the last update ended, and why."),
    )
    return tuple(
        Leaf(f"{BRANCH}.{name}", kind, "sensor", unit=unit, description=text)
        for name, kind, unit, text in said
    )


def values(kept: Kept, waits_for: tuple[str, ...], *, asks: bool) -> dict[str, float | str | bool]:
    """Return the values of all of them, by path."""
    order = kept.order
    last = kept.done[-1] if kept.done else None
    result = f"{last.stage}: {last.sentence}".rstrip(": ") if last else ""
    found: dict[str, float | str | bool] = {
        "Stage": "" if order is None else str(stage_of(order)),
        "Action": "" if order is None else order.action,
        "WaitsFor": "; ".join(waits_for),
        "NeedsConsent": asks,
        "Text": "" if order is None else text_of(order),
        "LastResult": result,
        "Percent": 0.0 if order is None else float(percent_of(order)),
    }
    return {f"{BRANCH}.{name}": value for name, value in found.items()}


def percent_of(order: Order) -> int:
    """Return how much of an order is done: of each image, how far it is."""
    ways = (Mark.FETCHED, Mark.VERIFIED, Mark.PREPARED, Mark.ACTIVE, Mark.COMMITTED)
    done = sum(task.has(mark) for task in order.tasks for mark in ways)
    return 100 * done // (len(ways) * len(order.tasks) or 1)


def text_of(order: Order, languages: tuple[str, ...] = ("en",)) -> str:
    """Return what the driver is told: in the first language that is there, or in any."""
    told = []
    for task in order.tasks:
        texts: Mapping[str, str] = task.assigned.image.install.user_text
        found = next((texts[one] for one in languages if one in texts), None)
        text = found or next(iter(texts.values()), "")
        if text and text not in told:
            told.append(text)
    return "\n".join(told)[:TEXT_MAX_CHARS]
