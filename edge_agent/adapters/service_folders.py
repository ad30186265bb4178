"""Which user and which folders an instance has: the same ones for a service, whatever its version.

    DIR/data/battery/var%2Flib%2Fx      data, of all versions; kept when the service is taken back
    RUN_DIR/3f9c01ab77de/               the socket folder of one instance, by the digits of its id

Rule 1: a user once given to a service is never another's: files of both could meet.
Rule 2: what lies among the sockets and belongs to no instance is a rest of one, and removed.
"""

import json
import re
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from edge_agent.services.instance import Instance, Root
from edge_agent.services.ports import Kept
from edge_agent.services.records import FORMAT, instance_id
from fairway import log
from fairway.errors import BadInput
from fairway.services.model import Service

EVENTS = log.get("edge_agent.services")

UIDS = "uids"
_SOCKETS = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Places:
    """Where services live."""

    dir: Path
    run_dir: Path
    uid_first: int = 70_000
    uid_count: int = 1000


class Folders:
    """Gives each instance its user and its folders."""

    def __init__(self, places: Places, kept: Kept) -> None:
        self._places, self._kept = places, kept
        self._uids = _uids(kept.read(UIDS))

    @property
    def names(self) -> Collection[str]:
        """Every service that there ever was."""
        return self._uids.keys()

    def give(self, names: Iterable[str]) -> None:
        """Give a user to each service that has none.  Raises BadInput or Unavailable."""
        uids = dict(self._uids)
        taken = set(uids.values())
        first, count = self._places.uid_first, self._places.uid_count
        free = (uid for uid in range(first, first + count) if uid not in taken)
        for name in names:
            if name not in uids:
                uid = next(free, None)
                if uid is None:
                    raise BadInput(
                        f"there is no user left for {name}: [services] uid_count is {count}"
                    )
                uids[name] = uid
        if uids != self._uids:
            self._kept.keep(UIDS, json.dumps({"format": FORMAT, "uids": uids}).encode())
            self._uids = uids

    def instance(self, service: Service, root: Root | None) -> Instance:
        """Return a version, ready to run, of a service that has a user."""
        id_ = instance_id(service)
        data = self._places.dir / "data" / service.name
        return Instance(
            id=id_,
            service=service,
            root=root,
            uid=self._uids[service.name],
            sockets=self._places.run_dir / id_.rpartition(".")[2],
            data=tuple((data / quote(one.path.strip("/"), safe=""), one) for one in service.data),
        )

    def sweep(self, ids: Collection[str]) -> None:
        """Remove the socket folders of all but these instances."""
        known = {id_.rpartition(".")[2] for id_ in ids}
        try:
            found = list(self._places.run_dir.iterdir())
        except OSError:
            return
        for path in found:
            if _SOCKETS.fullmatch(path.name) and path.name not in known and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)


def _uids(content: bytes | None) -> dict[str, int]:
    if not content:
        return {}
    try:
        tree = json.loads(content)
        uids = {str(name): int(uid) for name, uid in tree["uids"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        EVENTS.error("service_users_forgotten", reason=repr(error)[:200])
        return {}
    return uids if len(set(uids.values())) == len(uids) else {}
