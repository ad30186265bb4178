"""Functions that try to harm the vehicle, in real processes: the agent lives, and says what happened."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters.function_group import UNHURRIED, FunctionGroup, Rules
from edge_agent.functions import walls
from edge_agent.functions.life import State
from edge_agent.functions.limits import Limits
from edge_agent.functions.messages import Results
from fairway.clock import NS_PER_MS, NS_PER_S, SystemClock

ROOT = Path(__file__).parents[3]

# A busy machine may take a long time over nothing; only loops without an end wait for it.
PATIENT = UNHURRIED.limits
# In time on a busy machine.
EAGER = replace(PATIENT, nice=0)
EAGER_BUT_HASTY = replace(EAGER, call_timeout_ns=400 * NS_PER_MS)
HASTY = Limits(call_timeout_ns=60 * NS_PER_MS, cpu_max_ns_per_s=10 * NS_PER_S)

Attack = Callable[..., FunctionGroup]


@pytest.fixture
def functions() -> Iterator[Attack]:
    """Builds the functions of a campaign, one called f, from its source."""
    groups: list[FunctionGroup] = []

    def build(source: str, limits: Limits = PATIENT) -> FunctionGroup:
        rules = Rules(limits, waits_for_start=True)
        groups.append(FunctionGroup("attack", {"f": source}, rules, SystemClock()))
        return groups[-1]

    yield build
    for group in groups:
        group.close()


def of(group: FunctionGroup, *arguments: float | str) -> Results:
    return group.call(1, "f", [arguments])


# A module that was imported before the walls stood, and dropped.
FOUND_AGAIN = """import gc
    m = [o for o in gc.get_objects() if getattr(o, '__name__', '') == '{}'][0]
"""
# An answer of the function's own, before the one of the program around it.
ANSWER = """import json, os
    said = json.dumps({'number': 1, 'values': [harm], 'texts': [], 'errors': 0, 'error': ''}).encode()
    os.write(1, len(said).to_bytes(4, 'big') + said)
