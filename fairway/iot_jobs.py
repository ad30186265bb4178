"""The only speller of AWS IoT Jobs' topics, as devices that know them use them at a broker of ours.

    $aws/things/<vehicle>/jobs/get                       up     which jobs are there
    $aws/things/<vehicle>/jobs/start-next                up     give me the next one, I begin
    $aws/things/<vehicle>/jobs/<job>/get                 up     show me this one ($next: the next one)
    $aws/things/<vehicle>/jobs/<job>/update              up     this is how it stands
    <each of these>/accepted, <each>/rejected            down   the answer
    $aws/things/<vehicle>/jobs/notify, .../notify-next   down   the list has changed, the next one has

A thing's name is a vehicle's id.  AWS IoT Core has these topics for itself: there its own Jobs answer.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from fairway.errors import BadInput
from fairway.ids import vehicle_id

NEXT = "$next"
_JOB = re.compile(r"[A-Za-z0-9_-]{1,64}")
_THINGS = "$aws/things/"


class Verb(StrEnum):
    """What is asked; also how the topic ends."""

    LIST = "get"
    START = "start-next"
    SHOW = "show"  # <job>/get
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Ask:
    """Whose request it is, and what for."""

    vehicle: str
    verb: Verb
    job: str = ""  # of SHOW and UPDATE

    @property
    def topic(self) -> str:
        """Where it was asked."""
        own = f"{_THINGS}{self.vehicle}/jobs"
        match self.verb:
            case Verb.LIST | Verb.START:
                return f"{own}/{self.verb}"
            case Verb.SHOW:
                return f"{own}/{self.job}/get"
            case Verb.UPDATE:
                return f"{own}/{self.job}/update"

    @property
    def accepted(self) -> str:
        """Where it is answered when it was done."""
        return f"{self.topic}/accepted"

    @property
    def rejected(self) -> str:
        """Where it is answered when it was not."""
        return f"{self.topic}/rejected"


def notify(vehicle: str) -> str:
    """Where a vehicle hears that its list has changed."""
    return f"{_THINGS}{vehicle}/jobs/notify"


def notify_next(vehicle: str) -> str:
    """Where a vehicle hears which job is next."""
    return f"{_THINGS}{vehicle}/jobs/notify-next"


def asks(vehicle: str) -> tuple[str, ...]:
    """Return the filters of all that a vehicle asks; `+` for every vehicle."""
    own = f"{_THINGS}{vehicle}/jobs"
    return (f"{own}/get", f"{own}/start-next", f"{own}/+/get", f"{own}/+/update")


def hears(vehicle: str) -> str:
    """Return the filter of all that a vehicle is told; `+` for every vehicle."""
    return f"{_THINGS}{vehicle}/jobs/#"


def asked(topic: str) -> Ask:
    """Return what a topic asks.  Raises BadInput."""
    parts = topic.removeprefix(_THINGS).split("/")
    if topic.startswith(_THINGS) and len(parts) in (3, 4) and parts[1] == "jobs":
        vehicle = vehicle_id(parts[0])
        if len(parts) == 3 and parts[2] in (Verb.LIST, Verb.START):
            return Ask(vehicle, Verb(parts[2]))
        if len(parts) == 4 and (_JOB.fullmatch(parts[2]) or parts[2] == NEXT):
            verbs = {"get": Verb.SHOW, "update": Verb.UPDATE}
            if parts[3] in verbs:
                return Ask(vehicle, verbs[parts[3]], parts[2])
    raise BadInput(f"{topic[:120]!r} is no topic of AWS IoT Jobs")


def is_job(text: str) -> bool:
    """Whether a job may be called so."""
    return _JOB.fullmatch(text) is not None
