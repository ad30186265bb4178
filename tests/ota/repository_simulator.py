"""Two repositories in memory, with all their keys: every test of an attack edits them, then looks as a vehicle.

    world = World()                                    one vehicle, CAR1, with a gateway and a brake ECU
    world.release("brake/2.bin", "brake-fw", 2, hardware="brake")
    world.order("br-1", "brake/2.bin")
    world.publish()
    verdict = world.look()                             and world.kept is what the vehicle keeps afterwards

Nothing here checks anything: what is wrong is signed as gladly as what is right.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from ota.custom import image_to_target
from ota.manifest import Image, Install, Kind, Requirement
from ota.trust.kept import Held, Kept, provisioned
from ota.trust.metadata import TUF, Dialect
from ota.trust.model import Ecu, Plan, Refusal, Repository, UpToDate, Vehicle, Wanted
from ota.trust.refresh import Refresh

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
DAY_NS = 86_400 * 10**9
VEHICLE = Vehicle("CAR1", "gw-1", (Ecu("gw-1", "gateway"), Ecu("br-1", "brake")))
TOP = ("root", "timestamp", "snapshot", "targets")


def new_key() -> CryptoSigner:
    return CryptoSigner.generate_ecdsa()


class RepositorySimulator:
    """One repository: change its roles, publish, and ask for files."""

    def __init__(self, repository: Repository, *, now: datetime = NOW) -> None:
        self.repository = repository
        self.signers: dict[str, dict[str, CryptoSigner]] = {role: {} for role in TOP}
        self.root = Root(expires=now + timedelta(days=365), consistent_snapshot=True)
        self.root.roles = {role: Role([], 1) for role in TOP}
        self.timestamp = Timestamp(expires=now + timedelta(days=1))
        self.snapshot = Snapshot(expires=now + timedelta(days=7))
        self.snapshot.meta = {}
        self.roles: dict[str, Targets] = {"targets": Targets(expires=now + timedelta(days=90))}
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.with_hashes = True
        self.with_lengths = False  # an ECDSA signature is not always as long as another
        self.changed_roots: bool = True
        self._next = 0
        for role in TOP:
            self.add_key(role)
        self.root.version = 0
        self.timestamp.version = self.snapshot.version = self.targets.version = 0

    @property
    def targets(self) -> Targets:
        return self.roles["targets"]

    def add_key(self, role: str, *, parent: str = "", signer: CryptoSigner | None = None) -> str:
        """Let one more key sign a role; return its id."""
        signer = signer or new_key()
        delegator = self.roles[parent] if parent else self.root
        delegator.add_key(signer.public_key, role)
        self.signers.setdefault(role, {})[signer.public_key.keyid] = signer
        return signer.public_key.keyid

    def rotate(self, role: str) -> None:
        """Replace all keys of a top-level role; a root is signed by its old keys, too, in the next version."""
        old = dict(self.signers[role])
        for key_id in old:
            self.root.revoke_key(key_id, role)
            if role != "root":
                del self.signers[role][key_id]
        self.add_key(role)
        self.changed_roots = True

    def delegate(self, parent: str, role: str, paths: Iterable[str], **how: Any) -> Targets:
        """Delegate paths to a role, new unless it is there; return it."""
        delegator = self.roles[parent]
        if delegator.delegations is None:
            delegator.delegations = Delegations({}, {})
        assert delegator.delegations.roles is not None
        settings = {"threshold": 1, "terminating": False} | how
        delegated = DelegatedRole(role, [], paths=list(paths), **settings)
        delegator.delegations.roles[role] = delegated
        child = self.roles.setdefault(role, Targets(version=1, expires=self.targets.expires))
        self.add_key(role, parent=parent)
        return child

    def bins(self, bits: int, prefix: str = "bin") -> SuccinctRoles:
        """Spread the targets over hash bins, all signed with one key."""
        signer = new_key()
        succinct = SuccinctRoles([], 1, bits, prefix)
        self.targets.delegations = Delegations({}, None, succinct)
        self.targets.add_key(signer.public_key)
        for name in succinct.get_roles():
            self.roles.setdefault(name, Targets(version=1, expires=self.targets.expires))
            self.signers[name] = {signer.public_key.keyid: signer}
        return succinct

    def publish(self, *, skip: Iterable[str] = ()) -> None:
        """Sign everything anew, one version later, but for the roles to `skip`."""
        left = set(skip)
        if self.changed_roots and "root" not in left:
            self.publish_root()
        for name, targets in self.roles.items():
            if name not in left:
                targets.version += 1 if name == "targets" or self._known(name) else 0
                self.put(name, self.sign(targets, name))
        for name in self.roles:
            self.snapshot.meta[f"{name}.json"] = self.meta_of(name)
        if "snapshot" not in left:
            self.snapshot.version += 1
            self.put("snapshot", self.sign(self.snapshot, "snapshot"))
        if "timestamp" not in left:
            self.publish_timestamp()

    def publish_timestamp(self) -> None:
        self.timestamp.version += 1
        self.timestamp.snapshot_meta = self.meta_of("snapshot")
        self.put("timestamp", self.sign(self.timestamp, "timestamp"))

    def publish_root(self) -> None:
        self.root.version += 1
        self.put("root", self.sign(self.root, "root"))
        self.changed_roots = False
        self.signers["root"] = {
            key_id: signer
            for key_id, signer in self.signers["root"].items()
            if key_id in self.root.roles["root"].keyids
        }

    def sign(self, signed: Signed, role: str, signers: Iterable[CryptoSigner] = ()) -> bytes:
        """Return a file, signed with the role's keys or with those given."""
        metadata: Metadata[Any] = Metadata(signed)
        for signer in signers or self.signers[role].values():
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def put(self, role: str, content: bytes, version: int | None = None) -> None:
        """Serve a file under the name it is asked for by."""
        plain = f"{quote(role, safe='')}.json"
        if role == "timestamp":
            self.files[plain] = content
            return
        if version is None:
            version = {"root": self.root, "snapshot": self.snapshot, **self.roles}[role].version
        self.files[f"{version}.{plain}"] = content
        self.files[plain] = content

    def meta_of(self, role: str) -> MetaFile:
        signed = self.snapshot if role == "snapshot" else self.roles[role]
        content = self.files.get(f"{signed.version}.{quote(role, safe='')}.json", b"")
        if not self.with_hashes:
            return MetaFile(max(1, signed.version))
        hashes = {"sha256": hashlib.sha256(content).hexdigest()}
        length = len(content) if self.with_lengths else None
        return MetaFile(max(1, signed.version), length, hashes)

    def file(self, name: str) -> bytes | None:
        self.asked.append(name)
        return self.files.get(name)

    def _known(self, name: str) -> bool:
        return f"{quote(name, safe='')}.json" in self.files