"""

# What the kernel answers with an error: an exception in the function, and the process goes on.
REFUSED = {
    "reads a file": ("open('/etc/passwd').read()", "PermissionError"),
    "lists a directory": ("import os; os.listdir('/')", "PermissionError"),
    "writes a file": ("open('/tmp/harm', 'w').write('x')", "PermissionError"),
    "removes a file": ("import os; os.remove('/etc/passwd')", "PermissionError"),
    "makes a pipe": ("import os; os.pipe()", "PermissionError"),
    "copies a descriptor": ("import os; os.dup(0)", "PermissionError"),
    "closes the pipe": ("import os; os.close(1)", "PermissionError"),
    "raises its limits": (
        FOUND_AGAIN.format("resource") + "    m.setrlimit(m.RLIMIT_CPU, (-1, -1))",
        "not allowed",
    ),
    "ignores signals": (
        "import _signal; _signal.signal(24, _signal.SIG_IGN)",
        "Operation not permitted",
    ),
    "loads C code": ("import ctypes", "ModuleNotFoundError"),
    "loads C code from a place it names": (
        "import sys; sys.path.append('/usr/lib/python3'); import _ctypes",
        "ModuleNotFoundError",
    ),
    "opens a socket by module": ("import socket", "ModuleNotFoundError"),
    "starts a program by module": ("import subprocess", "ModuleNotFoundError"),
    "sleeps": ("import time; time.sleep(1)", "PermissionError"),
    "leaves": ("import sys; sys.exit(3)", "SystemExit"),
    "takes a gigabyte": ("bytearray(1 << 30)", "MemoryError"),
    "takes a gigabyte in pieces": (
        "kept = []\n    while True: kept.append(bytearray(1 << 20))",
        "MemoryError",
    ),
    "maps memory to execute": ("import mmap", "ModuleNotFoundError"),
    "recurses": ("def g(n): return g(n + 1)\n    g(0)", "RecursionError"),
    "returns what is no value": ("return [1, 2]", "invoke returned a list"),
    "says an object": ("return True, {'A.B': object()}", "not a dict of texts"),
    "raises what cannot be shown": (
        "class E(Exception):\n        def __str__(self): raise SystemExit\n    raise E",
        "E:",
    ),
    "answers with more than is taken": ("return 'x' * 300_000", "over the limit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_an_error_of_the_function_that_goes_on(name: str, functions: Attack):
    code, error = REFUSED[name]
    group = functions(f"def invoke(harm):\n    if not harm: return 7.0\n    {code}\n")

    harmed, after = of(group, 1.0), of(group, 0.0)

    assert harmed.values == (None,)
    assert error in harmed.error
    assert after.values == (7.0,)
    assert group.report().starts == 1


# What ends the process; the next start is a second away.
ENDED = {
    "forks": ("import os\n    while True: os.fork()", "asked the kernel for a process"),
    "kills its parent": ("import os; os.kill(os.getppid(), 9)", "asked the kernel"),
    "signals its group": ("import os; os.killpg(0, 9)", "asked the kernel"),
    "starts a program": ("import os; os.execv('/bin/sh', ['sh'])", "asked the kernel"),
    "starts a thread": ("import _thread; _thread.start_new_thread(print, ())", "asked the kernel"),
    "leaves at once": ("import os; os._exit(3)", "ended its process with code 3"),
    "aborts": ("import os; os.abort()", "asked the kernel"),
    "recurses in C": (
        "import sys; sys.setrecursionlimit(10 ** 9)\n    def g(n): return g(*[n + 1])\n    g(0)",
        "crashed the interpreter",
    ),
    "writes answers of its own": ("import os; os.write(1, b'harm' * 100)", "wrote nonsense"),
    "answers twice": (ANSWER, "asked"),
    "breaks the builtins": (
        "import builtins; vars(builtins).clear()",
        "",
    ),
    "breaks the program around it": (
        FOUND_AGAIN.format("edge_agent.functions.messages") + "    m.framed = None",
        "ended its process with code 1",
    ),
}


@pytest.mark.parametrize("name", ENDED)
def test_what_ends_its_process_is_named_and_started_again_later(name: str, functions: Attack):
    code, reason = ENDED[name]
    group = functions(f"def invoke(harm):\n    if not harm: return 7.0\n    {code}\n")

    harmed = of(group, 1.0)
    of(group, 0.0)  # out of step at the latest here

    assert harmed.values[0] in {None, 1.0}
    report = group.report()
    assert report.state is State.RESTARTING
    assert reason in report.reason
    assert report.sentences[0].startswith(
        "its functions are waiting before it starts again: function f"
    )


@pytest.mark.slow
def test_the_next_process_works(functions: Attack):
    group = functions(
        "def invoke(harm):\n    if not harm: return 7.0\n    import os; os._exit(1)\n"
    )
    of(group, 1.0)

    waiting = threading.Event()
    waiting.wait(1.1)  # the first pause

    assert of(group, 0.0).values == (7.0,)
    assert group.report().starts == 2


LATE = {
    "loops": "while True: pass",
    "prints without an end": "while True: print('x' * 1000)",
    "computes without an end in C": "10 ** 10 ** 9",
    "reads the requests itself": "import os; os.read(0, 1)",
    "catches everything": (
        "while True:\n        try:\n            while True: pass\n        except BaseException: pass"
    ),
}


@pytest.mark.parametrize("name", LATE)
def test_an_answer_that_does_not_come_costs_its_deadline(name: str, functions: Attack):
    group = functions(f"def invoke(harm):\n    if not harm: return 7.0\n    {LATE[name]}\n", HASTY)
    of(group, 0.0)
    clock = SystemClock()
    started_ns = clock.monotonic_ns()

    harmed = of(group, 1.0)

    assert harmed.values == (None,)
    assert clock.monotonic_ns() - started_ns < NS_PER_S
    # On a busy machine it may not have computed long enough to be at fault.
    for _ in range(100):
        if group.report().reason:
            break
        of(group, 1.0)
        threading.Event().wait(0.1)
    assert "gave no answer within" in group.report().reason


def test_a_process_that_had_no_processor_is_not_killed_and_its_late_answer_is_dropped(
    functions: Attack,
):
    group = functions(
        "n = 0\ndef invoke(harm):\n    global n\n    n += 1\n    return n\n", EAGER_BUT_HASTY
    )
    assert of(group, 0.0).values == (1.0,)
    pid = group.pid
    assert pid is not None

    os.kill(pid, signal.SIGSTOP)
    stopped = [of(group, 0.0).values for _ in range(2)]
    os.kill(pid, signal.SIGCONT)
    threading.Event().wait(0.5)

    assert stopped == [(None,), (None,)]  # the second was not made
    assert of(group, 0.0).values == (3.0,)
    assert (group.report().late, group.report().starts) == (2, 1)


def test_what_is_printed_is_kept_but_not_all_of_it(functions: Attack):
    group = functions(
        "def invoke(n):\n    print('x' * int(n))\n    print('the end')\n    return 7.0\n"
    )

    assert of(group, 1_000_000.0).values == (7.0,)
    of(group, 1.0)

    printed = group.report().printed
    assert printed.endswith("the end\n")
    assert len(printed) <= 4096


@pytest.mark.slow
def test_a_process_that_computes_between_its_calls_is_ended_by_the_kernel(functions: Attack):
    # It answers itself, and goes on computing where nobody waits for it.
    group = functions(f"def invoke(harm):\n    {ANSWER}    while True: pass\n", EAGER)
    assert of(group, 5.0).values == (5.0,)

    for _ in range(600):
        threading.Event().wait(0.1)
        if is_over(group.pid):
            break

    of(group, 5.0)
    assert "computed on and on" in group.report().reason


def is_over(pid: int | None) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


# An agent that starts a process of functions, says its id, calls it, and is killed at once.
KILLED_AGENT = """
import os, signal, threading
from edge_agent.adapters.function_group import UNHURRIED, FunctionGroup
from fairway.clock import SystemClock
group = FunctionGroup("c", {{"f": "def invoke(n):\\n    while n: pass\\n"}}, UNHURRIED, SystemClock())
group.call(1, "f", [(0.0,)])
print(group.pid, flush=True)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
group.call(1, "f", [({harm},)])
threading.Event().wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize("harm", [0.0, 1.0])
def test_a_process_does_not_outlive_its_agent(harm: float):
    agent = subprocess.run(
        [sys.executable, "-c", KILLED_AGENT.format(harm=harm)],
        stdout=subprocess.PIPE,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    pid = int(agent.stdout)

    for _ in range(600):
        if is_over(pid):
            break
        threading.Event().wait(0.1)

    assert agent.returncode == -signal.SIGKILL
    assert is_over(pid)


def test_the_process_has_no_rights_no_environment_and_no_open_file(functions: Attack):
    group = functions("import os\ndef invoke(n):\n    return str(sorted(os.environ.items()))\n")

    said = of(group, 1.0).values[0]

    assert "PATH" not in str(said)
    status = Path(f"/proc/{group.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    if os.geteuid() == 0:
        assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert {one.name for one in Path(f"/proc/{group.pid}/fd").iterdir()} == {"0", "1", "2"}


def test_every_wall_stands_or_is_named(functions: Attack):
    group = functions("def invoke(n): return n\n")

    assert of(group, 1.0).values == (1.0,)

    missing = group.report().walls_missing
    assert not set(missing) & set(walls.REQUIRED)
    assert [s for s in group.report().sentences if s.startswith("not enforced here")] == [
        f"not enforced here: {name} ({why})" for name, why in missing.items()
    ]


# ctypes was used before the walls stood: whoever finds it again has C, and the kernel before it.
PAST_THE_INTERPRETER = """
import gc
def invoke(name, *arguments):
    c = [o for o in gc.get_objects() if getattr(o, '__name__', '') == '_ctypes'][0]
    symbol = c.dlsym(c.dlopen(None, 0), name)
    return c.call_function(symbol, tuple(int(one) for one in arguments))
"""


def test_code_that_gets_at_c_has_no_socket_all_the_same(functions: Attack):
    group = functions(PAST_THE_INTERPRETER)

    assert of(group, "getpid").values == (float(group.pid or 0),)
    of(group, "socket", 2.0, 1.0, 0.0)

    assert "asked the kernel" in group.report().reason


def test_code_that_gets_at_c_brings_no_machine_code_of_its_own(functions: Attack):
    group = functions(PAST_THE_INTERPRETER)
    private_and_anonymous = 0x22

    data = of(group, "mmap", 0.0, 4096.0, 3.0, private_and_anonymous, -1.0, 0.0)
    code = of(group, "mmap", 0.0, 4096.0, 7.0, private_and_anonymous, -1.0, 0.0)

    assert data.values != (-1.0,)
    assert code.values == (-1.0,)
