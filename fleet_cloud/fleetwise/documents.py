"""Which documents an agent of FleetWise is sent, by what it says it has.

    check-in (sync ids) + what it is to have --documents--> the manifest, the list of campaigns, templates

Rule 1: an agent drops campaigns of another manifest than it has: the manifest goes first, and the list with it.
Rule 2: the list of campaigns goes as a whole, when one is missing or one too many.  Suspended campaigns and
        those that have ended are not in it: the wire has no word for the former, agents drop the latter.
Rule 3: a campaign that agents of FleetWise cannot run is REFUSED with the reason, as a vehicle would say it.
Rule 4: while it is not known what an agent is to have, nothing is taken from it.
Rule 5: the sync id of a state template names its content; who has an older one is told to remove it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fairway.control import (
    ActivateState,
    CampaignOrder,
    CampaignState,
    CampaignStatus,
    CheckIn,
    Command,
    DeactivateState,
    SnapshotState,
    StateReport,
    StateTemplate,
    StateTemplateList,
    StateTemplateStatus,
    StateValue,
)
from fairway.errors import BadInput
from fairway.fleetwise.campaigns import Scheme
from fairway.fleetwise.commands import CommandRequest
from fairway.fleetwise.data import Checkin, StateData, StateTemplateChange
from fairway.fleetwise.data import StateTemplate as ForAgent
from fairway.wire.fleetwise.commands import command_to_bytes
from fairway.wire.fleetwise.decoders import manifest_to_bytes
from fairway.wire.fleetwise.schemes import Compiled, compiled, scheme_list_to_bytes
from fairway.wire.fleetwise.states import change_to_bytes
from fleet_cloud.fleetwise.ports import NamedManifest

AGENT = "AWS IoT FleetWise"
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an agent is to have."""

    manifest: NamedManifest | None
    orders: Sequence[CampaignOrder] | None  # None: nobody knows yet
    templates: StateTemplateList | None


@dataclass(frozen=True, slots=True)
class Documents:
    """What an agent is sent, None for what it has, and what is noted of it."""

    manifest: bytes | None
    schemes: bytes | None
    templates: bytes | None
    check_in: CheckIn
    will_have: Checkin  # what it has once it has all of it


def documents(has: Checkin, wanted: Wanted, *, now_ns: int) -> Documents:
    """Say what an agent is sent that has `has`."""
    there = set(has.sync_ids)
    manifest = wanted.manifest
    bodies, apart = _compiled(wanted, now_ns)
    templates = _for_agent(wanted.templates, manifest)
    known = {body.sync_id for body in bodies} | {one.sync_id for one in templates}
    orders = wanted.orders or ()
    statuses = [_status(order, now_ns) for order in orders if order.sync_id in known & there]
    check_in = CheckIn(
        agent_version=AGENT,
        time_ns=has.time_ms * _NS_PER_MS,
        campaigns=(*apart, *statuses),
        state_templates_revision=wanted.templates.revision if wanted.templates else 0,
        state_templates=tuple(
            StateTemplateStatus(name_of(one.sync_id), is_active=False)
            for one in templates
            if one.sync_id in there
        ),
    )
    if manifest is None:
        return Documents(None, None, None, check_in, has)
    own = manifest.manifest.sync_id
    has_manifest = own in there
    stale = tuple(sorted(there - known - {own})) if wanted.orders is not None else ()
    removed = stale if wanted.templates is not None else ()
    missing = tuple(one for one in templates if one.sync_id not in there)
    now_ms = now_ns // _NS_PER_MS
    # Which of the stale ones are templates nothing says; an agent passes over what it does not know.
    change = StateTemplateChange(now_ms, own, missing, removed)
    is_complete = wanted.orders is None or (
        has_manifest and not stale and all(body.sync_id in there for body in bodies)
    )
    kept = there - set(stale) - set(removed)
    will_have = kept | known | {own} if wanted.orders is not None else kept | {own}
    return Documents(
        manifest=None if has_manifest else manifest_to_bytes(manifest.manifest),
        schemes=None if is_complete else scheme_list_to_bytes(bodies, time_ms=now_ms),
        templates=change_to_bytes(change) if missing or removed else None,
        check_in=check_in,
        will_have=replace(has, sync_ids=tuple(sorted(will_have))),
    )


