"""The body that creates a container says everything that it must not have."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.services.engine_spec import (
    MEMORY_MIN_BYTES,
    Engine,
    body,
    container_name,
    image_name,
)
from edge_agent.services.instance import ImageSettings, Instance, Root
from fairway.errors import BadInput
from fairway.services.model import Data, Network, Resources, Service

DIGEST = "sha256:" + "d" * 64
PODMAN = Engine("car-1", is_podman=True, seccomp='{"a": 1}', seccomp_file="/x/seccomp.json")
DOCKER = Engine("car-1", is_podman=False, seccomp='{"a": 1}')


def instance(**service: object) -> Instance:
    made = replace(Service("tyres", "1.0.0", image=DIGEST), **service)  # type: ignore[arg-type]
    settings = ImageSettings(("/app", "-v"), (("PATH", "/bin"), ("A", "image")), "/srv")
    return Instance(
        "tyres.0123456789ab",
        made,
        Root(DIGEST, (), settings),
        30_001,
        Path("/run/x:y/tyres"),
        ((Path("/data/0"), Data("/var/lib/tyres")),),
        (("A", "agent"),),
    )


def test_nothing_of_the_vehicle_is_in_reach():
    host = body(instance(), DOCKER)["HostConfig"]

    assert (host["CapDrop"], host["Privileged"], host["ReadonlyRootfs"]) == (["ALL"], False, True)
    assert host["SecurityOpt"] == ["no-new-privileges", 'seccomp={"a": 1}']
    assert (host["NetworkMode"], host["IpcMode"]) == ("none", "private")
    assert host["RestartPolicy"] == {"Name": "no"}
    assert "Binds" not in host
    assert "Devices" not in host


def test_podman_reads_its_list_of_system_calls_from_a_file():
    assert body(instance(), PODMAN)["HostConfig"]["SecurityOpt"][1] == "seccomp=/x/seccomp.json"


def test_a_path_with_a_colon_stays_a_path():
    mounts = body(instance(), DOCKER)["HostConfig"]["Mounts"]

    assert [(one["Source"], one["Target"]) for one in mounts] == [
        ("/run/x:y/tyres", "/run/ecu"),
        ("/data/0", "/var/lib/tyres"),
    ]


def test_what_is_run_is_said_whole():
    said = body(instance(), DOCKER)

    assert (said["Entrypoint"], said["Cmd"], said["WorkingDir"]) == (["/app"], ["-v"], "/srv")
    assert {"PATH=/bin", "A=agent"} < set(said["Env"])
    assert said["User"] == "30001:30001"
    assert said["Labels"] == {"fairway.agent": "car-1", "fairway.instance": "tyres.0123456789ab"}
    json.dumps(said)


def test_the_network_of_the_vehicle_is_given_by_name_alone():
    assert body(instance(network=Network.HOST), DOCKER)["HostConfig"]["NetworkMode"] == "host"


def test_limits_are_never_below_what_engines_take():
    least = Resources(memory_max_bytes=1, cpu_max=0.0001)
    host = body(instance(resources=least), DOCKER)["HostConfig"]

    assert host["Memory"] == host["MemorySwap"] == MEMORY_MIN_BYTES
    assert host["CpuQuota"] == 1_000


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"root": None}, "has no image"),
        ({"uid": 0}, "would run as root"),
        ({"root": Root(DIGEST, (), ImageSettings())}, "neither its manifest"),
        ({"environment": (("A", "\0"),)}, "zero byte"),
    ],
)
def test_what_never_can_run_is_refused(changed: dict[str, object], reason: str):
    with pytest.raises(BadInput, match=reason):
        body(replace(instance(), **changed), DOCKER)  # type: ignore[arg-type]


def test_names_say_whose_they_are():
    assert container_name("car-1", "tyres.0123456789ab") == "fairway-car-1-tyres.0123456789ab"
    assert image_name(DIGEST) == "localhost/fairway:" + "d" * 64
