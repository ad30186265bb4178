"""Buckets and recent things by name, bounded: whoever comes with a new name every time fills no memory."""

import ipaddress
import threading
from collections import OrderedDict

from fairway.clock import Clock
from fleet_cloud.access.limits import Bucket, Limit, taken, wait_s

# A bucket is some 200 bytes; whoever is pushed out of 10,000 begins with a full one.
NAMES_MAX = 10_000


def address_of(host: str) -> str:
    """Return what counts as one address: of IPv6 the network, for everybody is given a whole one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


class Limiter:
    """A token bucket for every name."""

    def __init__(self, limit: Limit, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """Return how long `name` must wait, 0 when it need not; nothing is taken."""
        with self._lock:
            return wait_s(self._limit, self._buckets.get(name), self._clock.monotonic_ns())

    def take(self, name: str) -> float:
        """Take a token of `name`, and return 0; or how long it must wait when there is none."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            bucket = self._buckets.get(name)
            waits_s = wait_s(self._limit, bucket, now_ns)
            if not waits_s:
                self._buckets[name] = taken(self._limit, bucket, now_ns)
                self._buckets.move_to_end(name)
            if len(self._buckets) > NAMES_MAX:
                self._buckets.popitem(last=False)
            return waits_s


class Recent:
    """Names that were noted within the last `span_ns`."""

    def __init__(self, span_ns: int, clock: Clock) -> None:
        self._span_ns = span_ns
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: OrderedDict[str, int] = OrderedDict()

    def knows(self, name: str) -> bool:
        """Whether `name` was noted lately."""
        with self._lock:
            return self._knows(name)

    def note(self, name: str) -> None:
        """Note `name` now."""
        with self._lock:
            self._note(name)

    def is_new(self, name: str) -> bool:
        """Note `name` unless it was noted lately, and return whether it was not."""
        with self._lock:
            if self._knows(name):
                return False
            self._note(name)
            return True

    def _knows(self, name: str) -> bool:
        at_ns = self._noted.get(name)
        return at_ns is not None and self._clock.monotonic_ns() - at_ns < self._span_ns

    def _note(self, name: str) -> None:
        self._noted[name] = self._clock.monotonic_ns()
        self._noted.move_to_end(name)
        if len(self._noted) > NAMES_MAX:
            self._noted.popitem(last=False)
