"""Campaigns: what FleetWise's agents take <-> campaigns of ours.

    Scheme --compiled--> bytes of one --scheme_list_to_bytes--> SchemeList
    SchemeList --scheme_list_from_bytes--> Scheme, Scheme ...

Rule 1: a campaign that FleetWise's agents would run otherwise than it says is refused, with the reason:
        budgets, functions of its own, another tolerance, conditions with words of ours.
Rule 2: a signal that a condition looks at and nobody collects goes along, for looking at only.
Rule 3: a campaign that cannot be read costs that campaign, not the list it came in.
Rule 4: the wire has numbers for partitions and bytes and seconds for their limits: those read are called by
        their position, and rounded up to megabytes and hours.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairway.campaign.document import PARTITIONS_MAX, SIGNALS_MAX
from fairway.campaign.model import (
    EQUALITY_TOLERANCE_DEFAULT,
    MAX_SAMPLES_DEFAULT,
    PARTITION_MAX_BYTES_DEFAULT,
    Budget,
    Campaign,
    Compression,
    SignalToCollect,
    TimeBased,
    TimedFetch,
    TriggerMode,
)
from fairway.errors import BadInput
from fairway.expression.campaign import Expression, Read, Window, walk
from fairway.fleetwise.campaigns import Scheme
from fairway.fleetwise.names import SignalNames
from fairway.foreign.fleetwise.v1 import scheme_pb2 as v1
from fairway.wire.fleetwise.conditions import compiled as condition_of

# FleetWise's last second, for campaigns that never end; documents of its API have it too.
FOREVER_MS = 253_402_214_400_000
_NS_PER_MS = 1_000_000
# What is sent at once waits for a connection all the same: a day, as long as a vehicle stands in a garage.
_AT_ONCE_MIN_AGE_S = 86_400
_MODES = {
    TriggerMode.ALWAYS: v1.TRIGGER_MODE_ALWAYS,
    TriggerMode.RISING_EDGE: v1.TRIGGER_MODE_RISING_EDGE,
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """One campaign as an agent takes it; `missing` are signals to collect that the manifest does not have."""

    sync_id: str
    body: bytes
    missing: tuple[str, ...] = ()


def compiled(scheme: Scheme, names: SignalNames) -> Compiled:
    """Return a campaign as FleetWise's agents take it.  Raises BadInput for one that they cannot run."""
    campaign = scheme.campaign
    _check_extensions(campaign)
    collected, missing = _collected(campaign, names)
    message = v1.Scheme(
        sync_id=scheme.sync_id,
        decoder_sync_id=scheme.decoder_sync_id,
        start_time_ms=(campaign.start_time_ns or 0) // _NS_PER_MS,
        expiry_time_ms=_expiry_ms(campaign),
        post_trigger_ms=campaign.post_trigger_ms or 0,
        sends_dtcs=campaign.sends_dtcs,
        is_spooled=campaign.is_spooled,
        is_compressed=campaign.compression is not Compression.OFF,
        priority=campaign.effective_priority,
        arn=scheme.arn or scheme.sync_id,
    )
    looked_at = [_put_kind(message, campaign, names)]
    looked_at += _put_partitions(message, campaign, names)
    looked_at += _put_fetches(message, campaign, names)
    _put_signals(message, campaign, collected, [one for one in looked_at if one], names)
    return Compiled(scheme.sync_id, message.SerializeToString(), tuple(missing))


def scheme_list_to_bytes(bodies: Iterable[Compiled], *, time_ms: int) -> bytes:
    """Return the list of a vehicle's campaigns."""
    message = v1.SchemeList(time_ms=time_ms)
    for one in bodies:
        message.schemes.add().MergeFromString(one.body)
    return message.SerializeToString()


def _check_extensions(campaign: Campaign) -> None:
    found = campaign.extensions
    words = []
    if campaign.equality_tolerance != EQUALITY_TOLERANCE_DEFAULT:
        words.append("equalityTolerance")
    if campaign.budget != Budget():
        words.append("budget")
    if found is not None and found.functions:
        words.append("functions")
    if words:
        raise BadInput(
            f"the agents of FleetWise have no {' and no '.join(words)}: the campaign {campaign.name} would"
            " not do there what it says"
        )


def _expiry_ms(campaign: Campaign) -> int:
    if campaign.expiry_time_ns is None:
        return FOREVER_MS
    return campaign.expiry_time_ns // _NS_PER_MS


