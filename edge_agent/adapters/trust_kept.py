"""What a vehicle trusts, in a record that outlives a power cut: roles byte by byte, counters, and a time."""

import base64
import json

from edge_agent.services.ports import Kept as Records
from fairway.errors import BadInput
from ota.trust.kept import Held, Kept, provisioned
from ota.trust.model import Repository

RECORD = "trust"
FORMAT = 1


class KeptTrust:
    """In a folder of records."""

    def __init__(self, records: Records, director_root: bytes, image_root: bytes) -> None:
        """The roots are those that the vehicle was made with; they count until there is a record."""
        self._records = records
        self._first = provisioned(director_root, image_root)

    def read(self) -> Kept:
        content = self._records.read(RECORD)
        if content is None:
            return self._first
        try:
            tree = json.loads(content)
            if tree["format"] != FORMAT:
                raise BadInput(f"the record of trust has format {tree['format']}, not {FORMAT}")
            return Kept(
                roles={
                    (Repository(repository), role): base64.b64decode(said, validate=True)
                    for repository, role, said in tree["roles"]
                },
                held={
                    serial: Held(str(name), int(counter)) for serial, name, counter in tree["held"]
                },
                time_ns=int(tree["time_ns"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            # Never forgotten in silence: release counters are what an old image would be refused by.
            raise BadInput(f"the record of trust cannot be read: {error!r}; restore it") from error

    def keep(self, kept: Kept) -> None:
        tree = {
            "format": FORMAT,
            "roles": [
                [repository, role, base64.b64encode(said).decode()]
                for (repository, role), said in kept.roles.items()
            ],
            "held": [[serial, one.name, one.release_counter] for serial, one in kept.held.items()],
            "time_ns": kept.time_ns,
        }
        self._records.keep(RECORD, json.dumps(tree, separators=(",", ":")).encode())
