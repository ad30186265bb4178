"""Whether a campaign can run in a vehicle, by what the vehicle can collect: its catalogue.

    campaign --prepare--> names and expressions, read once --held against--> each catalogue --> Verdict

Rule 1: vehicles of one catalogue have one verdict: a fleet costs as much as it has kinds of vehicles.
Rule 2: whole: every signal is there.  In part: some of what it collects is not, and the rest is sent.  Not at
        all: the condition reads what is not there, or does not fit what is, or nothing of it can be collected.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from fairway.campaign.model import Campaign, ConditionalFetch, ConditionBased
from fairway.errors import BadInput
from fairway.expression.campaign import Expression, check_types, parse
from fairway.signals import Kind, SignalTable

# Named in a report; of more, the number.
MISSING_SHOWN_MAX = 100
# Vehicles of each verdict that are named: enough to look at.
EXAMPLES_MAX = 5


class Fit(StrEnum):
    """How much of a campaign runs."""

    WHOLE = "whole"
    PARTLY = "partly"
    NOT = "not"
    UNKNOWN = "unknown"  # the vehicle has not told what it can collect


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a campaign fits a catalogue."""

    fit: Fit
    missing: tuple[str, ...] = ()  # signals, as the campaign names them
    errors: tuple[str, ...] = ()  # of its expressions, where they are


UNKNOWN = Verdict(Fit.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a campaign needs, read once."""

    expressions: tuple[
        tuple[str, Expression], ...
    ]  # where it stands in the document, and what it is
    needed: frozenset[str]  # signals that the condition reads
    collected: tuple[str, ...]
    fetched: frozenset[str] = (
        frozenset()
    )  # signals that are there because the campaign asks for them


def prepare(campaign: Campaign) -> Prepared:
    """Read what `campaign` needs.  Raises BadInput, by path and character, for what no vehicle can run."""
    expressions = []
    needed = set[str]()
    for path, text in _expressions(campaign):
        try:
            parsed = parse(text)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error
        expressions.append((path, parsed))
        if path == _CONDITION:
            needed.update(parsed.signals)
    collected = dict.fromkeys(signal.name for signal in campaign.signals or ())
    fetched = frozenset(fetch.name for fetch in campaign.fetches or ())
    return Prepared(tuple(expressions), frozenset(needed), tuple(collected), fetched)


def verdict(prepared: Prepared, table: SignalTable) -> Verdict:
    """Hold a campaign against a catalogue."""
    kinds = {signal.name: signal.kind for signal in table}
    there = kinds.keys() | prepared.fetched
    missing = sorted(prepared.needed - there)
    is_dead = bool(missing)
    absent = [name for name in prepared.collected if not _is_there(name, there)]
    errors = _errors(prepared, kinds)
    is_empty = bool(prepared.collected) and len(absent) == len(prepared.collected)
    fit = Fit.WHOLE
    if is_dead or errors or is_empty:
        fit = Fit.NOT
    elif absent:
        fit = Fit.PARTLY
    return Verdict(fit, tuple(dict.fromkeys(missing + absent)), errors)


@dataclass(frozen=True, slots=True)
class Report:
    """How a campaign fits its targets."""

    vehicles: int
    counts: Mapping[Fit, int]
    missing: Mapping[str, int]  # signal -> how many vehicles lack it, the most first
    errors: Mapping[str, int]  # sentence -> how many vehicles it is true of
    examples: Mapping[Fit, tuple[str, ...]]


def report(
    prepared: Prepared,
    vehicles: Iterable[str],
    catalogue_of: Mapping[str, bytes],
    table_of: Callable[[bytes], SignalTable | None],
) -> Report:
    """Hold a campaign against the catalogues of `vehicles`."""
    by_catalogue: dict[bytes, list[str]] = {}
    for vehicle in vehicles:
        by_catalogue.setdefault(catalogue_of.get(vehicle, b""), []).append(vehicle)
    counts = dict.fromkeys(Fit, 0)
    missing: dict[str, int] = {}
    errors: dict[str, int] = {}
    examples: dict[Fit, list[str]] = {}
    for catalogue, some in by_catalogue.items():
        table = table_of(catalogue) if catalogue else None
        found = UNKNOWN if table is None else verdict(prepared, table)
        counts[found.fit] += len(some)
        examples.setdefault(found.fit, []).extend(some[:EXAMPLES_MAX])
        for tally, names in ((missing, found.missing), (errors, found.errors)):
            for name in names:
                tally[name] = tally.get(name, 0) + len(some)
    return Report(
        sum(counts.values()),
        counts,
        dict(sorted(missing.items(), key=lambda pair: (-pair[1], pair[0]))[:MISSING_SHOWN_MAX]),
        dict(sorted(errors.items(), key=lambda pair: (-pair[1], pair[0]))[:MISSING_SHOWN_MAX]),
        {fit: tuple(sorted(some)[:EXAMPLES_MAX]) for fit, some in examples.items()},
    )


_CONDITION = "collectionScheme.conditionBasedCollectionScheme.expression"


def _expressions(campaign: Campaign) -> Iterable[tuple[str, str]]:
    if isinstance(campaign.scheme, ConditionBased):
        yield _CONDITION, campaign.scheme.expression
    for number, partition in enumerate(campaign.partitions or ()):
        if partition.upload is not None:
            yield f"dataPartitions[{number}].uploadOptions.expression", partition.upload
    for number, fetch in enumerate(campaign.fetches or ()):
        if isinstance(fetch.when, ConditionalFetch):
            path = f"signalsToFetch[{number}].signalFetchConfig.conditionBased.conditionExpression"
            yield path, fetch.when.expression
        for at, action in enumerate(fetch.actions):
            yield f"signalsToFetch[{number}].actions[{at}]", action


def _errors(prepared: Prepared, kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    errors = []
    for path, expression in prepared.expressions:
        try:
            check_types(expression, kinds.get)
        except BadInput as error:
            errors.append(f"{path}: {error}")
    return tuple(errors)


def _is_there(name: str, there: AbstractSet[str]) -> bool:
    if "*" not in name:
        return name in there
    fits = re.compile(".*".join(map(re.escape, name.split("*")))).fullmatch
    return any(fits(known) for known in there)
