"""What people and weather do is drawn once: the same seed tells the same story, however it is asked."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from simulators.body import HABITS, Habit, Habits, Timeline

seeds = st.integers(0, 2**32)


@given(seeds, st.lists(st.floats(0.0, 20_000.0), min_size=1, max_size=20))
def test_asking_in_any_order_gives_the_same_answers(seed: int, times: list[float]):
    habit = HABITS[0]
    forwards, backwards = Timeline(habit, seed, 0), Timeline(habit, seed, 0)

    told = [forwards.at(time_s) for time_s in sorted(times)]

    assert [backwards.at(time_s) for time_s in sorted(times, reverse=True)] == told[::-1]


@given(seeds)
def test_two_vehicles_of_one_seed_live_different_lives(seed: int):
    one, other = Habits(seed, 0), Habits(seed, 1)

    assert any(one.at(float(t)) != other.at(float(t)) for t in range(0, 2000, 50))


@given(seeds, st.floats(0.0, 10_000.0))
def test_a_value_is_at_rest_or_on_its_way_to_one_of_the_values(seed: int, time_s: float):
    for habit in HABITS:
        reached = Timeline(habit, seed, 0).at(time_s)
        levels = (habit.rest, *habit.values)

        assert min(levels) <= reached <= max(levels)
        assert habit.ramp_s > 0.0 or reached in levels


def test_a_window_takes_its_time():
    window = Habit("window", 30.0, (20.0, 20.0), (100.0,), ramp_s=4.0)
    timeline = Timeline(window, 7, 0)
    shown = [timeline.at(step * 0.1) for step in range(3000)]

    assert max(abs(b - a) for a, b in pairwise(shown)) <= 2.6
    assert max(shown) == 100.0


def test_every_habit_shows_itself_within_a_few_hours():
    habits = Habits(1, 0)
    seen = {name: set[float]() for name in habits.at(0.0)}
    for time_s in range(0, 15_000, 2):
        for name, value in habits.at(time_s).items():
            seen[name].add(value)

    quick = {
        "horn",
        "pothole",
        "washer",
        "high_beam",
        "lane_left",
        "lane_right",
    }  # shorter than 2 s
    assert {name for name, values in seen.items() if len(values) < 2} <= quick
