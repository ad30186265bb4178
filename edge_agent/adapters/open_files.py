"""How many files this process may have open: as many as the machine lets it.

Rule 1: the usual soft limit, 1024, is for programs that use select(); this one does not, and each service takes
        some ten of them: its sockets, pipes and folders.
"""

import resource

from fairway import log

EVENTS = log.get("edge_agent.services")

# Beyond it, programs that we start and that close all numbers up to the limit take seconds for it.
ENOUGH = 1 << 20


def raise_limit() -> int:
    """Raise the soft limit to the hard one, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    EVENTS.info("open_files_raised", before=soft, now=wanted)
    return wanted
