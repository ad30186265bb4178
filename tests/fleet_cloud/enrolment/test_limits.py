"""Who is refused too often is not listened to for a while."""

from fleet_cloud.enrolment.limits import COUNTED_MAX, REFUSED_MAX, WINDOW_NS, Refusals

S = 1_000_000_000


def test_after_some_refusals_nobody_listens_until_the_window_is_over():
    refusals = Refusals()
    for second in range(REFUSED_MAX - 1):
        refusals.add("a", second * S)
    assert refusals.wait_s("a", 20 * S) == 0
    refusals.add("a", 20 * S)

    assert refusals.wait_s("a", 20 * S) == 40
    assert refusals.wait_s("b", 20 * S) == 0
    assert refusals.wait_s("a", WINDOW_NS) == 0


def test_memory_is_bounded_and_the_quiet_are_forgotten_first():
    refusals = Refusals()
    for _ in range(REFUSED_MAX):
        refusals.add("first", 0)
    for number in range(COUNTED_MAX):
        refusals.add(f"other {number}", 1)

    assert refusals.wait_s("first", 2) == 0
    assert len(refusals._times) == COUNTED_MAX
