"""The agent at a cloud of AWS IoT FleetWise: its decoder manifest for databases, its dialect at the uplink.

    kept manifest, or the first one that is sent --databases_of--> a database for each bus
                                                '--FleetWiseWire--> the uplink's dialect

Rule 1: a manifest is kept in the spool's folder: the agent starts with it, without a cloud.
Rule 2: a new one ends the run, and the next begins with it.
"""

import asyncio
import random
from collections.abc import Mapping

from edge_agent.adapters.kept_files import KeptFiles
from edge_agent.adapters.uplink_fleetwise import FleetWiseUplink
from edge_agent.adapters.uplink_tls import Address
from edge_agent.canbus.fleetwise import databases_of
from edge_agent.canbus.model import Database
from edge_agent.config import Config
from edge_agent.telemetry.fleetwise import FleetWiseWire
from edge_agent.telemetry.uplink import reconnect_after_s
from fairway import log as logs
from fairway.clock import Clock
from fairway.errors import BadInput, Denied, Unavailable
from fairway.fleetwise.decoders import DecoderManifest
from fairway.wire.fleetwise.decoders import manifest_from_bytes

log = logs.get("edge_agent.fleetwise")

_FILE = "decoder_manifest"


class FleetWiseSide:
    """What is different at such a cloud."""

    def __init__(self, config: Config, target: Address, clock: Clock) -> None:
        """Read the certificates.  Raises BadInput."""
        self._config = config
        self._kept = KeptFiles(config.spool.dir / "fleetwise")
        self.uplink = FleetWiseUplink(
            target,
            name=config.fleetwise.vehicle or config.vehicle.id,
            prefixes=config.fleetwise.prefixes(),
            clock=clock,
            keep=lambda manifest: self._kept.keep(_FILE, manifest),
        )

    async def databases(self) -> Mapping[str, Database]:
        """Return the database of each bus, waiting for the first manifest if need be.  Raises BadInput."""
        manifest = self._manifest() or await self._first()
        config = self._config
        buses = {bus.interface: bus.name for bus in config.bus if bus.interface}
        said = databases_of(manifest, buses)
        for sentence in said.left_out:
            log.warning("fleetwise_left_out", reason=sentence)
        log.info("fleetwise_manifest", sync_id=manifest.sync_id, signals=len(manifest.can))
        wire = FleetWiseWire(
            config.vehicle.id, manifest, said.names, max_bytes=config.fleetwise.payload_max_bytes
        )
        self.uplink.speak(wire, manifest)
        return said.buses

    async def changed(self) -> None:
        """Return when the cloud has sent another manifest, which is kept by then."""
        await self.uplink.manifest_changed.wait()
        log.info("fleetwise_manifest_changed")

    def _manifest(self) -> DecoderManifest | None:
        record = self._kept.read(_FILE)
        if record is None:
            return None
        try:
            return manifest_from_bytes(record)
        except BadInput as error:
            log.warning("fleetwise_manifest_unreadable", reason=str(error))
            return None

    async def _first(self) -> DecoderManifest:
        attempt = 0
        while True:
            try:
                await self.uplink.connect()
                manifest = await self.uplink.first_manifest()
            except (Unavailable, Denied) as error:
                attempt += 1
                log.warning("fleetwise_no_manifest_yet", reason=str(error))
                # Chance spreads a fleet: nothing secret hangs on it.
                await asyncio.sleep(reconnect_after_s(attempt, random.random()))  # noqa: S311
                continue
            await self.uplink.close()
            self.uplink.manifest_changed.clear()
            return manifest
