from fairway.clock import NS_PER_S, JumpWatch, ManualClock, SteadyClock, SystemClock

YEAR_NS = 365 * 86_400 * NS_PER_S


def test_time_that_passes_is_no_jump():
    clock = ManualClock()
    watch = JumpWatch(clock)

    clock.advance(3600 * NS_PER_S)

    assert watch.jump_ns() == 0


def test_a_clock_that_is_set_is_noticed_once_each_way():
    clock = ManualClock()
    watch = JumpWatch(clock)

    clock.jump(YEAR_NS)
    clock.advance(NS_PER_S)
    forward = [watch.jump_ns(), watch.jump_ns()]
    clock.jump(-YEAR_NS)

    assert forward == [YEAR_NS, 0]
    assert watch.jump_ns() == -YEAR_NS


def test_a_slow_drift_adds_up_until_it_is_told():
    clock = ManualClock()
    watch = JumpWatch(clock)

    clock.jump(NS_PER_S // 2)
    assert watch.jump_ns() == 0
    clock.jump(NS_PER_S // 2)

    assert watch.jump_ns() == NS_PER_S


def test_the_machines_own_clocks_agree():
    assert JumpWatch(SystemClock()).jump_ns() == 0


def test_a_steady_clock_goes_on_while_the_wall_is_set():
    wall = ManualClock(now_ns=7)
    steady = SteadyClock(wall)

    wall.jump(YEAR_NS)
    wall.advance(NS_PER_S)

    assert steady.now_ns() == 7 + NS_PER_S
