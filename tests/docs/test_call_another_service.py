"""The page on calls between services: its manifests agree, its programs call each other by real doors."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import yaml

from edge_agent.services.instance import Instance
from fairway.services.model import Offer, Runner, Service, Use
from tests.docs.pages import DOCS
from tests.edge_agent.adapters import service_rig as rigs

pytestmark = pytest.mark.slow

PAGE = (DOCS / "howto" / "call-another-service.md").read_text(encoding="utf-8")
MANIFESTS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
PROGRAMS = dict(re.findall(r'```python title="(\w+\.py)"\n(.*?)```', PAGE, re.DOTALL))
# What the programs import, before the interpreter's folders may be out of reach.
_BEFORE = "import concurrent.futures.thread, grpc, grpc._cython, jwt, jwt.algorithms, jwt.jwks_client, runpy\n"
_LOAD = (
    "import google.protobuf.empty_pb2, google.protobuf.wrappers_pb2, fairway.v1.services_pb2_grpc\n"
)
_RUN = "runpy.run_path(sys.argv[1], run_name='__main__')"


def service(name: str) -> Service:
    """Return a service of the page, as a plain program."""
    (said,) = [one for one in MANIFESTS if one["name"] == name]
    offers = [
        Offer(**one | {key: tuple(one[key]) for key in ("features", "to")})
        for one in said.get("offers", ())
    ]
    made = Service(
        name,
        said["version"],
        said["image"],
        offers=tuple(offers),
        uses=tuple(Use(**one) for one in said.get("uses", ())),
    )
    return replace(made, runner=Runner.PROCESS, image="")


@contextmanager
def running(rig: rigs.Rig, name: str, instance: Instance, env: Any) -> Iterator[Any]:
    """Run a program of the page as the user of an instance, in the environment of its door."""
    program = rig.folder / name
    program.write_text(PROGRAMS[name])
    code = _BEFORE + _LOAD + rigs.BECOME + _RUN
    user = instance.uid if rigs.IS_ROOT else -1
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(user), str(program)],
        env=dict(env) | paths,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def line(process: Any) -> str:
    return (await asyncio.to_thread(process.stdout.readline)).strip()


async def test_the_programs_call_each_other():
    async with rigs.served() as rig:
        battery, log = rig.instance(service("battery")), rig.instance(service("trip-log"))
        its, mine = await rig.doors.open(battery), await rig.doors.open(log)
        looking = asyncio.create_task(rig.doors.run())
        with running(rig, "watch.py", log, mine) as watch:
            first = await line(watch)
            with running(rig, "battery.py", battery, its) as serving:
                assert await line(serving) == "serving"
                await rig.in_force(battery)
                second = await line(watch)
                with running(rig, "trip_log.py", log, mine) as asking:
                    answer = await line(asking)
                asked_by = await line(serving)
                own = (log.sockets / "token").read_text()
                (log.sockets / "uses/battery.health/token").write_text(
                    own
                )  # for the agent, by mistake
                with running(rig, "trip_log.py", log, mine) as asking:
                    mistaken = await asyncio.to_thread(asking.stdout.read)
        looking.cancel()

    assert first == "battery.health nobody offers battery.health to trip-log now"
    assert second == "battery.health uses/battery.health/sock"
    assert (answer, asked_by) == ("97.5", "asked by trip-log")
    assert "no token for battery: Audience doesn't match" in mistaken


def test_the_sentences_of_the_table_are_the_code_s():
    sources = "".join(
        (DOCS.parent / module).read_text()
        for module in ("edge_agent/services/registry.py", "edge_agent/adapters/service_doors.py")
    )

    for sentence in (
        "nobody offers {use.name} to {user.name} now",
        "has no socket {socket} there yet",
    ):
        assert sentence in sources
