"""Installs services: the signed manifest becomes the wanted version, and the supervisor does the rest.

    manifest > supervisor.apply > it proves itself > in force: well
                                       '-> it fails: the supervisor has the last good one run; all goes back

Rule 1: what was wanted before is kept, durable, before anything is: it is what comes back.
Rule 2: the image of the manifest is the one that was signed: its digest is the image's own hash.
Rule 3: its layers are here before anything is prepared: who activates needs no network.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from edge_agent.services.ports import Kept
from edge_agent.services.records import Source, instance_id
from edge_agent.updates.ports import Health, Stored, Verdict
from fairway.errors import BadInput, Conflict, FairwayError, Unavailable
from fairway.services.manifest import service_document, service_of
from fairway.services.model import Service
from ota.trust.model import Assigned, Ecu

LOG_LINES = 200
# Done by itself, or by what a person or a policy of the service said: nothing more is to come.
_SETTLED = ("Succeeded", "NotScheduled")


class Supervised(Protocol):
    """The supervisor of services, as far as updates go (edge_agent.adapters.services.Services)."""

    def declared(self, name: str) -> Service | None:
        """Return what is wanted of a service, None when it is not."""
        ...

    async def apply(
        self, services: Sequence[Service], *, source: Source = Source.LOCAL, retry: bool = False
    ) -> None:
        """Declare services, durably.  Raises BadInput, Conflict, Unavailable; then nothing is changed."""
        ...

    async def remove(self, name: str) -> None:
        """Take a service back.  Raises BadInput or Unavailable."""
        ...

    def why(self, name: str) -> dict[str, Any]:
        """Return what explains how a service stands.  Raises BadInput."""
        ...

    def logs(self, name: str, last: int) -> Sequence[str]:
        """Return the newest lines of a service or instance.  Raises BadInput."""
        ...


Pull = Callable[[str], Awaitable[None]]


async def _nothing(_digest: str) -> None:
    """What runs here fetches images by itself."""


class ContainerInstaller:
    """The service of an ECU: a virtual ECU has one."""

    def __init__(
        self, name: str, supervised: Supervised, kept: Kept, pull: Pull = _nothing
    ) -> None:
        """`name` of the service; `pull` brings an image's layers without any effect on what runs."""
        self._name, self._supervised, self._kept, self._pull = name, supervised, kept, pull

    async def probe(self, ecu: Ecu) -> str:
        del ecu
        if self._supervised.declared(self._name) is None:
            return ""
        in_force = (self._supervised.why(self._name)["in_force"] or {}).get("instance")
        wanted = self._supervised.declared(self._name)
        if wanted is None or instance_id(wanted) != in_force:
            return ""
        return wanted.image.removeprefix("sha256:")

    async def check(self, assigned: Assigned) -> None:
        service = self._service(assigned)
        if service.name != self._name:
            raise BadInput(
                f"{assigned.ecu.serial} is the service {self._name}, and the image is of {service.name}"
            )
        if service.image != f"sha256:{assigned.image.sha256}":
            raise BadInput(
                f"the manifest of {service.name} names the image {service.image}, "
                f"and what was signed is sha256:{assigned.image.sha256}"
            )
        await self._pull(service.image)

    async def prepare(self, token: str, assigned: Assigned, stored: Stored) -> None:
        del assigned, stored
        if self._kept.read(self._record(token)) is None:
            before = self._supervised.declared(self._name)
            document = None if before is None else service_document(before)
            self._kept.keep(self._record(token), json.dumps({"before": document}).encode())

    async def activate(self, token: str, assigned: Assigned) -> bool:
        del token
        await self._want(self._service(assigned))
        return False

    async def verify(self, token: str, assigned: Assigned) -> Verdict:
        del token
        service = self._service(assigned)
        id_, declared = instance_id(service), self._supervised.declared(self._name)
        if declared is None or instance_id(declared) != id_:
            return Verdict(Health.ILL, f"somebody else declared {self._name} meanwhile")
        why = self._supervised.why(self._name)
        for bad in why["bad"]:
            if bad["instance"] == id_ and why["change"] is None:
                return Verdict(
                    Health.ILL, f"{self._name} {service.version}: {bad['why']}", self._log(id_)
                )
        in_force = (why["in_force"] or {}).get("instance")
        is_settled = why["ready"] or why["state"].startswith(_SETTLED)
        if in_force == id_ and why["change"] is None and is_settled:
            return Verdict(Health.WELL)
        return Verdict(
            Health.NOT_YET, f"{self._name} is {why['state']}: {why['why']}", self._log(id_)
        )

    async def commit(self, token: str, assigned: Assigned) -> bool:
        await self._want(self._service(assigned))
        self._kept.keep(self._record(token), b"")
        return False

    async def rollback(self, token: str, assigned: Assigned) -> bool:
        del assigned
        record = self._kept.read(self._record(token))
        if not record:
            return False
        before = json.loads(record)["before"]
        if before is not None:
            await self._want(service_of(before, file="a record"))
        elif self._supervised.declared(self._name) is not None:
            await self._supervised.remove(self._name)
        self._kept.keep(self._record(token), b"")
        return False

    async def _want(self, service: Service) -> None:
        if self._supervised.declared(service.name) == service:
            return
        try:
            await self._supervised.apply([service], source=Source.UPDATE)
        except Conflict as error:
            raise Unavailable(str(error)) from error

    def _service(self, assigned: Assigned) -> Service:
        return service_of(dict(assigned.image.service), file=assigned.image.path)

    def _record(self, token: str) -> str:
        return f"update.{self._name}.{token}"

    def _log(self, id_: str) -> str:
        try:
            return "\n".join(self._supervised.logs(id_, LOG_LINES))
        except FairwayError:
            return ""
