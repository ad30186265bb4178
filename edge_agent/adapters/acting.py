"""Opens what acts on the vehicle as the settings describe it: allow-list, actuators, and how each is confirmed.

    [[outbound]] > Outbound, the only frames there are        [[actuation]] > Terms        vss2dbc > TargetRule

Rule 1: an actuator whose frame is not in the allow-list is not provided: apps are told that nobody does.
Rule 2: what can be known to be wrong is said at the start: a condition on nothing, a frame with undeclared
        signals, an actuator that no signal of the vehicle could confirm.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_agent.adapters.actuators import Actuators
from edge_agent.adapters.outbound_bus import OutboundBuses
from edge_agent.broker.closed_loop import ClosedLoop, Terms
from edge_agent.broker.interlocks import Interlocks
from edge_agent.broker.vehicle import VehicleData
from edge_agent.canbus.checksums import Protection
from edge_agent.canbus.encode import Value
from edge_agent.canbus.mapping_names import Names
from edge_agent.canbus.model import Message
from edge_agent.canbus.outbound import Allowed, Outbound
from edge_agent.canbus.plan import Plan
from edge_agent.canbus.targets import TargetRule, target_rule
from edge_agent.config import Actuation
from edge_agent.config import Outbound as OutboundSettings
from fairway import log
from fairway.catalog.model import Catalog
from fairway.clock import NS_PER_MS, Clock
from fairway.errors import BadInput
from fairway.expression.conditions import Condition, condition

EVENTS = log.get("edge_agent.actuation")

DEFAULTS_MAX_BYTES = 1_048_576


def open_acting(
    outbound: Sequence[OutboundSettings],
    actuation: Sequence[Actuation],
    plan: Plan,
    catalog: Catalog,
    data: VehicleData,
    clock: Clock,
) -> Actuators | None:
    """Return what acts, or None when nothing may be sent.  Raises BadInput."""
    if not outbound:
        return None
    interlocks = Interlocks(data)
    allowed = Outbound([_allowed(one, plan, interlocks) for one in outbound])
    rules = _rules(plan, catalog, data, allowed)
    terms = _terms(actuation, catalog, data, rules, interlocks)
    rules = {number: rule for number, rule in rules.items() if number in terms}
    _check_frames(allowed, rules)
    names = dict(enumerate(plan.buses))
    buses = OutboundBuses(allowed, clock, names)
    return Actuators(data, ClosedLoop(terms), rules, buses, clock)


def _allowed(one: OutboundSettings, plan: Plan, interlocks: Interlocks) -> Allowed:
    message = _message(one, plan)
    protection = None
    if one.checksum:
        protection = Protection(
            message, one.checksum, one.checksum_signal, one.counter_signal or None, one.data_ids
        )
    elif one.counter_signal or one.data_ids:
        raise BadInput(f"[[outbound]] {message.name}: counter_signal and data_ids need a checksum")
    return Allowed(
        plan.buses.index(one.bus),
        one.bus,
        message,
        one.min_period_ms * NS_PER_MS,
        _condition(one.condition, interlocks),
        _defaults(one.defaults, message, plan),
        protection,
        unused_bits=int(message.is_j1939),
        is_restated=one.fill == "current",
    )


def _message(one: OutboundSettings, plan: Plan) -> Message:
    is_extended = one.id > 0x7FF
    for signal in plan.signals:
        message = signal.message
        is_it = message.frame_id == one.id and message.is_extended == is_extended
        if signal.bus_name == one.bus and is_it:
            return message
    raise BadInput(
        f"[[outbound]]: no database of {one.bus} has a message 0x{one.id:X} with signals"
    )


def _condition(text: str, interlocks: Interlocks) -> Condition | None:
    if not text:
        return None
    made = condition(text)
    interlocks.check(made)
    return made


def _defaults(path: Path | None, message: Message, plan: Plan) -> dict[str, Value]:
    """Return what the file says of the message's signals; it may say of others, as KUKSA's do."""
    if path is None:
        return {}
    try:
        content = path.read_bytes()
        tree = json.loads(content) if len(content) <= DEFAULTS_MAX_BYTES else None
    except OSError as error:
        raise BadInput(f"cannot read the defaults {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the defaults {path} are not JSON: {error}") from error
    return defaults_of(tree, message, {signal.short_name for signal in plan.signals}, str(path))


def defaults_of(tree: object, message: Message, known: set[str], where: str) -> dict[str, Value]:
    """Return the defaults of a message's signals from `{"Signal": value}`.  Raises BadInput."""
    if not isinstance(tree, dict):
        raise BadInput(f"the defaults {where} are no table of values by signal")
    own = {signal.name for signal in message.signals}
    made: dict[str, Value] = {}
    for name, value in tree.items():
        if name not in known:
            raise BadInput(
                f"the defaults {where} name {name:.80}, and no database has such a signal"
            )
        if not isinstance(value, bool | int | float | str):
            raise BadInput(f"the defaults {where}: {name:.80} is neither a number nor a text")
        if name in own:
            made[name] = int(value) if isinstance(value, bool) else value
    return made


