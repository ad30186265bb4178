"""What a service gets, as the configuration of its container."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.services.instance import ImageSettings, Instance, Root
from edge_agent.services.oci_config import Vehicle, config, skeleton
from fairway.errors import BadInput
from fairway.services.model import MIB, Data, Network, Resources, Service

VEHICLE = Vehicle(files_hard_max=4096, names=("/etc/hosts", "/etc/resolv.conf"))
IMAGE = ImageSettings(("/app/run", "--fast"), (("LANG", "C.UTF-8"), ("MODE", "image")), "/app")


def instance(data: tuple[str, ...] = (), image: ImageSettings = IMAGE, **service: Any) -> Instance:
    return Instance(
        "tyres.0123456789ab",
        Service("tyres", "1.2.3", **service),
        Root("sha256:x", (Path("/images/base"),), image),
        31_007,
        Path("/run/fairway/tyres"),
        tuple((Path(f"/data/{number}"), Data(path)) for number, path in enumerate(data)),
        (("AGENT", "unix:/run/ecu/agent.sock"),),
    )


def made(*args: Any, **service: Any) -> dict[str, Any]:
    return config(instance(*args, **service), VEHICLE, root="/bundle/root")


def test_a_service_has_no_rights():
    process = made()["process"]

    assert process["user"] == {"uid": 31_007, "gid": 31_007}
    assert process["noNewPrivileges"] is True
    assert set(map(tuple, process["capabilities"].values())) == {()}
    assert len(process["capabilities"]) == 5
    assert made()["root"] == {"path": "/bundle/root", "readonly": True}


def test_its_limits_are_those_of_its_manifest():
    resources = Resources(memory_max_bytes=48 * MIB, cpu_max=0.25, pids_max=7, files_max=99)

    limits = made(resources=resources)

    assert limits["linux"]["resources"] == {
        "devices": [{"allow": False, "access": "rwm"}],
        "memory": {"limit": 48 * MIB, "swap": 48 * MIB},
        "cpu": {"quota": 25_000, "period": 100_000, "shares": 256},
        "pids": {"limit": 7},
    }
    assert {"type": "RLIMIT_NOFILE", "hard": 99, "soft": 99} in limits["process"]["rlimits"]


def test_nobody_gets_more_open_files_than_the_agent_may_give():
    resources = Resources(files_max=1_000_000)

    assert made(resources=resources)["process"]["rlimits"][0]["hard"] == 4096


def test_swap_is_not_limited_where_the_kernel_does_not_count_it():
    vehicle = replace(VEHICLE, limits_swap=False)

    memory = config(instance(), vehicle, root="/r")["linux"]["resources"]["memory"]
    assert "swap" not in memory


def test_an_agent_that_is_itself_expendable_cannot_make_its_services_less_so():
    assert (
        config(instance(), replace(VEHICLE, oom_score=800), root="/r")["process"]["oomScoreAdj"]
        == 800
    )


def test_what_the_manifest_says_goes_before_the_image_and_the_agent_before_both():
    environment = (("MODE", "manifest"), ("AGENT", "tcp:elsewhere"))

    process = made(command=("/bin/other",), environment=environment)["process"]

    assert process["args"] == ["/bin/other"]
    assert {"MODE=manifest", "LANG=C.UTF-8", "AGENT=unix:/run/ecu/agent.sock"} <= set(
        process["env"]
    )
    assert "AGENT=tcp:elsewhere" not in process["env"]


def test_without_a_command_the_image_says_what_is_run_and_where():
    process = made()["process"]

    assert (process["args"], process["cwd"]) == (["/app/run", "--fast"], "/app")


@pytest.mark.parametrize(
    ("image", "service"),
    [
        (ImageSettings(), {}),
        (IMAGE, {"command": ("",)}),
        (IMAGE, {"command": ("/bin/x", "a\0b")}),
        (IMAGE, {"environment": (("A=B", "c"),)}),
        (IMAGE, {"environment": (("", "c"),)}),
        (IMAGE, {"environment": (("A", "c\0"),)}),
        (replace(IMAGE, folder="/a\0"), {}),
    ],
)
def test_what_can_never_run_is_refused(image: ImageSettings, service: dict[str, Any]):
    with pytest.raises(BadInput, match=r"tyres\.0123456789ab"):
        made((), image, **service)


def test_a_service_has_namespaces_of_its_own():
    kinds = {entry["type"] for entry in made()["linux"]["namespaces"]}

    assert kinds == {"pid", "ipc", "uts", "mount", "network", "cgroup"}


def test_a_service_on_the_network_of_the_vehicle_shares_that_alone():
    host = made(network=Network.HOST)

    assert {entry["type"] for entry in host["linux"]["namespaces"]} == {
        "pid",
        "ipc",
        "uts",
        "mount",
        "cgroup",
    }
    names = [mount for mount in host["mounts"] if mount["destination"].startswith("/etc/")]
    assert [mount["destination"] for mount in names] == ["/etc/hosts", "/etc/resolv.conf"]
    assert all("ro" in mount["options"] for mount in names)


def test_nothing_that_can_be_written_can_be_run_or_be_a_device():
    for mount in made(("/data",), network=Network.HOST)["mounts"]:
        if mount["destination"] not in ("/dev", "/proc"):
            assert {"nosuid", "nodev", "noexec"} <= set(mount["options"]), mount


def test_the_sockets_and_the_data_are_mounted_where_the_service_looks_for_them():
    binds = {
        mount["destination"]: mount["source"]
        for mount in made(("/data", "/var/lib/tyres"))["mounts"]
    }

    assert binds["/run/ecu"] == "/run/fairway/tyres"
    assert (binds["/data"], binds["/var/lib/tyres"]) == ("/data/0", "/data/1")


# Neither a path at all, nor above, in or over what the container stands on.
NO_PATHS = ("", "/", "//", "//data", "data", "/data/../etc", "/data\0")
TAKEN = ("/proc", "/proc/x", "/sys/fs", "/dev", "/run", "/run/ecu", "/run/ecu/x", "/tmp", "/tmp/x")
SYSTEM = ("/etc", "/usr/lib/x", "/bin")


@pytest.mark.parametrize("path", [*NO_PATHS, *TAKEN, *SYSTEM])
def test_data_lies_over_nothing_that_the_container_stands_on(path: str):
    with pytest.raises(BadInput, match="give it a folder of its own"):
        made((path,))


@given(st.text(alphabet="/.a bcdeprosuvxty\0", max_size=24))
def test_whatever_path_data_have_they_stay_inside(path: str):
    try:
        folders, _ = skeleton(instance((path,)), VEHICLE)
    except BadInput:
        return
    assert not Path(folders[-1]).is_absolute()
    assert ".." not in Path(folders[-1]).parts


def test_a_service_without_network_knows_its_own_name_alone():
    folders, files = skeleton(instance(("/data",)), VEHICLE)

    assert {"dev", "proc", "sys", "tmp", "run/ecu", "data"} == set(folders)
    assert files == {"etc/hosts": "127.0.0.1 localhost tyres\n::1 localhost\n"}


def test_a_configuration_is_json():
    assert json.loads(json.dumps(made(("/data",)))) == made(("/data",))
