"""The MQTT door: telemetry and control messages from any broker in, receipts and orders out.

    broker --PUBLISH--> network thread --Intake--> ingest --answer--> PUBACK, and receipts to down/telemetry
                                       --Control-> PUBACK at once; down/control

Rule 1: whose message it is comes from the topic: the broker lets a vehicle publish below its own name only.
Rule 2: a message is acknowledged to the broker when it has been answered, so that the broker's limit on
unacknowledged messages holds back the flood.  When the intake stays full, batches are answered BUSY.
Rule 3: sessions are clean: what was in flight when a process died is sent again by the vehicles.
Rule 4: of control messages few are on their way at once: a change for a large fleet does not hold receipts up.
"""

from collections import deque
from collections.abc import Callable, Sequence

import paho.mqtt.client as paho

from fairway import log as logs
from fairway.clock import Clock
from fairway.errors import BadInput, FairwayError
from fairway.telemetry import Outcome, Receipt, SealedBatch
from fairway.topics import (
    ALL_UP_CONTROL,
    ALL_UP_TELEMETRY,
    down_control,
    down_telemetry,
    up_control,
    vehicle_of,
)
from fairway.wire.telemetry import receipts_to_bytes, request_from_bytes
from fleet_cloud.adapters.addresses import BrokerAddress
from fleet_cloud.adapters.control import Control
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.jobs_mqtt import TOPICS, JobsDoor
from fleet_cloud.adapters.mqtt_session import Heard, MqttSession, Terms
from fleet_cloud.ingest.ports import Answer, Message
from fleet_cloud.ingest.status import Counts
from fleet_cloud.vehicles.rights import SHARE_GROUP

log = logs.get("fleet_cloud.mqtt")

# Messages the broker may have on their way to us: some hundred vehicles' windows, a tenth of a second of work.
RECEIVE_MAXIMUM = 2_000
# Lists and commands on their way: a tenth of a second of them, and far fewer than receipts may be.
CONTROL_IN_FLIGHT_MAX = 500
# How long the network thread stands still for a full intake before it begins to answer BUSY.
STALL_S = 1.0
TURNED_AWAY_RETRY_MS = 5_000


class MqttDoor:
    """Takes telemetry from a broker, and sends receipts through it."""

    def __init__(  # noqa: PLR0913 - put together once, in app.py
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        intake: Intake,
        clock: Clock,
        count: Callable[[Counts], None],
        control: Control | None = None,  # None: control messages are left to others
        jobs: JobsDoor | None = None,  # None: AWS IoT Jobs are not served here
    ) -> None:
        self._control, self._jobs = control, jobs
        self._control_sent: deque[paho.MQTTMessageInfo] = deque()  # the control thread's alone
        self._intake = intake
        self._clock = clock
        self._count = count
        self._session = MqttSession(
            address,
            client_id=client_id,
            topics=[
                ALL_UP_TELEMETRY,
                *([ALL_UP_CONTROL] if control else []),
                *(TOPICS if jobs else []),
            ],
            terms=Terms(RECEIVE_MAXIMUM, keeps_session=False, share_group=SHARE_GROUP),
            hear=self._hear,
        )

    @property
    def connected(self) -> bool:
        """Whether messages can come in now."""
        return self._session.connected

    def start(self) -> None:
        """Begin to connect, and go on for ever.  Raises BadInput for an address that cannot work."""
        self._session.start()
        if self._jobs is not None:
            self._jobs.start(self.send_job)

    def wait_connected(self, timeout_s: float) -> bool:
        """Return whether the door is open within `timeout_s`."""
        return self._session.wait_connected(timeout_s)

    def stop(self) -> None:
        """Close the door; receipts handed over before are sent first, as far as the broker takes them."""
        if self._jobs is not None:
            self._jobs.stop()
        self._session.stop()

    def answer(self, answers: Sequence[Answer]) -> None:
        receipts: dict[str, list[Receipt]] = {}
        for answer in answers:
            if answer.receipt is not None:
                receipts.setdefault(answer.message.vehicle, []).append(answer.receipt)
        for vehicle, some in receipts.items():
            # Dropped when too many wait already: the vehicle sends the batch again and hears DUPLICATE.
            self._session.publish(down_telemetry(vehicle), receipts_to_bytes(some))
        self._session.acknowledge(*[answer.message.token for answer in answers])

    @property
    def is_crowded(self) -> bool:
        """Whether as many control messages are on their way as may be; for the thread that sends them."""
        while self._control_sent and self._control_sent[0].is_published():
            self._control_sent.popleft()
        return len(self._control_sent) >= CONTROL_IN_FLIGHT_MAX

    def send_control(self, vehicle: str, data: bytes) -> bool:
        sent = self._session.publish(down_control(vehicle), data)
        if sent is not None:
            self._control_sent.append(sent)
        return True

    def send_job(self, topic: str, payload: bytes) -> None:
        """Send an answer or a notice of AWS IoT Jobs; dropped when too much waits: it is asked for again."""
        self._session.publish(topic, payload)

    def _hear(self, heard: Heard) -> None:
        if self._jobs is not None and heard.topic.startswith("$"):
            self._jobs.hear(heard.topic, heard.payload)
            self._session.acknowledge(heard)
            return
        try:
            vehicle = vehicle_of(heard.topic)
        except BadInput as error:
            log.warning("topic_refused", reason=str(error))
            self._count(Counts(messages=1, bytes=len(heard.payload), denied=1))
            self._session.acknowledge(heard)
            return
        if self._control is not None and heard.topic == up_control(vehicle):
            if not self._control.offer(vehicle, heard.payload, self):
                log.warning("control_full", vehicle=vehicle)
            self._session.acknowledge(heard)
            return
        message = Message(vehicle, heard.payload, self._clock.now_ns(), self, heard)
        if not self._intake.offer(message, wait_s=STALL_S):
            self._turn_away(message)

    def _turn_away(self, message: Message) -> None:
        """Answer BUSY without ingest, which has its hands full."""
        if self._session.is_stopping:
            return  # unacknowledged and unanswered: it comes again
        self._count(Counts(messages=1, bytes=len(message.data), busy=1))
        receipt = None
        try:
            content = request_from_bytes(message.data, vehicle=message.vehicle)
        except FairwayError:
            content = (
                None  # if it matters it comes again, and ingest will say what is wrong with it
            )
        if isinstance(content, SealedBatch):
            name = content.name
            receipt = Receipt(
                name.stream, name.sequence, Outcome.BUSY, retry_after_ms=TURNED_AWAY_RETRY_MS
            )
        self.answer([Answer(message, receipt)])