def _collected(
    campaign: Campaign, names: SignalNames
) -> tuple[dict[str, SignalToCollect], list[str]]:
    """Return what to collect by the name of the signal; the first that names a signal decides."""
    found: dict[str, SignalToCollect] = {}
    missing = []
    for one in campaign.signals or ():
        fitting = _fitting(one.name, names)
        if not fitting:
            missing.append(one.name)
        for name in fitting:
            found.setdefault(name, one)
    if missing and not found:
        raise BadInput(
            f"the decoder manifest has none of the signals of campaign {campaign.name}: {missing[0]} ..."
        )
    if len(found) > SIGNALS_MAX:
        raise BadInput(
            f"campaign {campaign.name} collects {len(found)} signals; at most {SIGNALS_MAX} are possible"
        )
    return found, missing


def _fitting(name: str, names: SignalNames) -> list[str]:
    if "*" not in name:
        return [name] if names.id(name) is not None else []
    pattern = re.compile(".*".join(re.escape(part) for part in name.split("*")))
    return [signal.name for signal in names.table if pattern.fullmatch(signal.name)]


def _put_kind(message: v1.Scheme, campaign: Campaign, names: SignalNames) -> Expression | None:
    scheme = campaign.scheme
    if isinstance(scheme, TimeBased):
        message.time_based.period_ms = scheme.period_ms
        return None
    based = message.condition_based
    based.min_interval_ms = scheme.min_interval_ms or 0
    based.language_version = scheme.language_version or 1
    based.mode = _MODES[scheme.trigger_mode or TriggerMode.ALWAYS]
    tree, expression = condition_of(scheme.expression, names)
    based.condition.CopyFrom(tree)
    return expression


def _put_partitions(message: v1.Scheme, campaign: Campaign, names: SignalNames) -> list[Expression]:
    looked_at = []
    for one in campaign.partitions or ():
        partition = message.partitions.partitions.add()
        partition.storage.max_bytes = one.max_bytes
        partition.storage.location = one.location
        partition.storage.min_age_s = one.max_age_s
        if one.upload is not None:
            tree, expression = condition_of(one.upload, names)
            partition.upload.condition.CopyFrom(tree)
            looked_at.append(expression)
    if campaign.partitions and any(one.partition is None for one in campaign.signals or ()):
        if len(campaign.partitions) == PARTITIONS_MAX:
            raise BadInput(
                f"campaign {campaign.name} has {PARTITIONS_MAX} partitions and signals in none of them: for"
                " the agents of FleetWise these need one more"
            )
        # An agent with partitions sends nothing that is in none of them.
        at_once = message.partitions.partitions.add()
        at_once.storage.max_bytes = PARTITION_MAX_BYTES_DEFAULT
        at_once.storage.location = "at-once"
        at_once.storage.min_age_s = _AT_ONCE_MIN_AGE_S
        at_once.upload.condition.truth = True
    return looked_at


def _put_fetches(message: v1.Scheme, campaign: Campaign, names: SignalNames) -> list[Expression]:
    looked_at = []
    for one in campaign.fetches or ():
        number = names.id(one.name)
        if number is None:
            raise BadInput(
                f"campaign {campaign.name} fetches {one.name}, which the decoder manifest has no number for"
            )
        fetch = message.fetches.add(signal_id=number, language_version=one.language_version or 1)
        if isinstance(one.when, TimedFetch):
            fetch.timed.period_ms = one.when.period_ms
        else:
            tree, expression = condition_of(one.when.expression, names)
            fetch.conditional.condition.CopyFrom(tree)
            fetch.conditional.mode = _MODES[one.when.trigger_mode]
            looked_at.append(expression)
        for action in one.actions:
            fetch.actions.add().CopyFrom(condition_of(action, names)[0])
    return looked_at


def _put_signals(
    message: v1.Scheme,
    campaign: Campaign,
    collected: dict[str, SignalToCollect],
    looked_at: Sequence[Expression],
    names: SignalNames,
) -> None:
    windowed = {name for expression in looked_at for name in _windowed(expression)}
    positions = {one.id: position for position, one in enumerate(campaign.partitions or ())}
    for name, one in collected.items():
        message.signals.add(
            signal_id=names.id(name),
            max_samples=one.max_samples or MAX_SAMPLES_DEFAULT,
            min_interval_ms=one.min_interval_ms or 0,
            window_ms=campaign.window_ms if name in windowed else 0,
            partition=len(positions) if one.partition is None else positions[one.partition],
        )
    others = dict.fromkeys(name for expression in looked_at for name in expression.signals)
    for name in others:
        if name not in collected:
            message.signals.add(
                signal_id=names.id(name),
                max_samples=1,
                window_ms=campaign.window_ms if name in windowed else 0,
                is_condition_only=True,
            )


def _windowed(expression: Expression) -> list[str]:
    return [
        node.input.name
        for node, _ in walk(expression.tree)
        if isinstance(node, Read) and isinstance(node.input, Window)
    ]
