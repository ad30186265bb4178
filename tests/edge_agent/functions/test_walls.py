"""Which walls must stand, and what is said of those that do not."""

import signal

from edge_agent.functions import causes, walls
from edge_agent.functions.life import State
from edge_agent.functions.report import Report
from edge_agent.functions.walls import Wall
from fairway.clock import NS_PER_MS

ALL = {wall.value: "" for wall in Wall}


def test_behind_all_walls_a_function_runs():
    assert walls.missing(ALL) == {}
    assert walls.refusal(ALL, without_seccomp=False) == ""


def test_without_seccomp_none_runs_unless_the_operator_said_so():
    without = {**ALL, Wall.SECCOMP: "there is no system-call table for riscv64"}

    assert walls.refusal(without, without_seccomp=False) == (
        "this system has no seccomp to hold custom functions (there is no system-call table for riscv64)"
    )
    assert walls.refusal(without, without_seccomp=True) == ""


def test_without_limits_none_runs_whatever_the_operator_said():
    without = {**ALL, Wall.LIMITS: "not here"}

    assert "no limits" in walls.refusal(without, without_seccomp=True)


def test_a_wall_that_is_not_spoken_of_does_not_stand():
    assert walls.missing({}) == dict.fromkeys(ALL, "nothing is known of it")
    assert walls.refusal({}, without_seccomp=False)


def test_every_other_wall_may_be_missing_but_is_named():
    without = {**ALL, Wall.LANDLOCK: "landlock: Function not implemented"}
    report = Report(State.READY, walls_missing=walls.missing(without))

    assert walls.refusal(without, without_seccomp=False) == ""
    assert report.sentences == ("not enforced here: landlock (landlock: Function not implemented)",)


def test_a_report_of_a_healthy_process_says_nothing_even_after_a_failure():
    assert Report(State.READY, reason="it was late").sentences == ()


def test_an_end_has_a_cause_in_words():
    assert causes.ended(None) == "it closed the pipe to the agent"
    assert causes.ended(3) == "it ended its process with code 3"
    assert causes.ended(-signal.SIGXCPU) == "it computed on and on, and was killed for it"
    assert causes.ended(-signal.SIGFPE) == "it was ended by SIGFPE"
    assert causes.ended(-250) == "it was ended by signal 250"


def test_lateness_says_whether_it_computed_or_waited():
    assert causes.late(50 * NS_PER_MS, 3 * NS_PER_MS) == (
        "it gave no answer within 50 ms (and used 3 ms of CPU time)"
    )