def _rules(
    plan: Plan, catalog: Catalog, data: VehicleData, outbound: Outbound
) -> dict[int, TargetRule]:
    names, rules = Names(plan), dict[int, TargetRule]()
    for leaf in catalog:
        number = data.signals.find(leaf.path)
        if leaf.vss2dbc is None or leaf.type != "actuator" or number is None:
            continue
        try:
            rule = target_rule(leaf, plan, names)
        except BadInput:
            continue  # the mapping has told of it
        if outbound.find(rule.bus, rule.message) is None:
            EVENTS.info("actuator_not_allowed", path=leaf.path, message=rule.message.name)
            continue
        rules[number] = rule
    return rules


def _terms(
    actuation: Sequence[Actuation],
    catalog: Catalog,
    data: VehicleData,
    rules: Mapping[int, TargetRule],
    interlocks: Interlocks,
) -> dict[int, Terms]:
    said: dict[int, Actuation] = {}
    for one in actuation:
        number = data.signals.find(one.path)
        if number is None or number not in rules:
            raise BadInput(
                f"[[actuation]] {one.path}: it needs vss2dbc, and [[outbound]] has to name its frame"
            )
        if number in said:
            raise BadInput(f"[[actuation]] names {one.path} twice")
        said[number] = one
    terms: dict[int, Terms] = {}
    for number, rule in rules.items():
        one = said.get(number, Actuation(rule.path))
        leaf = catalog.get(one.feedback or one.path)
        feedback = data.signals.find(one.feedback or one.path)
        if feedback is None or (leaf is not None and leaf.dbc2vss is None):
            if number in said:
                raise BadInput(
                    f"[[actuation]] {one.path}: no bus says {one.feedback or one.path}: name its feedback"
                )
            EVENTS.warning("actuator_without_feedback", path=rule.path)
            continue
        terms[number] = Terms(
            rule.path,
            feedback,
            deadline_ns=one.deadline_ms * NS_PER_MS,
            tolerance=one.tolerance,
            lease_ns=one.lease_ms * NS_PER_MS,
            repeat_ns=one.repeat_ms * NS_PER_MS,
            writers=one.writers,
            interlock=_condition(one.interlock, interlocks),
        )
    return terms


def _check_frames(outbound: Outbound, rules: Mapping[int, TargetRule]) -> None:
    """Refuse a frame with signals that nobody could say: before an app finds out."""
    for rule in rules.values():
        said = {
            name: value
            for other in rules.values()
            if other.frame == rule.frame
            for name, value in {**other.selectors, other.name: 0}.items()
        }
        allowed = outbound.find(rule.bus, rule.message)
        assert allowed is not None
        outbound.check(allowed, said)
