"""A campaign against the signals of one vehicle: what it collects, what it asks, and what is missing.

    campaign + table  ->  Plan(collected signals by number, conditions, warnings)  or  BadInput: refused

Rule 1: a signal that the vehicle does not have is a warning, in words: the campaign runs without it; in a
        condition it stays undefined, so the condition cannot become true.
Rule 2: `*` in a name stands for what is between two dots, as the last part for all that is below.
Rule 3: a signal is collected once: as its own name says before a wildcard, as the first says before the second.
Rule 4: a condition sees a signal thinned out as its campaign collects it, as in FleetWise's agent.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from fairway.campaign.document import sync_id
from fairway.campaign.model import (
    MAX_SAMPLES_DEFAULT,
    Campaign,
    ConditionalFetch,
    ConditionBased,
    SignalToCollect,
    SignalToFetch,
)
from fairway.errors import BadInput
from fairway.expression.campaign import Custom, Expression, Read, parse, walk
from fairway.signals import Kind, SignalTable

MS = 1_000_000
# FleetWise's agent: more different signals than any vehicle has.
SIGNALS_MAX = 50_000

# Whether the campaign's vehicle knows a custom function of this name.
Knows = Callable[[Campaign, str], bool]


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """A signal as a campaign sees it: all samples, or thinned out since the campaign's activation."""

    signal: int
    interval_ns: int = 0
    since_ns: int = 0  # so that what one campaign gets does not depend on others


@dataclass(frozen=True, slots=True)
class Collected:
    """A signal that is collected."""

    name: str
    signal: int
    interval_ns: int
    max_samples: int
    partition: str  # "" where the campaign has none for it


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign that this vehicle can run."""

    sync_id: str
    campaign: Campaign
    collected: tuple[Collected, ...]
    condition: Expression | None  # None: time-based
    fetches: tuple[tuple[SignalToFetch, Expression | None], ...]  # None: time-based
    uploads: tuple[tuple[str, Expression], ...]  # conditions of partitions
    asked: tuple[tuple[str, int], ...]  # signals in conditions, with their numbers
    warnings: tuple[str, ...]


def plan(campaign: Campaign, table: SignalTable, knows: Knows) -> Plan:
    """Return how a vehicle with the signals of `table` runs `campaign`.  Raises BadInput: refused."""
    kinds = {signal.name: signal.kind for signal in table}
    warnings: list[str] = []
    collected = _collected(campaign, table, kinds, warnings)
    condition = None
    if isinstance(campaign.scheme, ConditionBased):
        condition = _parsed(campaign.scheme.expression, "expression", kinds, campaign.name)
    fetches = tuple(
        (one, _fetch_condition(one, number, kinds, campaign.name))
        for number, one in enumerate(campaign.fetches or ())
    )
    uploads = tuple(
        (
            one.id,
            _parsed(one.upload, f"dataPartitions[{number}].uploadOptions", kinds, campaign.name),
        )
        for number, one in enumerate(campaign.partitions or ())
        if one.upload is not None
    )
    some = (condition, *(one for _, one in fetches), *(one for _, one in uploads))
    expressions = [one for one in some if one is not None]
    for expression in expressions:
        _check_functions(expression, campaign, knows)
    asked = dict.fromkeys(name for one in expressions for name in one.signals)
    warnings += [
        f"{name} is in a condition, but this vehicle has no such signal: what needs it stays undefined"
        for name in asked
        if name not in kinds
    ]
    warnings += [
        f"{one.name} is fetched, but this vehicle has no such signal"
        for one, _ in fetches
        if one.name not in kinds
    ]
    return Plan(
        sync_id(campaign),
        campaign,
        collected,
        condition,
        fetches,
        uploads,
        tuple((name, table.number(name)) for name in asked if name in kinds),
        tuple(dict.fromkeys(warnings)),
    )


def stream_of(one: Collected, start_ns: int) -> Stream:
    """Return the stream that a campaign active since `start_ns` collects."""
    return Stream(one.signal, one.interval_ns, start_ns if one.interval_ns else 0)


def streams_of(found: Plan, start_ns: int) -> dict[str, Stream]:
    """Return all streams that a campaign sees, by name; signals the vehicle lacks have none."""
    streams = {name: Stream(number) for name, number in found.asked}
    return streams | {one.name: stream_of(one, start_ns) for one in found.collected}


def fits(name: str, pattern: str) -> bool:
    """Return whether a signal's name fits a name with `*`."""
    return _pattern(pattern).fullmatch(name) is not None


def _pattern(pattern: str) -> re.Pattern[str]:
    head, below = (
        (pattern[:-1], ".*") if pattern.endswith(".*") or pattern == "*" else (pattern, "")
    )
    return re.compile("[^.]*".join(re.escape(part) for part in head.split("*")) + below)


def _parsed(text: str, where: str, kinds: dict[str, Kind], name: str) -> Expression:
    try:
        return parse(text, kinds.get)
    except BadInput as error:
        raise BadInput(f"{name}: {where}: {error}") from error


def _fetch_condition(
    fetch: SignalToFetch, number: int, kinds: dict[str, Kind], name: str
) -> Expression | None:
    if not isinstance(fetch.when, ConditionalFetch):
        return None
    where = f"signalsToFetch[{number}].conditionExpression"
    return _parsed(fetch.when.expression, where, kinds, name)


def _collected(
    campaign: Campaign, table: SignalTable, kinds: dict[str, Kind], warnings: list[str]
) -> tuple[Collected, ...]:
    wanted = campaign.signals or ()
    chosen: dict[str, SignalToCollect] = {}
    for one in wanted:
        if "*" in one.name:
            continue
        if one.name not in kinds:
            warnings.append(f"{one.name} cannot be collected: this vehicle has no such signal")
        elif chosen.setdefault(one.name, one) is not one:
            warnings.append(f"{one.name} is listed twice: it is collected as the first entry says")
    for one in wanted:
        if "*" not in one.name:
            continue
        pattern = _pattern(one.name)
        fitting = [name for name in kinds if pattern.fullmatch(name)]
        if not fitting:
            warnings.append(f"{one.name} collects nothing: no signal of this vehicle fits it")
        for name in fitting:
            chosen.setdefault(name, one)
    if len(chosen) > SIGNALS_MAX:
        raise BadInput(
            f"{campaign.name}: collects {len(chosen)} signals, more than {SIGNALS_MAX}; narrow its wildcards"
        )
    found = [
        Collected(
            name,
            table.number(name),
            (one.min_interval_ms or 0) * MS,
            MAX_SAMPLES_DEFAULT if one.max_samples is None else one.max_samples,
            one.partition or "",
        )
        for name, one in chosen.items()
    ]
    return tuple(sorted(found, key=lambda one: one.signal))


def _check_functions(expression: Expression, campaign: Campaign, knows: Knows) -> None:
    for node, _ in walk(expression.tree):
        if isinstance(node, Read) and isinstance(node.input, Custom):
            name = node.input.name
            if not knows(campaign, name):
                raise BadInput(
                    f"{campaign.name}: character {node.first}: this vehicle has no custom function {name!r:.80}"
                )
