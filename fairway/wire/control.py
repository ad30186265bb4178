"""Control nouns <-> bytes.

    from_vehicle_to_bytes, from_vehicle_from_bytes      ControlRequest
    to_vehicle_to_bytes, to_vehicle_from_bytes          ControlResponse

Rule 1: foreign bytes become nouns or BadInput, in time and memory bounded by the constants below.
Rule 2: a campaign that cannot be read costs that campaign, not the list it came in.
"""

import re
from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from fairway.control import (
    ActivateState,
    Answer,
    AnswerState,
    Catalogue,
    CatalogueWanted,
    CheckIn,
    Command,
    DeactivateState,
    ExplainCampaign,
    FromVehicle,
    ServiceList,
    SnapshotState,
    StateReport,
    StateTemplate,
    StateTemplateList,
    StateValue,
    ToVehicle,
    UpdateNotice,
    UploadPartition,
    What,
)
from fairway.errors import BadInput
from fairway.v1 import control_pb2 as v1
from fairway.wire import control_campaigns as campaigns
from fairway.wire import control_services as services
from fairway.wire.compression import compressed, decompressed
from fairway.wire.telemetry import dictionary_from_message, dictionary_message

# A catalogue of a whole vehicle, or a report of every signal of one, with room.
REQUEST_MAX_BYTES = 4 * 1024 * 1024
# 256 campaigns with their documents compressed; brokers commonly stop before.
RESPONSE_MAX_BYTES = 8 * 1024 * 1024
ID_MAX_CHARACTERS = 64
NAME_MAX_CHARACTERS = 512
SENTENCE_MAX_CHARACTERS = 500
VALUE_MAX_CHARACTERS = 4096
STATE_VALUES_MAX = 65_536
STATE_TEMPLATES_MAX = 256
SIGNALS_PER_TEMPLATE_MAX = 1000
# An explanation of a campaign of a thousand signals.
ANSWER_JSON_MAX_BYTES = 2 * 1024 * 1024
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def from_vehicle_to_bytes(noun: FromVehicle) -> bytes:
    """Return a ControlRequest."""
    match noun:
        case CheckIn():
            request = v1.ControlRequest(check_in=campaigns.check_in_message(noun))
        case Catalogue():
            request = v1.ControlRequest(catalogue=dictionary_message(noun.dictionary))
        case StateReport():
            request = v1.ControlRequest(state=_report_message(noun))
        case _:
            request = v1.ControlRequest(answer=_answer_message(noun))
    return request.SerializeToString()


def from_vehicle_from_bytes(data: bytes) -> FromVehicle:
    """Read a ControlRequest.  Raises BadInput."""
    request = _read(v1.ControlRequest, data, REQUEST_MAX_BYTES)
    match request.WhichOneof("content"):
        case "check_in":
            return campaigns.check_in(request.check_in)
        case "catalogue":
            return Catalogue(dictionary_from_message(request.catalogue))
        case "state":
            return _report(request.state)
        case "answer":
            return _answer(request.answer)
        case _:
            raise BadInput("the message is an empty ControlRequest, or one of a later version")


def to_vehicle_to_bytes(noun: ToVehicle) -> bytes:
    """Return a ControlResponse."""
    match noun:
        case CatalogueWanted():
            response = v1.ControlResponse(catalogue_wanted=v1.CatalogueWanted())
        case StateTemplateList():
            templates = [
                v1.StateTemplate(name=one.name, signals=one.signals, period_ms=one.period_ms)
                for one in noun.templates
            ]
            response = v1.ControlResponse(
                state_templates=v1.StateTemplateList(revision=noun.revision, templates=templates)
            )
        case Command():
            response = v1.ControlResponse(command=_command_message(noun))
        case ServiceList():
            response = v1.ControlResponse(services=services.list_message(noun))
        case UpdateNotice():
            response = v1.ControlResponse(
                update=v1.UpdateNotice(url=noun.url, revision=noun.revision)
            )
        case _:
            response = v1.ControlResponse(campaigns=campaigns.list_message(noun))
    return response.SerializeToString()


def to_vehicle_from_bytes(data: bytes) -> ToVehicle:
    """Read a ControlResponse.  Raises BadInput."""
    response = _read(v1.ControlResponse, data, RESPONSE_MAX_BYTES)
    match response.WhichOneof("content"):
        case "campaigns":
            return campaigns.campaign_list(response.campaigns)
        case "catalogue_wanted":
            return CatalogueWanted()
        case "state_templates":
            return _templates(response.state_templates)
        case "command":
            return _command(response.command)
        case "services":
            return services.service_list(response.services)
        case "update":
            return _notice(response.update)
        case _:
            raise BadInput("the message is an empty ControlResponse, or one of a later version")


def _notice(message: v1.UpdateNotice) -> UpdateNotice:
    url = message.url
    if url and (len(url) > NAME_MAX_CHARACTERS or not url.startswith("https://")):
        raise BadInput(f"a notice of updates names {url[:80]!r}, which is no https:// address")
    return UpdateNotice(url, message.revision)


def _read(kind: Any, data: bytes, most: int) -> Any:
    name = kind.DESCRIPTOR.name
    if len(data) > most:
        raise BadInput(f"a {name} of {len(data)} bytes is over the limit of {most}")
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise BadInput(f"the message is no {name}") from error


