"""A broker with AWS IoT Jobs, and the real SDK's client in a vehicle, for tests."""

import queue
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import awsiot
from awscrt import mqtt_request_response
from awsiot import iotjobs, mqtt5_client_builder, mqtt_connection_builder

from fairway.clock import SystemClock
from fleet_cloud.adapters.addresses import embedded_broker
from fleet_cloud.adapters.broker_child import BrokerPlace, make_broker
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.jobs_mqtt import JobsDoor
from fleet_cloud.adapters.memory_foreign import MemoryForeign
from fleet_cloud.adapters.mqtt import MqttDoor
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.config import Broker, Config
from fleet_cloud.rollouts.foreign.direct import DirectOffers
from fleet_cloud.rollouts.foreign.job_desk import JobDesk
from fleet_cloud.vehicles.certificates import Member
from tests.issued import Keys, keys_of
from tests.ports import free_port

CLOCK = SystemClock()
TENANT = "default"
WAIT_S = 20.0
OPTIONS = mqtt_request_response.ClientOptions(4, 4, operation_timeout_in_seconds=10)


class JobsSite:
    """A broker of ours, and the door that serves Jobs there."""

    def __init__(self, folder: Path, program: str, vehicles: tuple[str, ...]) -> None:
        self.folder, self.port, self.program = folder, free_port(), program
        self.pki = FilePki(folder / "pki")
        self.pki.ensure([], CLOCK.now_ns())
        self.keys = {vehicle: keys_of(self.pki, folder, vehicle) for vehicle in vehicles}
        place = BrokerPlace(folder / "broker", "127.0.0.1", self.port, self.pki, jobs=True)
        self.broker = make_broker(program, place, CLOCK)
        self.died: list[BaseException] = []
        self.foreign = MemoryForeign()
        self.direct = DirectOffers(self.foreign, lambda _, vehicle: self.jobs.changed(vehicle))
        desk = JobDesk(self.foreign, self.direct, CLOCK, lambda: "https://door.example")
        tenants = dict.fromkeys(vehicles, TENANT)
        self.jobs = JobsDoor(desk, lambda: tenants, CLOCK, self.died.append, look_s=0.2)
        self.door = MqttDoor(
            embedded_broker(Config(broker=Broker()), self.pki, self.port),
            client_id="fairway-cloud-test",
            intake=Intake(1 << 20),
            clock=CLOCK,
            count=lambda _: None,
            jobs=self.jobs,
        )

    def open(self) -> None:
        """Begin to serve."""
        self.door.start()
        assert self.door.wait_connected(WAIT_S)

    def close(self) -> None:
        """End."""
        self.door.stop()


class Device:
    """A device with the real SDK, as its maker would write it."""

    def __init__(self, site: JobsSite, vehicle: str) -> None:
        self.vehicle = vehicle
        self.jobs: Any
        self._disconnect: Callable[[], object] = lambda: None
        connect = self._mqtt5 if site.program == "mosquitto" else self._mqtt311
        connect(site, site.keys[vehicle])
        self.next: queue.Queue[Any] = queue.Queue()
        self.listed: queue.Queue[Any] = queue.Queue()
        self._streams = [self._next_stream(), self._list_stream()]

    def close(self) -> None:
        """Disconnect."""
        self._streams.clear()
        del self.jobs
        self._disconnect()

    def _mqtt5(self, site: JobsSite, keys: Keys) -> None:
        connected: Future[Any] = Future()
        stopped: Future[Any] = Future()
        client = mqtt5_client_builder.mtls_from_path(
            endpoint="127.0.0.1",
            port=site.port,
            cert_filepath=str(keys.certificate),
            pri_key_filepath=str(keys.key),
            ca_filepath=str(keys.ca),
            client_id=self.vehicle,
            on_lifecycle_connection_success=lambda data: _set(connected, data),
            on_lifecycle_stopped=lambda data: _set(stopped, data),
        )
        # The SDK's own order: what asks learns of the connection when it is made.
        self.jobs = iotjobs.IotJobsClientV2(client, OPTIONS)
        client.start()
        connected.result(WAIT_S)

        def disconnect() -> None:
            client.stop()
            stopped.result(WAIT_S)

        self._disconnect = disconnect

    def _mqtt311(self, site: JobsSite, keys: Keys) -> None:
        connection = mqtt_connection_builder.mtls_from_path(
            endpoint="127.0.0.1",
            port=site.port,
            cert_filepath=str(keys.certificate),
            pri_key_filepath=str(keys.key),
            ca_filepath=str(keys.ca),
            client_id=self.vehicle,
        )
        self.jobs = iotjobs.IotJobsClientV2(connection, OPTIONS)
        connection.connect().result(WAIT_S)
        self._disconnect = lambda: connection.disconnect().result(WAIT_S)

    def pending(self) -> Any:
        """Ask which jobs there are."""
        request = iotjobs.GetPendingJobExecutionsRequest(thing_name=self.vehicle)
        return self.jobs.get_pending_job_executions(request).result(WAIT_S)

    def start(self, **more: Any) -> Any:
        """Begin the next job."""
        request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=self.vehicle, **more)
        return self.jobs.start_next_pending_job_execution(request).result(WAIT_S).execution

    def describe(self, job: str) -> Any:
        """Look at a job."""
        request = iotjobs.DescribeJobExecutionRequest(
            thing_name=self.vehicle, job_id=job, include_job_document=True
        )
        return self.jobs.describe_job_execution(request).result(WAIT_S).execution

    def update(self, job: str, status: str, **more: Any) -> Any:
        """Say how a job stands."""
        request = iotjobs.UpdateJobExecutionRequest(
            thing_name=self.vehicle,
            job_id=job,
            status=status,
            include_job_execution_state=True,
            **more,
        )
        return self.jobs.update_job_execution(request).result(WAIT_S)

    def _next_stream(self) -> Any:
        request = iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=self.vehicle)
        return self._opened(self.jobs.create_next_job_execution_changed_stream, request, self.next)

    def _list_stream(self) -> Any:
        request = iotjobs.JobExecutionsChangedSubscriptionRequest(thing_name=self.vehicle)
        return self._opened(self.jobs.create_job_executions_changed_stream, request, self.listed)

    def _opened(self, make: Any, request: Any, heard: "queue.Queue[Any]") -> Any:
        subscribed: Future[Any] = Future()

        established = mqtt_request_response.SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED

        def status(event: Any) -> None:
            if event.type == established:
                _set(subscribed, event)

        options = awsiot.ServiceStreamOptions(
            incoming_event_listener=heard.put, subscription_status_listener=status
        )
        stream = make(request, options)
        stream.open()
        subscribed.result(WAIT_S)
        return stream


def _set(future: "Future[Any]", value: Any) -> None:
    if not future.done():
        future.set_result(value)


def allow_only(site: JobsSite) -> dict[str, Any]:
    """Return the members whom the broker is to let in: exactly the site's vehicles."""
    return {
        vehicle: Member(
            vehicle,
            TENANT,
            numbers=frozenset({keys.record.number}),
            sha256s=frozenset({keys.record.sha256}),
        )
        for vehicle, keys in site.keys.items()
    }