def request_of(
    command: Command,
    templates: StateTemplateList | None,
    manifest: NamedManifest | None,
    *,
    now_ns: int,
) -> bytes:
    """Return a command as agents of FleetWise take it.  Raises BadInput for one that they cannot do."""
    what = command.what
    if not isinstance(what, ActivateState | DeactivateState | SnapshotState):
        raise BadInput(
            "agents of AWS IoT FleetWise do nothing but activate, deactivate and snapshot state templates"
        )
    ids = {name_of(one.sync_id): one.sync_id for one in _for_agent(templates, manifest)}
    if what.template not in ids:
        raise BadInput(f"the vehicle has no state template {what.template}, or none of its signals")
    named = ids[what.template]
    match what:
        case ActivateState(_, after_s):
            operation: ActivateState | DeactivateState | SnapshotState = ActivateState(
                named, after_s
            )
        case DeactivateState():
            operation = DeactivateState(named)
        case _:
            operation = SnapshotState(named)
    timeout_ms = (command.expires_time_ns - now_ns) // _NS_PER_MS
    if timeout_ms <= 0:
        raise BadInput(f"the command {command.id} has expired")
    return command_to_bytes(
        CommandRequest(command.id, (operation,), now_ns // _NS_PER_MS, timeout_ms)
    )


def reports_of(data: StateData, manifest: NamedManifest) -> list[StateReport]:
    """Return what an agent reports, by names; values of signals without a name are left out."""
    time_ns = data.time_ms * _NS_PER_MS
    return [
        StateReport(
            name_of(state.sync_id),
            tuple(
                StateValue(name, time_ns, one.value)
                for one in state.values
                if (name := manifest.names.name(one.signal_id)) is not None
            ),
        )
        for state in data.states
    ]


def name_of(sync_id: str) -> str:
    """Return the name of the template whose content `sync_id` names."""
    return sync_id.rpartition("@")[0] or sync_id


def _compiled(wanted: Wanted, now_ns: int) -> tuple[list[Compiled], list[CampaignStatus]]:
    """Return the campaigns for the agent, and how those stand that are not for it."""
    bodies, apart = [], []
    for order in wanted.orders or ():
        end_ns = order.campaign.expiry_time_ns
        if order.is_suspended:
            apart.append(CampaignStatus(order.sync_id, CampaignState.SUSPENDED))
        elif end_ns is not None and end_ns <= now_ns:
            apart.append(CampaignStatus(order.sync_id, CampaignState.EXPIRED))
        elif wanted.manifest is None:
            reason = "the vehicle has no decoder manifest: give it one first"
            apart.append(CampaignStatus(order.sync_id, CampaignState.REFUSED, reason))
        else:
            scheme = Scheme(order.sync_id, wanted.manifest.manifest.sync_id, order.campaign)
            try:
                bodies.append(compiled(scheme, wanted.manifest.names))
            except BadInput as error:
                apart.append(CampaignStatus(order.sync_id, CampaignState.REFUSED, str(error)))
    return bodies, apart


def _status(order: CampaignOrder, now_ns: int) -> CampaignStatus:
    start_ns = order.campaign.start_time_ns
    is_early = start_ns is not None and start_ns > now_ns
    return CampaignStatus(order.sync_id, CampaignState.READY if is_early else CampaignState.RUNNING)


def _for_agent(
    templates: StateTemplateList | None, manifest: NamedManifest | None
) -> list[ForAgent]:
    if manifest is None or templates is None:
        return []
    found = []
    for one in templates.templates:
        numbers = [manifest.names.id(name) for name in one.signals]
        known = tuple(number for number in numbers if number is not None)
        if known:
            found.append(ForAgent(_sync_id(one, known), known, one.period_ms))
    return found


def _sync_id(template: StateTemplate, numbers: tuple[int, ...]) -> str:
    content = json.dumps([template.signals, numbers, template.period_ms])
    return f"{template.name}@{hashlib.sha256(content.encode()).hexdigest()[:12]}"
