"""The page on containers of services says what the code does."""

import re
from dataclasses import replace
from pathlib import Path

from edge_agent.adapters import service_logs
from edge_agent.services import seccomp_calls
from edge_agent.services.instance import ImageSettings, Instance, Root
from edge_agent.services.log_lines import LINE_MAX_BYTES, LogLimits
from edge_agent.services.oci_config import NAMES_OF_OTHERS, Vehicle, config
from fairway.services.model import MIB, Network, Resources, Service
from tests.docs.pages import DOCS

PAGE = " ".join((DOCS / "explanation" / "service-containers.md").read_text("utf-8").split())


def mounts(service: Service) -> dict[str, list[str]]:
    instance = Instance(
        "tyres.0123456789ab",
        service,
        Root("sha256:x", (), ImageSettings(("/x",))),
        70_000,
        Path("/run/fairway/x"),
    )
    vehicle = Vehicle(names=NAMES_OF_OTHERS)
    return {
        one["destination"]: one["options"] for one in config(instance, vehicle, root="/r")["mounts"]
    }


def test_the_figures_of_logs_are_those_of_the_code():
    limits = LogLimits()

    assert f"cut at {LINE_MAX_BYTES} bytes" in PAGE
    assert f"({limits.lines_per_s} a second, {limits.burst_lines:.0f} at once)" in PAGE
    assert f"the last {limits.instances} instances" in PAGE
    assert service_logs.PIPE_BYTES == MIB
    assert "print 1 MiB to each" in PAGE


def test_a_service_finds_what_the_page_says_and_no_more():
    service = Service("tyres", "1.0.0", resources=Resources(memory_max_bytes=64 * MIB))
    alone = mounts(service)

    for place in alone:
        assert f"`{place}`" in PAGE, place
    assert f"size={16 * MIB}" in alone["/dev/shm"]  # "16 MiB of it at most"
    assert set(mounts(replace(service, network=Network.HOST))) - set(alone) == set(NAMES_OF_OTHERS)
    assert all(f"`{name}`" in PAGE for name in NAMES_OF_OTHERS)


def test_calls_that_the_page_says_are_refused_are():
    assert {
        "keyctl",
        "bpf",
        "perf_event_open",
        "io_uring_setup",
        "init_module",
        "settimeofday",
    } <= (seccomp_calls.REFUSED)
    assert re.search(r"Sockets are Unix, IPv4, IPv6 or netlink", PAGE)
    assert seccomp_calls.SOCKET_FAMILIES == (1, 2, 10, 16)
