"""Whether the network that is used now is paid by the byte.

    a file (network.metered_file)   "1", "true", "yes" or "metered": it is; anything else: it is not
    network.metered                 true, false, or "auto": the interface of the default route says it

Rule 1: a file that is there outranks the setting: whoever manages the modem writes it.
Rule 2: "auto" goes by the kernel's name of the interface: mobile broadband and dial-up are metered, cable and
        wireless are not; without a default route nothing is known, and nothing is metered.
"""

from pathlib import Path
from typing import Literal

from fairway.clock import NS_PER_S, Clock

# A network changes rarely, and nothing is lost by noticing it some seconds late.
LOOK_INTERVAL_NS = 5 * NS_PER_S
_METERED_NAMES = ("wwan", "wwp", "ppp", "rmnet", "ccmni", "cdc-wdm")
_YES = {"1", "true", "yes", "metered"}
_FILE_MAX_CHARACTERS = 64


class Network:
    """Looks now and then."""

    def __init__(
        self,
        metered: Literal["auto"] | bool,  # noqa: FBT001 - a setting
        metered_file: Path | None,
        clock: Clock,
        *,
        routes: Path = Path("/proc/net/route"),
    ) -> None:
        self._setting, self._file, self._clock, self._routes = metered, metered_file, clock, routes
        self._looked_ns: int | None = None
        self._is_metered = False

    def is_metered(self) -> bool:
        """Return what was found at most LOOK_INTERVAL_NS ago."""
        now_ns = self._clock.monotonic_ns()
        if self._looked_ns is None or now_ns - self._looked_ns >= LOOK_INTERVAL_NS:
            self._looked_ns = now_ns
            self._is_metered = self._look()
        return self._is_metered

    def _look(self) -> bool:
        if self._file is not None:
            try:
                with self._file.open() as file:
                    return file.read(_FILE_MAX_CHARACTERS).strip().lower() in _YES
            except (OSError, ValueError):
                pass  # it is not there: the setting counts
        if self._setting != "auto":
            return self._setting
        try:
            return default_interface(self._routes.read_text()).startswith(_METERED_NAMES)
        except (OSError, ValueError):
            return False


def default_interface(routes: str) -> str:
    """Return the interface of the default route of the lowest metric in a /proc/net/route; "": none."""
    found: list[tuple[int, str]] = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 8 and fields[1] == "00000000" and fields[7] == "00000000":
            found.append((int(fields[6]), fields[0]))
    return min(found)[1] if found else ""
