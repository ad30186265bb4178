"""Service lists, statuses and commands <-> messages: the part of the control wire that is about services.

Rule 1: a manifest travels as it is: what it means is read by whoever runs it, or checks it.
Rule 2: a manifest that is not what its name says, or no JSON object, costs that service, not the list.
"""

import json
from collections.abc import Callable, Iterable, Sequence

from fairway.control import (
    ExecuteInService,
    ExplainService,
    FetchServiceLogs,
    RestartService,
    ServiceDenial,
    ServiceList,
    ServiceOrder,
    ServiceStatus,
    ServiceWhat,
    StopService,
    What,
    service_sync_id,
)
from fairway.errors import BadInput
from fairway.services.model import service_name
from fairway.services.states import SUBS, State, Sub
from fairway.v1 import control_pb2 as v1
from fairway.wire.compression import compressed, decompressed

# What one machine can run, with room; each has a manifest of some kilobytes.
SERVICES_MAX = 512
MANIFEST_MAX_BYTES = 256 * 1024
# All manifests of a list, decompressed: a vehicle reads them at once.
MANIFESTS_MAX_BYTES = 16 * 1024 * 1024
SENTENCE_MAX_CHARACTERS = 500
VERSION_MAX_CHARACTERS = 128
BAD_MAX = 32
# The last things that a service was denied: who needs all of them asks the vehicle why.
DENIALS_MAX = 8
KIND_MAX_CHARACTERS = 32
WHAT_MAX_CHARACTERS = 200
URL_MAX_CHARACTERS = 1024
ARGUMENTS_MAX = 64
ARGUMENTS_MAX_CHARACTERS = 16_384
_STATES = {
    State.PENDING: v1.SERVICE_STATE_PENDING,
    State.RUNNING: v1.SERVICE_STATE_RUNNING,
    State.STOPPING: v1.SERVICE_STATE_STOPPING,
    State.SUCCEEDED: v1.SERVICE_STATE_SUCCEEDED,
    State.FAILED: v1.SERVICE_STATE_FAILED,
    State.NOT_SCHEDULED: v1.SERVICE_STATE_NOT_SCHEDULED,
    State.REMOVED: v1.SERVICE_STATE_REMOVED,
}
_NOUNS = {number: state for state, number in _STATES.items()}


def list_message(services: ServiceList) -> v1.ServiceList:
    """Return a ServiceList message."""
    return v1.ServiceList(
        revision=services.revision,
        services=[
            v1.ServiceManifest(sync_id=order.sync_id, json=compressed(order.manifest.encode()))
            for order in services.services
        ],
        artifacts_url=services.artifacts_url,
    )


def service_list(message: v1.ServiceList) -> ServiceList:
    """Read a ServiceList message.  Raises BadInput."""
    if len(message.services) > SERVICES_MAX:
        raise BadInput(
            f"a list of {len(message.services)} services is over the limit of {SERVICES_MAX}"
        )
    if len(message.artifacts_url) > URL_MAX_CHARACTERS:
        raise BadInput(f"the address of artifacts is longer than {URL_MAX_CHARACTERS} characters")
    orders, unreadable, left = [], [], MANIFESTS_MAX_BYTES
    for one in message.services:
        try:
            order = _order(one, min(left, MANIFEST_MAX_BYTES))
        except BadInput as error:
            unreadable.append((one.sync_id[:64], str(error)[:SENTENCE_MAX_CHARACTERS]))
            continue
        left -= len(order.manifest.encode())
        orders.append(order)
    return ServiceList(
        message.revision, tuple(orders), message.artifacts_url, unreadable=tuple(unreadable)
    )


def _order(message: v1.ServiceManifest, most: int) -> ServiceOrder:
    text = decompressed(message.json, max_bytes=most, what="a manifest")
    try:
        manifest = text.decode()
        said = json.loads(manifest)
    except (ValueError, RecursionError) as error:
        raise BadInput("a manifest is no JSON") from error
    if not isinstance(said, dict):
        raise BadInput("a manifest is no JSON object")
    if service_sync_id(manifest) != message.sync_id:
        raise BadInput("a manifest is not the one that its sync id names")
    return ServiceOrder(message.sync_id, manifest)


