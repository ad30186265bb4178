"""Partial verification, by an ECU that has room for little (Uptane Standard 2.1.0, 5.4.4.1).

    root and targets of the Director + what this ECU holds  ->  the image for it, nothing for it, or a refusal

Rule 1: the Director's targets alone are looked at, with the keys that its root gives that role; the primary
hands both over, and is believed nothing.
Rule 2: versions and the release counter never fall, and what has expired is refused, as in full verification.
Rule 3: no downgrade: an ECU that sees one repository cannot tell whether the other allows it.
"""

from collections.abc import Generator

from fairway.errors import BadInput, Tampered
from ota.custom import image_from_target
from ota.trust.agreement import action_of, check_vehicle, counter_checked, directed
from ota.trust.kept import Kept, Ledger, Moment, refusal_of, refused
from ota.trust.metadata import TARGETS_MAX_BYTES, TUF, Dialect, check_expiry, verify
from ota.trust.model import (
    Assigned,
    Attack,
    Ecu,
    Plan,
    Refusal,
    Repository,
    UpToDate,
    Vehicle,
    Wanted,
)
from ota.trust.top_level import Sight, latest_root
from ota.tuf_library import Root, Targets

Steps = Generator[Wanted, bytes | None, Plan | UpToDate | Refusal]


class PartialRefresh:
    """One look of an ECU at what the Director says of it; driven as a Refresh is."""

    def __init__(
        self, kept: Kept, vehicle: Vehicle, ecu: Ecu, now_ns: int | None, dialect: Dialect = TUF
    ) -> None:
        self._ledger = Ledger(kept)
        self._vehicle = vehicle
        self._ecu = ecu
        self._moment = Moment(now_ns, kept)
        self._sight = Sight(Repository.DIRECTOR, self._ledger, self._moment, dialect)

    @property
    def kept(self) -> Kept:
        """What is trusted by now; may be stored at any step."""
        return self._ledger.kept

    def steps(self) -> Steps:
        """Ask for root and targets; return the verdict."""
        try:
            return (yield from self._verified())
        except Tampered as error:
            return refusal_of(error)

    def _verified(self) -> Steps:
        root = yield from latest_root(self._sight)
        targets = yield from director_targets(self._sight, root)
        where = self._sight.at("targets.json")
        if not self._moment.is_known:
            raise refused(Attack.TIME, where, "no time is known: neither a clock nor a time kept")
        check_vehicle(targets, self._vehicle, where)
        action = action_of(targets, where)
        assigned = self._mine(targets, where)
        self._ledger.keep_time(self._moment.time_ns)
        if assigned is None:
            return UpToDate(action, targets.version)
        return Plan(action, (assigned,), targets.version)

    def _mine(self, targets: Targets, where: str) -> Assigned | None:
        for one in directed(targets, self._vehicle, where):
            if self._ecu in one.ecus:
                custom = {"release_counter": one.release_counter}
                said = {"length": one.target.length, "hashes": one.target.hashes, "custom": custom}
                try:
                    image = image_from_target(one.path, said)
                except BadInput as error:
                    raise refused(Attack.MALFORMED, where, str(error)) from error
                held = self.kept.held.get(self._ecu.serial)
                counter_checked(image, self._ecu, held, may_fall=False)
                return Assigned(self._ecu, image)
        return None


def director_targets(sight: Sight, root: Root) -> Generator[Wanted, bytes | None, Targets]:
    """Return the Director's targets by themselves, without a snapshot that names them.  Raises Tampered."""
    where = sight.at("targets.json")
    old = _kept_targets(sight, root)
    content = yield from sight.fetch("targets.json", TARGETS_MAX_BYTES)
    if content is None:
        raise refused(Attack.DROP_REQUEST, where, "the Director does not give it away")
    new = verify(sight.dialect.read(content, Targets, where), root, "targets", where)
    if old is not None and new.version < old.version:
        what = f"version {new.version} is offered; {old.version} was there before"
        raise refused(Attack.METADATA_ROLLBACK, where, what)
    check_expiry(new, sight.moment, where)
    sight.keep("targets", content)
    return new


def _kept_targets(sight: Sight, root: Root) -> Targets | None:
    content = sight.kept("targets")
    if content is None:
        return None
    where = sight.at("targets.json")
    try:
        return verify(sight.dialect.read(content, Targets, where), root, "targets", where)
    except Tampered:
        return None  # its keys were replaced: what they signed does not count any more
