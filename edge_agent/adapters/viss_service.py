"""Serves the requests of VISS that have one response, whatever they come by: what is asked, done and told.

    request > token > rights > the vehicle's data > response

Rule 1: each request has a token, its own or the connection's; only what the server can do is told without.
Rule 2: what was named is told whole or not at all; a wildcard stands for what may be read and has a value.
Rule 3: the past is what came lately by the clock that no one sets; stamps of a replayed log are years old.
"""

from collections.abc import Sequence
from typing import Any

from edge_agent.adapters.kuksa_provider import ask
from edge_agent.adapters.kuksa_service import SIGNALS_MAX, Service
from edge_agent.adapters.onboard_calls import current_rights, serving
from edge_agent.adapters.tokens import Verifier
from edge_agent.broker.access import Action
from edge_agent.broker.claims import Grant
from edge_agent.broker.counts import OnboardCounts
from edge_agent.broker.providers import Target
from edge_agent.broker.store import Quality
from edge_agent.broker.values import Value
from edge_agent.broker.viss_dialects import Problem, Refused
from edge_agent.broker.viss_events import Points, values_in
from edge_agent.broker.viss_filters import DynamicMetadata, History, Metadata
from edge_agent.broker.viss_requests import Get, Set, points, stamp, value_of_text
from edge_agent.broker.viss_tree import CAPABILITIES, Tree, capabilities, is_servers
from fairway.errors import BadInput, Conflict, Denied, Unavailable

# Values of the past in one response: some hundred bytes each.
HISTORY_MAX = 20_000
_AVAILABILITY = {
    Quality.VALID: "available",
    Quality.STALE: "available",
    Quality.INVALID: "available",
    Quality.NOT_AVAILABLE: "not_available",
}