def status_message(status: ServiceStatus) -> v1.ServiceStatus:
    """Return a ServiceStatus message."""
    return v1.ServiceStatus(
        name=status.name,
        version=status.version[:VERSION_MAX_CHARACTERS],
        state=_STATES[status.state],
        sub_state=status.sub.value,
        sentence=status.why[:SENTENCE_MAX_CHARACTERS],
        is_ready=status.is_ready,
        restarts=status.restarts,
        last_good=status.last_good[:VERSION_MAX_CHARACTERS],
        bad_versions=[one[:VERSION_MAX_CHARACTERS] for one in status.bad[:BAD_MAX]],
        image=status.image,
        is_not_isolated=not status.is_isolated,
        denials=[
            v1.ServiceDenial(
                kind=one.kind[:KIND_MAX_CHARACTERS],
                what=one.what[:WHAT_MAX_CHARACTERS],
                count=one.count,
                last_time_ns=one.last_time_ns,
                sentence=one.why[:SENTENCE_MAX_CHARACTERS],
            )
            for one in status.denials[:DENIALS_MAX]
        ],
        denied=status.denied,
    )


def statuses(messages: Sequence[v1.ServiceStatus]) -> tuple[ServiceStatus, ...]:
    """Read ServiceStatus messages; one in a state of a later version is left out.  Raises BadInput."""
    if len(messages) > SERVICES_MAX:
        raise BadInput(f"a check-in has more than {SERVICES_MAX} services")
    return tuple(_status(one) for one in messages if one.state in _NOUNS)


def _status(message: v1.ServiceStatus) -> ServiceStatus:
    state = _NOUNS[message.state]
    known = {sub.value: sub for sub in SUBS[state]}
    return ServiceStatus(
        service_name(message.name),
        message.version[:VERSION_MAX_CHARACTERS],
        state,
        known.get(message.sub_state, Sub.NONE),  # of a later version: the state says enough
        message.sentence[:SENTENCE_MAX_CHARACTERS],
        message.is_ready,
        message.restarts,
        message.last_good[:VERSION_MAX_CHARACTERS],
        tuple(one[:VERSION_MAX_CHARACTERS] for one in message.bad_versions[:BAD_MAX]),
        message.image[:80],
        not message.is_not_isolated,
        tuple(_denial(one) for one in message.denials[:DENIALS_MAX]),
        message.denied,
    )


def _denial(message: v1.ServiceDenial) -> ServiceDenial:
    return ServiceDenial(
        message.kind[:KIND_MAX_CHARACTERS],
        message.what[:WHAT_MAX_CHARACTERS],
        message.count,
        message.last_time_ns,
        message.sentence[:SENTENCE_MAX_CHARACTERS],
    )


def put_command(message: v1.Command, what: ServiceWhat) -> None:
    """Put what a service is asked, or told, into a Command message."""
    match what:
        case FetchServiceLogs(service, lines):
            message.fetch_service_logs.MergeFrom(v1.FetchServiceLogs(service=service, lines=lines))
        case ExplainService(service):
            message.explain_service.service = service
        case RestartService(service):
            message.restart_service.service = service
        case StopService(service):
            message.stop_service.service = service
        case ExecuteInService(service, argv, timeout_s):
            message.execute_in_service.MergeFrom(
                v1.ExecuteInService(service=service, argv=argv, timeout_s=timeout_s)
            )


def checked_argv(argv: Iterable[str]) -> tuple[str, ...]:
    """Return a command line when it may travel.  Raises BadInput."""
    said = tuple(argv)
    if not said or not said[0]:
        raise BadInput("there is no command to run: give a program and its arguments")
    if len(said) > ARGUMENTS_MAX or sum(map(len, said)) > ARGUMENTS_MAX_CHARACTERS:
        raise BadInput(
            f"a command has at most {ARGUMENTS_MAX} arguments of {ARGUMENTS_MAX_CHARACTERS} characters together"
        )
    if any("\0" in one for one in said):
        raise BadInput("an argument of a command has a zero byte")
    return said


WHATS: dict[str, Callable[..., What]] = {
    "fetch_service_logs": lambda m: FetchServiceLogs(service_name(m.service), m.lines),
    "explain_service": lambda m: ExplainService(service_name(m.service)),
    "restart_service": lambda m: RestartService(service_name(m.service)),
    "stop_service": lambda m: StopService(service_name(m.service)),
    "execute_in_service": lambda m: ExecuteInService(
        service_name(m.service), checked_argv(m.argv), m.timeout_s
    ),
}
