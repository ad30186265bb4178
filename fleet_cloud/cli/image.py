"""`fleet-cloud image`: keep images for vehicles to fetch.

Rule 1: every blob is compared with its digest as it is copied, and an image is known when all of it is there.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairway.clock import SystemClock
from fairway.identity import DEFAULT_TENANT, tenant_name
from fairway.oci import documents, model
from fairway.oci.model import Descriptor
from fleet_cloud.adapters.fleet_files import FleetFiles, open_artifacts, open_fleet
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.cli import settings
from fleet_cloud.cli.people import actor, shown
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.services.images import Shelf
from fleet_cloud.services.ports import KeptImage
from ota.images import source as sources
from ota.images.source import Source

_PIECE = 1 << 20


def add(commands: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "image", help="keep images of services for vehicles to fetch"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    pushing = actions.add_parser("push", help="keep the images of an OCI layout or archive")
    pushing.add_argument(
        "layout", type=Path, metavar="LAYOUT", help="a folder, or a tar of one or of `docker save`"
    )
    pushing.set_defaults(run=_push)
    listing = actions.add_parser("list", help="list the images that are kept")
    listing.add_argument("--json", action="store_true", help="for machines")
    listing.set_defaults(run=_list)
    for action in actions.choices.values():
        action.add_argument("--tenant", default=DEFAULT_TENANT, help="whose they are")
        settings.add_arguments(action)


def _push(args: argparse.Namespace) -> int:
    config = settings.read(args)
    source, tenant = sources.opened(args.layout), tenant_name(args.tenant)
    with open_fleet(config) as fleet:
        artifacts = open_artifacts(config)
        shelf = Shelf(artifacts, fleet.registry.holdings, fleet.registry.images, fleet.audit)
        for entry in source.entries:
            copying = _Copying(source, artifacts, fleet, tenant)
            copying.follow(entry)
            image = shelf.register(
                tenant,
                entry.digest,
                name=entry.name,
                actor=actor(),
                now_ns=SystemClock().now_ns(),
            )
            print(_line(image))
    if not source.entries:
        print(f"{args.layout} lists no image")
    return 0


class _Copying:
    """Copies what an image needs into the store, each blob once."""

    def __init__(
        self, source: Source, artifacts: Artifacts, fleet: FleetFiles, tenant: str
    ) -> None:
        self._source, self._artifacts = source, artifacts
        self._holdings, self._tenant = fleet.registry.holdings, tenant
        self._followed = set[str]()

    def follow(self, entry: Descriptor) -> None:
        """Copy an image, or all images that an index lists.  Raises BadInput, Tampered, Unavailable."""
        if entry.digest in self._followed:
            return
        self._followed.add(entry.digest)
        data = sources.document(self._source, entry)
        if entry.media_type in model.INDEXES:
            for one in documents.index(data).manifests:
                self.follow(one)
        else:
            manifest = documents.manifest(data)
            for part in (manifest.config, *manifest.layers):
                self._copy(part)
        self._copy(entry)

    def _copy(self, blob: Descriptor) -> None:
        if self._holdings.held(self._tenant, blob.digest) is not None:
            return
        receiving = self._artifacts.receive(blob.digest, blob.size_bytes)
        try:
            with self._source.blob(blob.digest) as part:
                while piece := part.read(_PIECE):
                    receiving.write(piece)
            size = receiving.finish()
        finally:
            receiving.abandon()
        self._holdings.hold(self._tenant, blob.digest, size, SystemClock().now_ns())


def _list(args: argparse.Namespace) -> int:
    found: list[KeptImage] = []
    with open_fleet(settings.read(args)) as fleet:
        after = ""
        while page := fleet.registry.images.images(
            tenants=[args.tenant], after=after, limit=PAGE_MAX
        ):
            found += page
            after = f"{page[-1].tenant}/{page[-1].digest}"
    if args.json:
        print(json.dumps([asdict(image) for image in found], indent=1))
        return 0
    for image in found:
        print(f"{_line(image)}  {shown(image.pushed_time_ns)}")
    if not found:
        print("no images yet: fleet-cloud image push LAYOUT")
    return 0


def _line(image: KeptImage) -> str:
    name = f"  {image.name}" if image.name else ""
    return f"{image.digest}  {image.size_bytes} bytes  {image.platform}{name}"
