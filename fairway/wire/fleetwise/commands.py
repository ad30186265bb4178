"""Commands and their answers: bytes as FleetWise's agents have them <-> nouns.

Rule 1: foreign bytes become nouns or BadInput, in time and memory bounded by the constants below.
"""

import re
from typing import Any

from fairway.control import ActivateState, Answer, AnswerState, DeactivateState, SnapshotState
from fairway.errors import BadInput
from fairway.fleetwise.commands import Actuate, CommandRequest, StateOperation
from fairway.foreign.fleetwise.v1 import command_pb2 as v1
from fairway.wire.fleetwise.reading import read, sync_id
from fairway.wire.fleetwise.states import MEMBERS, put_value, value_of

# One value, or 256 templates.
COMMAND_MAX_BYTES = 256 * 1024
OPERATIONS_MAX = 256
SENTENCE_MAX_CHARACTERS = 500
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PRIMITIVES = {member: primitive for primitive, member in MEMBERS.items()}


def command_to_bytes(command: CommandRequest) -> bytes:
    """Return a CommandRequest.  Raises BadInput for a value that its type does not hold."""
    message = v1.CommandRequest(
        id=_id(command.id), timeout_ms=command.timeout_ms, issued_time_ms=command.issued_time_ms
    )
    if isinstance(command.what, Actuate):
        found = command.what
        message.actuator.signal_id = found.signal_id
        message.actuator.decoder_sync_id = found.decoder_sync_id
        put_value(message.actuator, found.value, found.primitive)
    else:
        message.state.SetInParent()
        for operation in command.what:
            _put_operation(message.state.operations.add(sync_id=operation.template), operation)
    return message.SerializeToString()


def command_from_bytes(data: bytes) -> CommandRequest:
    """Read a CommandRequest.  Raises BadInput."""
    message = read(v1.CommandRequest, data, max_bytes=COMMAND_MAX_BYTES, what="a command")
    what: Actuate | tuple[StateOperation, ...]
    match message.WhichOneof("command"):
        case "actuator":
            what = _actuate(message.actuator)
        case "state":
            if len(message.state.operations) > OPERATIONS_MAX:
                raise BadInput(f"a command has over {OPERATIONS_MAX} operations")
            what = tuple(map(_operation, message.state.operations))
        case _:
            raise BadInput("a command says nothing, or something of a later version")
    return CommandRequest(_id(message.id), what, message.issued_time_ms, message.timeout_ms)


def answer_to_bytes(answer: Answer) -> bytes:
    """Return a CommandResponse."""
    return v1.CommandResponse(
        id=answer.id,
        status=v1.CommandStatus.ValueType(answer.state),
        reason_code=answer.reason_code,
        reason=answer.sentence[:SENTENCE_MAX_CHARACTERS],
    ).SerializeToString()


def answer_from_bytes(data: bytes) -> Answer:
    """Read a CommandResponse.  Raises BadInput."""
    message = read(v1.CommandResponse, data, max_bytes=COMMAND_MAX_BYTES, what="an answer")
    if message.status not in {int(state) for state in AnswerState}:
        raise BadInput(f"an answer has state {message.status}, which is of a later version or none")
    return Answer(
        _id(message.id),
        AnswerState(message.status),
        message.reason_code,
        message.reason[:SENTENCE_MAX_CHARACTERS],
    )


def _put_operation(message: v1.StateOperation, operation: StateOperation) -> None:
    match operation:
        case ActivateState(_, after_s):
            message.activate.SetInParent()
            message.activate.deactivate_after_s = after_s
        case DeactivateState():
            message.deactivate.SetInParent()
        case SnapshotState():
            message.snapshot.SetInParent()


def _operation(message: v1.StateOperation) -> StateOperation:
    template = sync_id(message.sync_id, of="a state template")
    match message.WhichOneof("operation"):
        case "activate":
            return ActivateState(template, message.activate.deactivate_after_s)
        case "deactivate":
            return DeactivateState(template)
        case "snapshot":
            return SnapshotState(template)
        case _:
            raise BadInput("a command does something of a later version to a state template")


def _actuate(message: Any) -> Actuate:
    member = message.WhichOneof("value")
    return Actuate(
        message.signal_id,
        message.decoder_sync_id and sync_id(message.decoder_sync_id, of="a decoder manifest"),
        value_of(message, member),
        _PRIMITIVES[member],
    )


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise BadInput(f"{text[:80]!r} is no id of a command: 1 to 64 of A-Z a-z 0-9 _ -")
    return text
