"""Full verification, by the primary: what both repositories say, brought up to date, and what comes of it.

    refresh = Refresh(kept, vehicle, now_ns)
    steps = refresh.steps()                  asks for files and never fetches: whoever drives it does
    wanted = next(steps)
    while True:
        try: wanted = steps.send(bytes of `wanted`, or None when there is no such file)
        except StopIteration as end: verdict = end.value        a Plan, UpToDate or a Refusal
    store(refresh.kept)                      after the verdict, or when the line breaks: what holds stays

Rule 1: the Director first (root, timestamp, snapshot, targets), then the Image repository (the same, and the
roles that speak for the images that the Director names), then whether they agree.
Rule 2: no time, no plan.  What was valid at a time confirms it, and only when all was: see Moment.
Rule 3: the answer is about everything: one image that does not hold refuses all.
"""

from collections.abc import Generator

from fairway.errors import Tampered
from ota.trust.agreement import Directed, action_of, agreed, check_vehicle, directed
from ota.trust.delegations import Search
from ota.trust.kept import Kept, Ledger, Moment, refusal_of, refused
from ota.trust.metadata import TUF, Dialect
from ota.trust.model import (
    Assigned,
    Attack,
    Plan,
    Refusal,
    Repository,
    UpToDate,
    Vehicle,
    Wanted,
)
from ota.trust.solver import check_fits
from ota.trust.top_level import Sight, TopLevel, top_level

Verdict = Plan | UpToDate | Refusal
Steps = Generator[Wanted, bytes | None, Verdict]


class Refresh:
    """One look at both repositories."""

    def __init__(
        self, kept: Kept, vehicle: Vehicle, now_ns: int | None, dialect: Dialect = TUF
    ) -> None:
        self._ledger = Ledger(kept)
        self._vehicle = vehicle
        self._moment = Moment(now_ns, kept)
        self._dialect = dialect

    @property
    def kept(self) -> Kept:
        """What is trusted by now; may be stored at any step."""
        return self._ledger.kept

    def steps(self) -> Steps:
        """Ask for what is needed; return the verdict."""
        try:
            return (yield from self._verified())
        except Tampered as error:
            return refusal_of(error)

    def _verified(self) -> Steps:
        director = self._sight(Repository.DIRECTOR)
        theirs = yield from top_level(director)
        where = director.at("targets.json")
        if not self._moment.is_known:
            what = "no time is known: neither a clock, nor a time kept, nor one that the Director has signed"
            raise refused(Attack.TIME, director.at("timestamp.json"), what)
        check_vehicle(theirs.targets, self._vehicle, where)
        orders = directed(theirs.targets, self._vehicle, where)
        action = action_of(theirs.targets, where)
        image = self._sight(Repository.IMAGE)
        ours = yield from top_level(image)
        assigned = yield from self._agreed(Search(image, ours), orders)
        check_fits(assigned, self.kept.held)
        self._confirm(theirs, ours)
        if not assigned:
            return UpToDate(action, theirs.targets.version)
        return Plan(action, assigned, theirs.targets.version)

    def _sight(self, repository: Repository) -> Sight:
        return Sight(repository, self._ledger, self._moment, self._dialect)

    def _agreed(
        self, search: Search, orders: tuple[Directed, ...]
    ) -> Generator[Wanted, bytes | None, tuple[Assigned, ...]]:
        assigned = list[Assigned]()
        for one in orders:
            found = yield from search.find(one.path)
            assigned += agreed(one, found, self._vehicle, self.kept.held)
        return tuple(sorted(assigned, key=lambda one: (one.image.install.order, one.ecu.serial)))

    def _confirm(self, director: TopLevel, image: TopLevel) -> None:
        """Keep the time at which all of this was valid, and of the roles those that there still are."""
        self._ledger.keep_time(self._moment.time_ns)
        for repository, top in ((Repository.DIRECTOR, director), (Repository.IMAGE, image)):
            listed = {name.removesuffix(".json") for name in top.snapshot.meta}
            self._ledger.keep_only(repository, {"root", "timestamp", "snapshot"} | listed)