class Viss:
    """The data, and who may ask for it: what all clients share."""

    def __init__(self, service: Service, verifier: Verifier, counts: OnboardCounts) -> None:
        self.service, self.data, self.clock = service, service.data, service.clock
        self.tree = Tree(service.data.signals)
        self._verifier, self._counts = verifier, counts

    def grant(self, token: str | None) -> Grant:
        """Return what a token grants.  Raises Refused."""
        self._counts.calls += 1
        if not token:
            raise self._counted("no_token", Refused(Problem.NO_TOKEN))
        try:
            return self._verifier.grant(token)
        except BadInput as error:
            raise self._counted("bad_token", Refused(Problem.BAD_TOKEN, str(error))) from error
        except Denied as error:
            raise self._counted("denied_token", Refused(Problem.TOKEN_OVER, str(error))) from error

    def check(self, grant: Grant) -> None:
        """Raise Refused when a grant that was given no longer holds."""
        try:
            self._verifier.check(grant)
        except Denied as error:
            raise self._counted("ended", Refused(Problem.TOKEN_OVER, str(error))) from error

    def refused(self, refused: Refused) -> None:
        """Count what a token had no scope for."""
        if refused.problem is Problem.FORBIDDEN:
            self._counted("no_scope", refused)

    def _counted(self, reason: str, refused: Refused) -> Refused:
        self._counts.refused[reason] += 1
        self._counts.last_reason = f"VISS: {refused}"
        return refused

    def now(self) -> str:
        """Return the time as a response has it."""
        return stamp(self.clock.now_ns())

    async def get(self, request: Get, token: str | None) -> dict[str, Any]:
        """Return what is asked for: `data` or `metadata`.  Raises Refused."""
        if is_servers(request.path):
            return self._capabilities(request.path)
        with serving(self.grant(request.token or token)):
            other, rights, signals = request.filters.other, current_rights(), self.data.signals
            if isinstance(other, Metadata):
                return {
                    "metadata": self.tree.metadata(rights, request.path, request.filters, other)
                }
            if isinstance(other, History):
                return {"data": self._history(request, other)}
            if isinstance(other, DynamicMetadata):
                return {"metadata": self._dynamic(request, other)}
            numbers = self.tree.meant(rights, request.path, request.filters)
            check_count(numbers)
            await ask(self.service, numbers)
            found = values_in(signals, self.data.current(numbers))
            # What was named must be there; what a wildcard or a branch stands for is told as far as it is.
            named = (signals.find(f"{request.path}.{name}") for name in request.filters.paths)
            if not found or any(number is not None and number not in found for number in named):
                raise Refused(Problem.NO_DATA)
            return {"data": self._told(found)}

    def set(self, request: Set, token: str | None) -> None:
        """Forward a target value.  Raises Refused."""
        with serving(self.grant(request.token or token)):
            data = self.data
            number = self.tree.leaf(current_rights(), request.path, Action.ACTUATE)
            leaf = data.signals[number]
            if leaf.type != "actuator":
                raise Refused(Problem.READ_ONLY)
            value = value_of_text(request.value, leaf.datatype)
            try:
                target = data.actuation.check(number, value)
            except BadInput as error:
                raise Refused(Problem.BAD_VALUE, str(error)) from error
            self._forward(target)
            self.service.counts.actuations += 1

    def _forward(self, target: Target) -> None:
        """Forward a target value to who acts, or to apps of `kuksa.val.v1` that do.  Raises Refused."""
        data, now_ns = self.data, self.clock.now_ns()
        if data.providers.of_actuator(target.signal) is None:
            if not data.targets.is_watched[target.signal]:
                path = data.signals[target.signal].path
                raise Refused(Problem.UNAVAILABLE, f"nobody provides {path} now: try again later")
            data.ask([target], now_ns=now_ns)
            return
        try:
            stuck = data.actuate([target], now_ns=now_ns)
        except Denied as error:
            raise Refused(Problem.FORBIDDEN, str(error)) from error
        except BadInput as error:
            raise Refused(Problem.BAD_VALUE, str(error)) from error
        except (Conflict, Unavailable) as error:
            raise Refused(Problem.UNAVAILABLE, str(error)) from error
        if stuck is not None:
            raise Refused(Problem.UNAVAILABLE, f"{stuck.name} does not take what it is sent")

    def _history(self, request: Get, asked: History) -> Any:
        """Return the values of a period but for the current ones (VISS 3, 7.2)."""
        data, rights = self.data, current_rights()
        if request.filters.paths:
            numbers = self.tree.meant(rights, request.path, request.filters)
        else:
            numbers = self.tree.below(rights, request.path)
        check_count(numbers)
        now_ns, most = self.clock.monotonic_ns(), max(2, HISTORY_MAX // len(numbers))
        found: dict[int, Points] = {}
        for number in numbers:
            kept = data.store.history.recent(
                number, now_ns - asked.period_ns, now_ns=now_ns, most=most
            )[:-1]
            past = [
                (point.time_ns, _typed(point.value, data.signals[number].datatype))
                for point in kept
                if point.value is not None
            ]
            if past:
                found[number] = past
        if not found:
            raise Refused(Problem.NO_DATA)
        return self._told(found)

    def _dynamic(self, request: Get, asked: DynamicMetadata) -> dict[str, Any]:
        """Return what version 2 calls dynamic metadata: what is there, and what the server can do."""
        told: dict[str, Any] = {}
        for name in asked.names:
            if name == "server_capabilities":
                told[name] = {
                    "filter": list(CAPABILITIES["Server.Support.Filter"]),
                    "transport_protocol": ["https", "wss"],
                }
            elif name == "availability":
                signals, rights = self.data.signals, current_rights()
                numbers = self.tree.below(rights, request.path)
                now_ns = self.clock.monotonic_ns()
                told[name] = {
                    signals[number].path: _AVAILABILITY[
                        self.data.store.state(number, now_ns=now_ns).quality
                    ]
                    for number in numbers
                }
            else:
                sentence = (
                    f"{name[:40]!r} is no dynamic metadata: availability, server_capabilities"
                )
                raise Refused(Problem.BAD_FILTER, sentence)
        return told

    def _capabilities(self, path: str) -> dict[str, Any]:
        found = capabilities(path)
        if not found:
            raise Refused(Problem.UNKNOWN_PATH)
        ts = self.now()
        told = [
            {"path": leaf, "dp": {"value": list(names), "ts": ts}} for leaf, names in found.items()
        ]
        return {"data": told[0] if len(told) == 1 else told}

    def _told(self, found: dict[int, Points]) -> Any:
        signals = self.data.signals
        told = [
            points(signals[number].path, signals[number].datatype, values)
            for number, values in found.items()
        ]
        return told[0] if len(told) == 1 else told

    def event(self, found: dict[int, Points], subscription_id: str) -> dict[str, Any]:
        """Return the message of an event."""
        return {
            "action": "subscription",
            "subscriptionId": subscription_id,
            "data": self._told(found),
            "ts": self.now(),
        }


def check_count(numbers: Sequence[int]) -> None:
    """Raise Refused when a request means too many signals."""
    if len(numbers) > SIGNALS_MAX:
        sentence = f"{len(numbers)} signals are named; at most {SIGNALS_MAX} are told at once"
        raise Refused(Problem.BAD_REQUEST, sentence)


def _typed(value: Value, datatype: str) -> Value:
    """Return a value of the history, where every number is a float, as its data type has it."""
    if not isinstance(value, float) or datatype in ("float", "double"):
        return value
    return value != 0.0 if datatype == "boolean" else int(value)
