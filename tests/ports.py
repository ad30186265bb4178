"""Ports of the loopback for servers that tests start: free, and given to one of them only.

The kernel says which port is free.  It forgets at once that it did: until our server listens there it may tell
the next who asks the same.  So each worker of a run keeps to ports of its own, and gives none of them twice.
"""

import os
import socket

_given = set[int]()


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on now."""
    found = list[int]()
    while len(found) < count:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if _is_ours(port) and port not in _given:
            _given.add(port)
            found.append(port)
    return found


def _is_ours(port: int) -> bool:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return port // 2 % workers == worker  # the kernel prefers ports of one parity
