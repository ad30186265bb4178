"""Why a campaign sends what it sends, as sentences for people; the facts are beside them."""

from collections.abc import Iterator, Mapping
from typing import Any

Facts = Mapping[str, Any]


def sentences(why: Facts) -> list[str]:
    """Return what there is to say, the most important first."""
    return [*_standing(why), *_money(why), *_partitions(why), *_more(why)]


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
