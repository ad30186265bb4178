"""What each may do at a broker, and what a change of the fleet asks of one.

    a vehicle      publishes below its own up/      reads below its own down/
    the cloud      publishes below all down/        reads below all up/

With AWS IoT Jobs: a vehicle asks and hears below its own thing's jobs, and the cloud answers there.

With agents of AWS IoT FleetWise: a vehicle also sends and hears on its own topics there, and a user of its own
serves them, which can do nothing else.

Rule 1: everything else is denied, and whoever is not named here may do nothing.
Rule 2: whoever loses a certificate is cut off, even when another one lets him in again: nobody else can tell
which of them an open connection was made with.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fairway import iot_jobs
from fairway.fleetwise.topics import Prefixes
from fairway.topics import ALL_DOWN, ALL_UP, down_tree, up_tree
from fleet_cloud.vehicles.certificates import Member


@dataclass(frozen=True, slots=True)
class Rights:
    """MQTT topic filters."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


CLOUD_RIGHTS = Rights(publish=(ALL_DOWN,), subscribe=(ALL_UP,))
# Ingest processes share what vehicles send: a filter of its own for brokers that look at it as it is written.
SHARE_GROUP = "fairway-ingest"
CLOUD_SHARED = f"$share/{SHARE_GROUP}/{ALL_UP}"


def cloud_rights(*, jobs: bool = False) -> Rights:
    """Return what the cloud may do; `jobs`: it serves AWS IoT Jobs."""
    if not jobs:
        return CLOUD_RIGHTS
    return Rights(
        publish=(*CLOUD_RIGHTS.publish, iot_jobs.hears("+")),
        subscribe=(*CLOUD_RIGHTS.subscribe, *iot_jobs.asks("+")),
    )


def rights_of(vehicle: str, fleetwise: Prefixes | None = None, *, jobs: bool = False) -> Rights:
    """Return what `vehicle` may do; also a broker's own word for whoever asks, such as `%u`.

    `fleetwise` are the topics of FleetWise's agents, where the fleet has some; `jobs`: it may use AWS IoT Jobs.
    """
    publish: tuple[str, ...] = (up_tree(vehicle),)
    subscribe: tuple[str, ...] = (down_tree(vehicle),)
    if jobs:
        publish += iot_jobs.asks(vehicle)
        subscribe += (iot_jobs.hears(vehicle),)
    if fleetwise is not None:
        publish += fleetwise.up(vehicle)
        subscribe += (*fleetwise.down(vehicle), *fleetwise.heard(vehicle))
    # Agents of FleetWise listen to their jobs anyhow: each filter is said once.
    return Rights(publish, tuple(dict.fromkeys(subscribe)))


@dataclass(frozen=True, slots=True)
class FleetWiseUser:
    """Who serves the agents of FleetWise, as the broker calls him, and on which topics."""

    name: str
    prefixes: Prefixes

    @property
    def rights(self) -> Rights:
        """What he may do: hear what agents send, and send what they hear."""
        return Rights(publish=self.prefixes.down("+"), subscribe=self.prefixes.up("+"))


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of the fleet."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()  # still members, by fewer certificates than before

    def __len__(self) -> int:
        return len(self.added) + len(self.removed) + len(self.cut)


def changes(before: Mapping[str, Member], after: Mapping[str, Member]) -> Changes:
    """Return who came, who went, and who has to show his certificate again."""
    return Changes(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        cut=tuple(
            name
            for name in sorted(before.keys() & after.keys())
            if _has_lost(before[name], after[name])
        ),
    )


def _has_lost(before: Member, after: Member) -> bool:
    had_any, has_any = (one.by_name and not one.sha256s for one in (before, after))
    return bool(before.sha256s - after.sha256s) or (had_any and not has_any)
