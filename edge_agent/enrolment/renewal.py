"""When a certificate is renewed: pure, the time is an argument.

    issued ------------- 2/3 of its life ---- + up to 1/20 ------------- expires
                              |  ask, and again after a while, until there is a new one  |

Rule 1: a fleet that was enrolled in one night does not renew in one minute: the point is spread by the
certificate itself, so that a restart changes nothing.
Rule 2: what fails is tried again, rarely while there is time, and never faster than RETRY_FIRST_S.
Rule 3: after a success nobody asks for RENEWED_WAIT_S, whatever the wall clock says: it may be months ahead.
"""

from dataclasses import dataclass

from fairway.clock import NS_PER_S

RETRY_FIRST_S = 60.0
RETRY_MAX_S = 3600.0
# A person has to change something: asking more often makes them no faster.
DENIED_RETRY_S = 3600.0
RENEWED_WAIT_S = 3600.0
# The wall clock may be set while we sleep.
LOOK_S = 60.0


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a certificate is good, and what tells it from others."""

    begins_ns: int
    ends_ns: int
    sha256: str

    def renew_at_ns(self) -> int:
        """Return when to ask for the next one."""
        life_ns = self.ends_ns - self.begins_ns
        chance = int(self.sha256[:8], 16) / 0xFFFFFFFF
        return self.begins_ns + life_ns * 2 // 3 + int(life_ns * chance / 20)


def wait_s(validity: Validity, now_ns: int) -> float:
    """Return how long to sleep before the next look; 0: ask now."""
    left_s = (validity.renew_at_ns() - now_ns) / NS_PER_S
    return min(max(0.0, left_s), LOOK_S)


def retry_after_s(failures: int, chance: float) -> float:
    """Return how long to wait after so many failures (from 1); `chance` in 0..1 spreads a fleet."""
    ceiling = min(RETRY_MAX_S, RETRY_FIRST_S * 2.0 ** min(failures - 1, 16))
    return max(RETRY_FIRST_S, ceiling * (0.5 + 0.5 * chance))
