"""Whether and when what ended is started again.

Rule 1: a failure is waited after twice as long as the one before, 5 minutes at most, and never at the same
        moment as the neighbour's: `chance` in 0..1 comes from outside.
Rule 2: who was well for HEALTHY_S begins anew.
Rule 3: LOOP_FAILURES in a row without having been well is a crash loop.
"""

from edge_agent.services.runtime import Exit
from fairway.services.model import Restart

FIRST_S = 0.5
CAP_S = 300.0
# Kanto forgives after 10 s; what crashes every half minute is not well either.
HEALTHY_S = 30.0
# With the waits above: some ten seconds of crashing.
LOOP_FAILURES = 5
# What ended well and is to run always comes again after this, so that it cannot take a whole core.
AGAIN_S = 0.5


def wait_s(failures: int, chance: float) -> float:
    """Return how long to wait after so many failures in a row (from 1): a half to the whole of the step."""
    ceiling = min(CAP_S, FIRST_S * 2.0 ** min(max(failures, 1) - 1, 16))
    return ceiling * (0.5 + 0.5 * chance)


def restarts(policy: Restart, exit_: Exit) -> bool:
    """Whether what ended so is started again."""
    if policy is Restart.ALWAYS:
        return True
    return policy is Restart.ON_FAILURE and not exit_.is_success


def told(exit_: Exit) -> str:
    """Return how it ended in words: out of memory told from a crash."""
    if exit_.was_out_of_memory:
        return "it needed more memory than its manifest allows and was killed"
    if exit_.signal is not None:
        return f"it was ended by signal {exit_.signal}"
    if exit_.code is None:
        return "it ended and nobody saw how"
    return "it ended well" if exit_.code == 0 else f"it ended with {exit_.code}"
