"""Greengrass components run as the processes that their recipes became."""

import json
from collections.abc import AsyncIterator

import pytest

from edge_agent.services.runtime import Exit
from fairway.services.foreign_greengrass import services_of
from fairway.services.model import Service
from tests.edge_agent.adapters.process_site import Site, site
from tests.edge_agent.adapters.test_runtime_process import GENEROUS_S, clean, ended, until
from tests.shared_data import shared


@pytest.fixture
async def place() -> AsyncIterator[Site]:
    with site(with_groups=False) as found:
        try:
            yield found
        finally:
            await clean(found)


def component(**lifecycle: object) -> tuple[Service, ...]:
    said = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "lamp",
        "ComponentVersion": "1.0.0",
        "Manifests": [{"Lifecycle": lifecycle}],
    }
    return services_of(json.dumps(said)).services


async def test_the_customer_app_says_hello(place: Site):
    text = shared("edge/greengrass/CustomerApp-1.0.0.yaml").read_text()
    instance = place.of(services_of(text).services[0])
    runtime = place.runtime()
    await runtime.start(instance)

    assert await ended(runtime, instance.id) == Exit(0)
    assert place.outputs.text(instance.id) == "Hello Greengrass. This is a test\n"


async def test_the_breaking_app_breaks(place: Site):
    text = shared("edge/greengrass/BreakingApp-1.0.0.yaml").read_text().replace("sleep 5", "true")
    instance = place.of(services_of(text).services[0])
    runtime = place.runtime()
    await runtime.start(instance)

    assert (await ended(runtime, instance.id)).code not in (0, None)


async def test_what_startup_began_runs_until_shutdown_has_ended_it(place: Site):
    (service,) = component(
        startup='sleep 1000 & echo $! > {work:path}/pid; echo "up"',
        shutdown='kill $(cat {work:path}/pid); echo "down"',
    )
    instance = place.of(service)
    runtime = place.runtime()
    await runtime.start(instance)
    await until(lambda: place.outputs.text(instance.id) == "up\n")

    await runtime.stop(instance.id, grace_s=GENEROUS_S)

    words = place.outputs.text(instance.id).split()  # some shells say "Terminated", too
    assert [word for word in words if word in ("up", "down")] == ["up", "down"]


async def test_a_startup_that_fails_fails_the_service(place: Site):
    (service,) = component(startup="exit 9", shutdown="echo down")
    instance = place.of(service)
    runtime = place.runtime()
    await runtime.start(instance)

    assert await ended(runtime, instance.id) == Exit(9)


async def test_shutdown_runs_however_run_ended(place: Site):
    (service,) = component(run="echo work; exit 3", shutdown="echo down")
    instance = place.of(service)
    runtime = place.runtime()
    await runtime.start(instance)

    assert await ended(runtime, instance.id) == Exit(3)
    assert place.outputs.text(instance.id) == "work\ndown\n"


async def test_a_stopped_run_ends_with_its_shutdown(place: Site):
    (service,) = component(run="echo work; sleep 1000", shutdown="echo down")
    instance = place.of(service)
    runtime = place.runtime()
    await runtime.start(instance)
    await until(lambda: place.outputs.text(instance.id) == "work\n")

    await runtime.stop(instance.id, grace_s=GENEROUS_S)

    assert place.outputs.text(instance.id).startswith("work\n")
    assert place.outputs.text(instance.id).endswith("down\n")


async def test_a_step_that_takes_too_long_is_ended(place: Site):
    service = component(install={"script": "sleep 1000; echo done", "timeout": 0.2}, run="true")[0]
    instance = place.of(service)
    runtime = place.runtime()
    await runtime.start(instance)

    assert await ended(runtime, instance.id) == Exit(None, 15)
    assert place.outputs.text(instance.id) == ""


async def test_a_step_in_time_succeeds_and_leaves_no_watch(place: Site):
    service = component(install={"script": "echo done", "timeout": 1000}, run="true")[0]
    instance = place.of(service)
    runtime = place.runtime()
    await runtime.start(instance)

    assert await ended(runtime, instance.id) == Exit(0)


async def test_what_install_made_is_there_for_run_and_made_once(place: Site):
    (service,) = component(
        install='echo made; echo "it\'s here" > {work:path}/x', run="cat {work:path}/x"
    )
    instance = place.of(service)
    runtime = place.runtime()
    for _ in range(2):
        await runtime.start(instance)
        assert await ended(runtime, instance.id) == Exit(0)

    assert place.outputs.text(instance.id) == "made\nit's here\nit's here\n"


async def test_a_service_whose_install_fails_fails(place: Site):
    (service,) = component(install="exit 6; : {work:path}", run="echo never")
    instance = place.of(service)
    runtime = place.runtime()
    await runtime.start(instance)

    assert await ended(runtime, instance.id) == Exit(6)
    assert place.outputs.text(instance.id) == ""


async def test_a_skipped_step_succeeds(place: Site):
    service = component(install={"script": "exit 1", "skipif": "onpath sh"}, run="true")[0]
    instance = place.of(service)
    runtime = place.runtime()
    await runtime.start(instance)

    assert await ended(runtime, instance.id) == Exit(0)
