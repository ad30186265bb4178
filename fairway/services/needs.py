"""What services need against what the vehicle gives: who does not fit is told why, in one sentence.

Rule 1: every declared service counts with all that it may take, the ones that only stand in for others, too.
Rule 2: one whose new version starts beside the old counts twice: both must fit while it changes.
Rule 3: the host's network and plain processes are for services that the vehicle's settings name.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fairway.services.fields import size_text
from fairway.services.model import MIB, How, Network, Runner, Service


@dataclass(frozen=True, slots=True)
class Room:
    """What all services together may take of a vehicle."""

    memory_max_bytes: int = 1024 * MIB
    cpu_max: float = 4.0  # of cores, as services ask; asking for more than there are is fine
    pids_max: int = 4096
    services_max: int = 200
    host_network: frozenset[str] = frozenset()  # services by name
    processes: frozenset[str] = frozenset()
    runners: frozenset[Runner] = frozenset(Runner)  # for which this vehicle has a runtime


def refusals(services: Iterable[Service], room: Room) -> Mapping[str, str]:
    """Return of each service that may not run why not; the first ones given have precedence."""
    refused: dict[str, str] = {}
    memory_bytes = pids = count = 0
    cpu = 0.0
    for service in services:
        why = _not_allowed(service, room)
        times = 2 if service.change.how is How.BESIDE else 1
        takes = service.resources
        more_memory, more_cpu = takes.memory_max_bytes * times, takes.cpu_max * times
        more_pids = takes.pids_max * times
        left_bytes = room.memory_max_bytes - memory_bytes
        if not why and count >= room.services_max:
            why = f"the vehicle runs {room.services_max} services at most: [services] services_max"
        if not why and more_memory > left_bytes:
            why = (
                f"it may take {_shown(more_memory, times)} of memory, and {size_text(max(left_bytes, 0))} "
                f"of {size_text(room.memory_max_bytes)} are left: [services] memory_max_mb"
            )
        if not why and cpu + more_cpu > room.cpu_max + 1e-9:
            why = (
                f"it may take {more_cpu:g} cores{_both(times)}, and {max(room.cpu_max - cpu, 0):g} "
                f"of {room.cpu_max:g} are left: [services] cpu_max"
            )
        if not why and pids + more_pids > room.pids_max:
            why = (
                f"it may take {more_pids} processes{_both(times)}, and {max(room.pids_max - pids, 0)} "
                f"of {room.pids_max} are left: [services] pids_max"
            )
        if why:
            refused[service.name] = why
            continue
        memory_bytes, cpu, pids = memory_bytes + more_memory, cpu + more_cpu, pids + more_pids
        count += 1
    return refused


def _not_allowed(service: Service, room: Room) -> str:
    if service.network is Network.HOST and not _named(service.name, room.host_network):
        return (
            "it asks for the vehicle's own network, and the settings do not name it: "
            f'add "{service.name}" to [services] host_network'
        )
    if service.runner is Runner.PROCESS and not _named(service.name, room.processes):
        return (
            "it is a plain process, which nothing isolates, and the settings do not name it: "
            f'add "{service.name}" to [services] processes'
        )
    if service.runner not in room.runners:
        return f"this vehicle has no runtime for a {service.runner}: [services] runtime"
    return ""


def _named(name: str, allowed: Collection[str]) -> bool:
    return name in allowed


def _both(times: int) -> str:
    return " while both versions run" if times == 2 else ""


def _shown(size_bytes: int, times: int) -> str:
    return size_text(size_bytes) + (" for both versions" if times == 2 else "")
