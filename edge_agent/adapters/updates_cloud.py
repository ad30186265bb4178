"""The cloud's side of updates in a vehicle: the door, what is trusted, who we are, and what notices do.

Rule 1: the door is where the settings say, else where the cloud's last notice said; who answers there has to
        show a certificate that the uplink would take, too.
"""

from collections.abc import Callable
from pathlib import Path

from edge_agent.adapters.identity_files import IdentityFiles
from edge_agent.adapters.trust_store import SqliteTrust
from edge_agent.adapters.update_http import UpdateServer, door_of, update_server
from edge_agent.adapters.update_line import Door
from edge_agent.adapters.updates import Updates
from edge_agent.adapters.updates_around import Around
from edge_agent.adapters.updates_look import Cloud, Looks
from edge_agent.adapters.uplink_tls import Address
from edge_agent.config import Config
from edge_agent.config_updates import Updates as Settings
from edge_agent.updates.fetching import Patience
from fairway import log
from fairway.clock import Clock
from fairway.control import UpdateNotice
from fairway.crypto import Signer
from fairway.errors import BadInput, Unavailable
from fairway.signers.opening import open_signer
from ota.trust.kept import provisioned
from ota.trust.model import Ecu, Vehicle

EVENTS = log.get("edge_agent.updates")

DATABASE = "trust.sqlite"


class CloudParts:
    """The cloud's side, opened."""

    def __init__(self, server: UpdateServer, trust: SqliteTrust, cloud: Cloud) -> None:
        """Call begin() before it is used."""
        self.server, self.trust, self._cloud = server, trust, cloud
        self.looks: Looks

    def begin(self, updates: Updates, around: Around) -> None:
        """Look on behalf of these updates."""
        self._updates = updates
        self.looks = Looks(updates, around, self._cloud)

    # what the control door has to do with updates

    @property
    def revision(self) -> int:
        """Of the last notice that was heeded."""
        return self._updates.kept.notice

    async def notice(self, said: UpdateNotice) -> None:
        """Look at once.  Raises Unavailable when it cannot be kept."""
        EVENTS.info("update_notice", revision=said.revision)
        await self.looks.heed(said.url, said.revision)

    def close(self) -> None:
        """Let go."""
        self.server.close()
        self.trust.close()


def cloud_of(
    config: Config,
    settings: Settings,
    folder: Path,
    target: Address | None,
    clock: Clock,
    said_url: Callable[[], str],
) -> CloudParts | None:
    """Return the cloud's side, None for a vehicle that has none.  Raises BadInput."""
    if target is None:
        return None
    if settings.director_root is None or settings.image_root is None:
        raise BadInput(
            "updates need what the vehicle trusts from the start: set [updates] director_root and image_root"
        )
    if not settings.ecu:
        raise BadInput("[updates] has no [[updates.ecu]]: nothing could be installed")

    def door() -> Door:
        url = settings.url or said_url()
        if not url:
            raise Unavailable(
                "the cloud has not said yet where updates are: it does when the vehicle checks in,"
                " or [updates] url does"
            )
        return door_of(url, target)

    if settings.url:
        door()
    roots = _root(settings.director_root), _root(settings.image_root)
    trust = SqliteTrust(folder / DATABASE, provisioned(*roots))
    server = update_server(door, clock, Patience())
    primary = next((one for one in settings.ecu if one.primary), settings.ecu[0])
    cloud = Cloud(
        metadata=server.metadata,
        reports=server.reports,
        trust=trust,
        vehicle=Vehicle(
            config.vehicle.id,
            primary.serial,
            tuple(Ecu(one.serial, one.hardware_id) for one in settings.ecu),
        ),
        signer=lambda: _signer(config),
        poll_s=settings.poll_s,
    )
    return CloudParts(server, trust, cloud)


def _root(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"the root of updates {path} cannot be read: {error.strerror}") from error


def _signer(config: Config) -> Signer:
    """Return the vehicle's key.  Raises BadInput, Unavailable."""
    if config.identity is not None:
        files = IdentityFiles(config.identity.folder)
        return files.signer(files.read().key)
    if config.uplink is not None and config.uplink.key is not None:
        return open_signer(config.uplink.key)
    raise BadInput("the vehicle has no key to sign its reports with: run `edge-agent enroll`")
