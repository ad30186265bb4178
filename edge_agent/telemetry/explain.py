"""Why a campaign sends what it sends, as sentences for people; the facts are beside them."""

from collections.abc import Iterator, Mapping
from typing import Any

Facts = Mapping[str, Any]


def sentences(why: Facts) -> list[str]:
    """Return what there is to say, the most important first."""
    return [*_standing(why), *_engine(why), *_money(why), *_partitions(why), *_more(why)]


def _standing(why: Facts) -> Iterator[str]:
    status = why["status"]
    match status["state"]:
        case "REFUSED":
            yield f"it was refused: {status['reason']}"
        case "READY":
            yield f"it has not started: it starts {_in_s(why['start_time_ns'], why)}"
        case "EXPIRED":
            yield "its time is over: it collects nothing any more"
        case "SUSPENDED":
            yield "it is suspended: it collects nothing, and what waits is still sent"
        case _:
            yield f"it runs: {status['triggers']} events with {status['samples']} samples so far"


def _engine(why: Facts) -> Iterator[str]:
    engine = why["engine"]
    if engine is None:
        return
    if engine["missing"]:
        yield f"it asks for what has not come yet: {', '.join(engine['missing'])}"
    for condition in engine["conditions"]:
        yield from _condition(condition, engine["now_ns"])
    if engine["waits_for"]:
        yield f"it waits for {engine['waits_for']}"
    would_send = {name: count for name, count in engine["would_send"].items() if count}
    if would_send:
        names = ", ".join(f"{count} of {name}" for name, count in would_send.items())
        yield f"an event now would send {names}"


def _condition(condition: Facts, now_ns: int) -> Iterator[str]:
    if condition["evaluated_ns"] is None:
        yield f"{condition['purpose']}: {condition['text']} was never evaluated"
        return
    ago_s = (now_ns - condition["evaluated_ns"]) / 1e9
    state = "true" if condition["is_true"] else "not true"
    yield f"{condition['purpose']}: {condition['text']} was {state} {ago_s:.1f} s ago"
    for one in condition["inputs"]:
        if not one["is_missing"]:
            age = "" if one["age_ms"] is None else f", {one['age_ms']:.0f} ms old"
            yield f"  {one['name']} is {one['value']!r}{age}"
    if not condition["is_true"]:
        for culprit in condition["culprits"]:
            yield f"  because of {culprit}"


def _money(why: Facts) -> Iterator[str]:
    if why["budget"]["held_back"]:
        yield f"nothing of it is sent now: {why['budget']['held_back']}"


def _partitions(why: Facts) -> Iterator[str]:
    for one in why["partitions"]:
        name = f"partition {one['partition']}" if one["partition"] else "what goes at once"
        waiting = f"{one['waiting']} batches of {one['size_bytes']} bytes wait"
        if one["is_open"]:
            yield f"{name}: {waiting}" if one["waiting"] else f"{name}: everything was sent"
        elif one["upload"] is None:
            yield f"{name} is closed: {waiting} until somebody asks for them"
        else:
            yield f"{name} is closed: {waiting} until {one['upload']} is true"


def _more(why: Facts) -> Iterator[str]:
    for signal, reason in why["fetches_failed"].items():
        yield f"{signal} could not be fetched: {reason}"
    yield from why["status"]["warnings"]
    if not why["is_connected"]:
        yield "the cloud is not reached now"


def _in_s(time_ns: int | None, why: Facts) -> str:
    return "later" if time_ns is None else f"in {(time_ns - why['time_ns']) / 1e9:.0f} s"
