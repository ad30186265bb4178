"""Why a process of functions ended, in words for `why` and the check-in."""

import signal

from fairway.clock import NS_PER_MS

_SIGNALS = {
    signal.SIGSYS: "it asked the kernel for a process, a signal, a socket or the like, and was killed for it",
    signal.SIGXCPU: "it computed on and on, and was killed for it",
    signal.SIGSEGV: "it crashed the interpreter (a recursion without an end, or memory that is not its own)",
    signal.SIGBUS: "it crashed the interpreter (memory that is not its own)",
    signal.SIGABRT: "it made the interpreter give up",
    signal.SIGKILL: "the system killed it, most likely for want of memory",
}


def ended(return_code: int | None) -> str:
    """Return the sentence for a process that is gone; None: it closed its pipes and lives."""
    if return_code is None:
        return "it closed the pipe to the agent"
    if return_code >= 0:
        return f"it ended its process with code {return_code}"
    try:
        number = signal.Signals(-return_code)
    except ValueError:
        return f"it was ended by signal {-return_code}"
    return _SIGNALS.get(number, f"it was ended by {number.name}")


def late(timeout_ns: int, cpu_ns: int) -> str:
    """Return the sentence for an answer that did not come in time."""
    return (
        f"it gave no answer within {timeout_ns // NS_PER_MS} ms"
        f" (and used {cpu_ns // NS_PER_MS} ms of CPU time)"
    )
