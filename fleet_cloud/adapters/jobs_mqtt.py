"""Serves AWS IoT Jobs at our broker: what devices ask is answered, and changes are told to them unasked.

    broker --PUBLISH--> network thread --queue--> this thread --JobDesk--> answers, notices --> broker

Rule 1: whose request it is comes from the topic: the broker lets a vehicle publish below its own name only.
Rule 2: one process at a time serves Jobs at a broker: two would answer twice.
Rule 3: vehicles that were heard of lately are looked at again and again: what is offered to them changes by
        time, too.  Whoever is silent hears of a change when somebody tells this door, or when it asks.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from queue import Empty, Full, Queue

from fairway import iot_jobs
from fairway import log as logs
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Unavailable
from fleet_cloud.rollouts.foreign.job_desk import JobDesk, Telling

log = logs.get("fleet_cloud.jobs")

# Requests that wait: beyond, they are passed over, and a device asks again when nothing comes.
WAITING_MAX = 10_000
# Who asked within so long is looked at again and again, every so often.
HEARD_FOR_NS = 24 * 3600 * NS_PER_S
LOOK_S = 5.0
HEARD_MAX = 100_000
TOPICS = iot_jobs.asks("+")

Publish = Callable[[str, bytes], object]


class JobsDoor:
    """Answers devices that speak Jobs."""

    def __init__(
        self,
        desk: JobDesk,
        tenants: Callable[[], Mapping[str, str]],
        clock: Clock,
        failed: Callable[[BaseException], None],
        look_s: float = LOOK_S,
    ) -> None:
        self._desk, self._tenants, self._clock = desk, tenants, clock
        self._failed, self._look_s = failed, look_s
        self._waiting: Queue[tuple[str, bytes] | str | None] = Queue(WAITING_MAX)
        self._heard: OrderedDict[str, int] = OrderedDict()
        self._publish: Publish = lambda _topic, _payload: None
        self._thread = threading.Thread(target=self._work, name="iot-jobs")

    def start(self, publish: Publish) -> None:
        """Begin to answer, through `publish`, which must not block."""
        self._publish = publish
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():  # it may never have begun
            self._waiting.put(None)
            self._thread.join()

    def hear(self, topic: str, payload: bytes) -> None:
        """Take a request; from the network thread."""
        self._offer((topic, payload))

    def changed(self, vehicle: str) -> None:
        """Have a vehicle told what has changed for it; from any thread, must not block."""
        self._offer(vehicle)

    def _offer(self, what: "tuple[str, bytes] | str") -> None:
        try:
            self._waiting.put_nowait(what)
        except Full:
            log.warning("jobs_full", waiting=WAITING_MAX)

    def _work(self) -> None:
        due_ns = self._clock.monotonic_ns()
        try:
            while True:
                left_s = max(0.0, (due_ns - self._clock.monotonic_ns()) / NS_PER_S)
                try:
                    what = self._waiting.get(timeout=min(left_s, self._look_s))
                except Empty:
                    what = ""
                if what is None:
                    return
                if what:
                    self._do(what)
                if self._clock.monotonic_ns() >= due_ns:
                    self._look()
                    due_ns = self._clock.monotonic_ns() + int(self._look_s * NS_PER_S)
        except BaseException as error:  # noqa: BLE001 - told to the program, which ends
            self._failed(error)

    def _do(self, what: "tuple[str, bytes] | str") -> None:
        try:
            if isinstance(what, str):
                self._tell(what)
                return
            topic, payload = what
            ask = iot_jobs.asked(topic)
            tenant = self._tenants().get(ask.vehicle)
            if tenant is None:
                log.warning("jobs_stranger", vehicle=ask.vehicle)
                return
            self._note(ask.vehicle)
            self._say(self._desk.answer(tenant, ask, payload))
        except BadInput as error:
            log.warning("topic_refused", reason=str(error))
        except Unavailable as error:  # the device asks again
            log.warning("jobs_put_off", reason=str(error))

    def _tell(self, vehicle: str) -> None:
        tenant = self._tenants().get(vehicle)
        if tenant is not None:
            self._say(self._desk.look(tenant, vehicle))

    def _note(self, vehicle: str) -> None:
        self._heard[vehicle] = self._clock.monotonic_ns()
        self._heard.move_to_end(vehicle)
        if len(self._heard) > HEARD_MAX:
            gone, _ = self._heard.popitem(last=False)
            self._desk.forget(gone)

    def _look(self) -> None:
        until_ns = self._clock.monotonic_ns() - HEARD_FOR_NS
        for vehicle, heard_ns in list(self._heard.items()):
            if heard_ns < until_ns:
                del self._heard[vehicle]
                self._desk.forget(vehicle)
            else:
                self._do(vehicle)

    def _say(self, tellings: list[Telling]) -> None:
        for telling in tellings:
            self._publish(telling.topic, json.dumps(telling.content).encode())
