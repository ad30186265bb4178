"""Whenever the power fails in a change, the vehicle comes up with the old version or the new, never none.

The agent is killed with kill -9 right before and right after each record that a change writes, and every
container with it; then an agent starts on what is left.
"""

from pathlib import Path

import pytest

from fairway.errors import FairwayError
from fairway.services.model import How
from tests.e2e.services_power import Vehicle, vehicle_in

# More records than any change writes; the test says that it came to the end of one.
RECORDS_MAX = 12


def cut_in_a_change(
    vehicle: Vehicle, old: str, new: str, cut: str, how: How, *, is_good: bool
) -> bool:
    """Change versions and cut the power; return whether the change got so far."""
    (vehicle.folder / "cut").write_text(cut)
    try:
        vehicle.apply(vehicle.service(new, how=how, is_good=is_good))
    except (FairwayError, OSError):  # the agent may be gone before it answers
        assert vehicle.child is not None
        vehicle.child.wait(30)
    end = new if is_good else old

    def is_over() -> bool:
        why = {} if vehicle.is_dead() else vehicle.why()
        is_at_end = why and why["change"] is None and why["wanted"]["version"] == new
        is_judged = is_good or (why and why["bad"] and why["bad"][-1]["version"] == new)
        return vehicle.is_dead() or bool(
            is_at_end and is_judged and why["ready"] and why["in_force"]["version"] == end
        )

    vehicle.until("the cut, or the end of the change", is_over)
    has_cut = vehicle.is_dead()
    (vehicle.folder / "cut").unlink()
    vehicle.kill_everything()
    return has_cut


@pytest.mark.slow
@pytest.mark.timeout(900)  # some twenty agents start in it
@pytest.mark.parametrize(
    ("how", "quality"), [(How.AFTER, "good"), (How.BESIDE, "good"), (How.AFTER, "bad")]
)
def test_a_power_cut_at_any_record_of_a_change_leaves_the_old_version_or_the_new(
    how: How, quality: str, tmp_path: Path
):
    is_good = quality == "good"
    with vehicle_in(tmp_path) as vehicle:
        vehicle.start()
        vehicle.apply(vehicle.service("1", how=how))
        vehicle.until_settled("1")
        old, ends, number, has_cut = "1", list[str](), 1, False
        for at in range(RECORDS_MAX):
            for when in ("before", "after"):
                number += 1
                new = str(number)
                has_cut = cut_in_a_change(vehicle, old, new, f"{when} {at}", how, is_good=is_good)
                vehicle.start()
                vehicle.until("the old version or the new one", vehicle.versions)
                assert set(vehicle.versions()) <= {f"one {old}", f"one {new}"}
                wanted = vehicle.why()["wanted"]["version"]
                old = wanted if is_good else old
                vehicle.until_settled(old)
                ends.append("new" if wanted == new else "old")
            if not has_cut:
                break
        assert not has_cut  # the last change came to its end: every record was cut at
        assert len(ends) >= 2 * 4
        assert ends[0] == "old"  # the order itself was not durable
        assert set(ends[1:]) == {"new"}
