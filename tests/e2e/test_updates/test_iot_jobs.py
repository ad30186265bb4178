"""The real AWS IoT SDK does its jobs at our broker: told of one, it begins it, and ends it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import awsiot
import pytest

from fairway.update import Fault, Stage
from tests.e2e.jobs_site import TENANT, WAIT_S, Device, JobsSite, allow_only
from tests.foreign_site import IMAGE, WISH

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture(params=["mosquitto", "nats-server"])
async def site(
    request: pytest.FixtureRequest, tmp_path: Path, socket_enabled: None
) -> AsyncIterator[JobsSite]:
    made = JobsSite(tmp_path, request.param, ("VIN1", "VIN2"))
    await made.broker.start(allow_only(made))
    await asyncio.to_thread(made.open)
    yield made
    await asyncio.to_thread(made.close)
    await made.broker.stop()
    assert made.died == []


@pytest.fixture
async def device(site: JobsSite) -> AsyncIterator[Device]:
    made = await asyncio.to_thread(Device, site, "VIN1")
    yield made
    await asyncio.to_thread(made.close)


async def test_a_device_is_told_of_a_job_begins_it_and_ends_it(site: JobsSite, device: Device):
    def act() -> None:
        nothing = device.pending()
        assert (nothing.queued_jobs, nothing.in_progress_jobs) == ([], [])
        assert device.start().job_id is None

        order = site.direct.assign(TENANT, WISH, 1)
        told = device.next.get(timeout=WAIT_S)
        assert told.execution.job_id == order.action
        assert told.execution.status == "QUEUED"
        assert list(device.listed.get(timeout=WAIT_S).jobs) == ["QUEUED"]

        begun = device.start(status_details={"stage": "downloading"})
        assert (begun.status, begun.version_number) == ("IN_PROGRESS", 2)
        (image,) = begun.job_document["images"]
        assert image["sha256"] == IMAGE.sha256
        assert image["url"] == f"https://door.example/blobs/{IMAGE.sha256}"
        assert device.pending().in_progress_jobs[0].job_id == order.action

        state = device.update(
            order.action, "IN_PROGRESS", status_details={"percent": "40"}, expected_version=2
        ).execution_state
        assert state.version_number == 3
        shown = device.describe(order.action)
        assert shown.status_details == {"percent": "40"}

        assert device.update(order.action, "SUCCEEDED").execution_state.status == "SUCCEEDED"
        while (heard := device.next.get(timeout=WAIT_S)).execution is not None:
            pass  # told of the same job before
        assert heard.execution is None
        history = site.direct.history(TENANT, "VIN1", order.action)
        assert [one.stage for one in history] == [
            Stage.PLANNED,
            Stage.OFFERED,
            Stage.DOWNLOADING,
            Stage.INSTALLING,
            Stage.COMMITTED,
        ]
        assert history[3].percent == 40

    await asyncio.to_thread(act)


async def test_what_cannot_be_is_refused_in_aws_own_words(site: JobsSite, device: Device):
    def refused(act: Any) -> str:
        with pytest.raises(awsiot.V2ServiceException) as error:
            act()
        modeled: Any = error.value.modeled_error
        return str(modeled.code)

    def act() -> None:
        assert refused(lambda: device.describe("unknown")) == "ResourceNotFound"
        device.pending()
        order = site.direct.assign(TENANT, WISH, 1)
        device.start()
        job = order.action
        mismatch = lambda: device.update(job, "IN_PROGRESS", expected_version=9)  # noqa: E731
        assert refused(mismatch) == "VersionMismatch"
        assert refused(lambda: device.update(job, "CANCELED")) == "InvalidRequest"
        device.update(job, "FAILED", status_details={"message": "no room", "fault": "storage"})
        assert refused(lambda: device.update(job, "SUCCEEDED")) == "TerminalStateReached"
        last = site.direct.history(TENANT, "VIN1", job)[-1]
        assert (last.stage, last.fault, last.sentence) == (Stage.FAILED, Fault.STORAGE, "no room")

    await asyncio.to_thread(act)


async def test_a_job_that_is_cancelled_is_gone_from_the_list(site: JobsSite, device: Device):
    def act() -> None:
        device.pending()
        order = site.direct.assign(TENANT, WISH, 1)
        assert device.next.get(timeout=WAIT_S).execution.job_id == order.action
        device.start()

        site.direct.cancel(TENANT, "VIN1", order.action, 2, force=False)
        while device.next.get(timeout=WAIT_S).execution is not None:
            pass

        assert device.describe(order.action).status == "CANCELED"
        assert site.direct.history(TENANT, "VIN1", order.action)[-1].fault is Fault.CANCELLED
        assert device.pending().in_progress_jobs == []

    await asyncio.to_thread(act)


async def test_a_vehicle_reaches_its_own_jobs_only(site: JobsSite, device: Device):
    order = site.direct.assign(TENANT, WISH, 1)
    other = await asyncio.to_thread(Device, site, "VIN2")
    try:
        device.vehicle = "VIN2"  # VIN1 asks for VIN2's jobs, with its own certificate

        def act() -> None:
            with pytest.raises(awsiot.V2ServiceException):
                device.pending()
            device.vehicle = "VIN1"
            assert device.start().job_id == order.action  # its own still answer
            assert other.start().job_id is None

        await asyncio.to_thread(act)
    finally:
        await asyncio.to_thread(other.close)