def image(
    path: str, name: str, counter: int, hardware: str, content: bytes = b"", **more: Any
) -> Image:
    """Return an image whose bytes are its path, unless others are given."""
    content = content or path.encode()
    return Image(
        path=path,
        length=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        kind=more.pop("kind", Kind.FIRMWARE),
        name=name,
        version=str(counter),
        release_counter=counter,
        hardware_ids=(hardware,),
        install=more.pop("install", Install()),
        **more,
    )


def requirement(name: str, least: int = 0, most: int | None = None) -> Requirement:
    return Requirement(name, least, most)


@dataclass
class World:
    """Both repositories and one vehicle."""

    vehicle: Vehicle = VEHICLE
    dialect: Dialect = TUF
    director: RepositorySimulator = field(
        default_factory=lambda: RepositorySimulator(Repository.DIRECTOR)
    )
    images: RepositorySimulator = field(
        default_factory=lambda: RepositorySimulator(Repository.IMAGE)
    )
    kept: Kept = field(default_factory=Kept)
    action: str = "roll-1"
    now_ns: int | None = NOW_NS
    on_wanted: Callable[[Wanted, bytes | None], bytes | None] = lambda _wanted, content: content

    def __post_init__(self) -> None:
        self.publish()
        roots = (self.director.files["1.root.json"], self.images.files["1.root.json"])
        self.kept = provisioned(*roots)

    def release(
        self,
        path: str,
        name: str,
        counter: int,
        *,
        hardware: str,
        role: str = "targets",
        **more: Any,
    ) -> Image:
        """List an image in the Image repository."""
        made = image(path, name, counter, hardware, **more)
        listed = TargetFile.from_dict(image_to_target(made), path)
        self.images.roles[role].targets[path] = listed
        return made

    def order(self, serial: str, path: str, **changes: Any) -> None:
        """Let the Director give an ECU an image, as the Image repository lists it but for `changes`."""
        listed = next(r.targets[path] for r in self.images.roles.values() if path in r.targets)
        hardware = {ecu.serial: ecu.hardware_id for ecu in self.vehicle.ecus}.get(serial, "")
        custom: dict[str, Any] = {
            "ecuIdentifiers": {serial: {"hardwareId": changes.pop("hardware", hardware)}},
            "release_counter": changes.pop(
                "release_counter", listed.custom.get("release_counter", 0)
            ),
        }
        if changes.pop("downgrade", False):
            custom["downgrade"] = True
        said = {"length": listed.length, "hashes": dict(listed.hashes)} | changes
        self.director.targets.targets[path] = TargetFile.from_dict(said | {"custom": custom}, path)

    def orders_nothing(self) -> None:
        self.director.targets.targets.clear()

    def publish(self) -> None:
        said = {"correlationId": self.action, "vehicle": self.vehicle.id}
        self.director.targets.unrecognized_fields["custom"] = said
        self.director.publish()
        self.images.publish()

    def file(self, wanted: Wanted) -> bytes | None:
        repositories = {Repository.DIRECTOR: self.director, Repository.IMAGE: self.images}
        return self.on_wanted(wanted, repositories[wanted.repository].file(wanted.name))

    def look(self, now_ns: int | None = -1) -> Plan | UpToDate | Refusal:
        """Look as the vehicle does; keep what it trusts afterwards."""
        refresh = Refresh(
            self.kept, self.vehicle, self.now_ns if now_ns == -1 else now_ns, self.dialect
        )
        verdict = driven(refresh.steps(), self.file)
        self.kept = refresh.kept
        return verdict

    def hold(self, serial: str, name: str, counter: int) -> None:
        """Let an ECU hold an image already."""
        self.kept = replace(self.kept, held={**self.kept.held, serial: Held(name, counter)})


def driven(steps: Any, answer: Callable[[Wanted], bytes | None]) -> Any:
    """Drive a refresh to its end."""
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(answer(wanted))
    except StopIteration as end:
        return end.value