def _report_message(report: StateReport) -> v1.StateReport:
    message = v1.StateReport(template=report.template)
    for one in report.values:
        value = message.values.add(name=one.name, time_ns=one.time_ns)
        if isinstance(one.value, bool):
            value.truth = one.value
        elif isinstance(one.value, str):
            value.text = one.value[:VALUE_MAX_CHARACTERS]
        else:
            value.number = one.value
    return message


def _report(message: v1.StateReport) -> StateReport:
    if len(message.values) > STATE_VALUES_MAX:
        raise BadInput(
            f"a report of {len(message.values)} values is over the limit of {STATE_VALUES_MAX}"
        )
    values = []
    for one in message.values:
        kind = one.WhichOneof("value")
        if kind is None:
            raise BadInput(f"the value of {one.name[:80]!r} is missing, or of a later version")
        value = getattr(one, kind)
        if isinstance(value, str) and len(value) > VALUE_MAX_CHARACTERS:
            raise BadInput(
                f"the value of {one.name[:80]!r} is longer than {VALUE_MAX_CHARACTERS} characters"
            )
        values.append(StateValue(_name(one.name), one.time_ns, value))
    return StateReport(_name(message.template), tuple(values))


def _answer_message(answer: Answer) -> v1.Answer:
    return v1.Answer(
        id=answer.id,
        state=v1.AnswerState.ValueType(answer.state),
        reason_code=answer.reason_code,
        sentence=answer.sentence[:SENTENCE_MAX_CHARACTERS],
        json=compressed(answer.json.encode()) if answer.json else b"",
    )


def _answer(message: v1.Answer) -> Answer:
    if message.state not in {int(state) for state in AnswerState}:
        raise BadInput(f"an answer has state {message.state}, which is of a later version or none")
    text = b""
    if message.json:
        text = decompressed(message.json, max_bytes=ANSWER_JSON_MAX_BYTES, what="an answer")
    try:
        json = text.decode()
    except UnicodeDecodeError as error:
        raise BadInput("an answer's json is no text") from error
    return Answer(
        _id(message.id),
        AnswerState(message.state),
        message.reason_code,
        message.sentence[:SENTENCE_MAX_CHARACTERS],
        json,
    )


def _templates(message: v1.StateTemplateList) -> StateTemplateList:
    if len(message.templates) > STATE_TEMPLATES_MAX:
        raise BadInput(
            f"a list of {len(message.templates)} state templates is over {STATE_TEMPLATES_MAX}"
        )
    for one in message.templates:
        if len(one.signals) > SIGNALS_PER_TEMPLATE_MAX:
            raise BadInput(
                f"the state template {one.name[:80]!r} has over {SIGNALS_PER_TEMPLATE_MAX} signals"
            )
    return StateTemplateList(
        message.revision,
        tuple(
            StateTemplate(
                _name(one.name), tuple(_name(signal) for signal in one.signals), one.period_ms
            )
            for one in message.templates
        ),
    )


def _command_message(command: Command) -> v1.Command:
    message = v1.Command(id=command.id, expires_time_ns=command.expires_time_ns)
    match command.what:
        case ExplainCampaign(campaign):
            message.explain_campaign.campaign = campaign
        case UploadPartition(campaign, partition, end_time_ns):
            message.upload_partition.MergeFrom(
                v1.UploadPartition(campaign=campaign, partition=partition, end_time_ns=end_time_ns)
            )
        case ActivateState(template, after_s):
            message.activate_state.MergeFrom(
                v1.ActivateState(template=template, deactivate_after_s=after_s)
            )
        case DeactivateState(template):
            message.deactivate_state.template = template
        case SnapshotState(template):
            message.snapshot_state.template = template
        case _:
            services.put_command(message, command.what)
    return message


_WHATS: dict[str, Callable[..., What]] = {
    "explain_campaign": lambda m: ExplainCampaign(_name(m.campaign)),
    "upload_partition": lambda m: UploadPartition(
        _name(m.campaign), _name(m.partition, may_be_empty=True), m.end_time_ns
    ),
    "activate_state": lambda m: ActivateState(_name(m.template), m.deactivate_after_s),
    "deactivate_state": lambda m: DeactivateState(_name(m.template)),
    "snapshot_state": lambda m: SnapshotState(_name(m.template)),
    **services.WHATS,
}


def _command(message: v1.Command) -> Command:
    kind = message.WhichOneof("what")
    if kind is None:
        raise BadInput(
            f"the command {message.id[:64]!r} says nothing, or something of a later version"
        )
    return Command(_id(message.id), message.expires_time_ns, _WHATS[kind](getattr(message, kind)))


def _name(text: str, *, may_be_empty: bool = False) -> str:
    if len(text) > NAME_MAX_CHARACTERS or (not text and not may_be_empty):
        raise BadInput(f"{text[:80]!r} is no name: 1 to {NAME_MAX_CHARACTERS} characters")
    return text


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise BadInput(f"{text[:80]!r} is no id: 1 to {ID_MAX_CHARACTERS} of A-Z a-z 0-9 _ -")
    return text
