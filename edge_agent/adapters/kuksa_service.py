"""What both versions of `kuksa.val` share: the data they serve, how methods are registered, how calls end.

    request > rights of the caller > numbers of signals > the vehicle's data > answer, or a code and a sentence

Rule 1: rights come first: a token without a scope for a path does not learn whether there is such a signal.
Rule 2: errors of the house become codes in the door's guard; `Ended` is for the codes that it has none for.
Rule 3: what one request names is bounded.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Protocol

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from edge_agent.adapters.kuksa_encode import Encoder
from edge_agent.adapters.kuksa_values import member_of
from edge_agent.adapters.onboard_calls import SOCKET, current_grant, current_rights
from edge_agent.broker.access import PATH_MAX_CHARS, Action
from edge_agent.broker.filters import Filters
from edge_agent.broker.providers import Provider
from edge_agent.broker.vehicle import VehicleData
from fairway.clock import Clock
from fairway.errors import BadInput, Unavailable

# What clients are told that they talk to.
SERVER_NAME = "fairway-edge-agent"
SERVER_VERSION = version("fairway")
# Signals in one request: a large catalogue as a whole.
SIGNALS_MAX = 20_000
# Subscriptions of all apps together: each keeps up to 1,000 messages.
SUBSCRIPTIONS_MAX = 128
# And of one app, or one could keep all others out.
SUBSCRIPTIONS_OF_APP_MAX = 32

Handler = Callable[[Any, Any], Awaitable[Any]]


class Ended(Exception):
    """A call ends with this code."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


class Context(Protocol):
    """What is used of a call's context."""

    async def abort(self, code: grpc.StatusCode, details: str) -> None: ...

    async def write(self, message: Any) -> None: ...


class ToldFilters(Protocol):
    """A provider's outlet that can be told how often values are wanted."""

    def tell(self, intervals_ns: Mapping[int, int | None]) -> None:
        """Send intervals by signal; None: nobody wants it any more."""
        ...


class Service:
    """The data, and what is needed beside it to serve it."""

    def __init__(
        self, data: VehicleData, clock: Clock, *, subscriptions_max: int = SUBSCRIPTIONS_MAX
    ) -> None:
        self.data, self.clock = data, clock
        self._subscriptions_max = subscriptions_max
        self.encoder = Encoder(data.signals)
        self.members = [member_of(leaf.datatype) for leaf in data.signals]
        self.filters = Filters(data.providers, data.subscriptions)
        self.counts = data.counts
        self._subscribed: Counter[str] = Counter()

    def number(self, path: str, action: Action = Action.READ) -> int:
        """Return the number of a signal for which the caller has the right.  Raises Denied, BadInput, Ended."""
        if not path or len(path) > PATH_MAX_CHARS:
            raise BadInput("a signal is named by a path of 1 to 1000 characters")
        current_rights().need(action, path)
        number = self.data.signals.find(path)
        if number is None:
            raise Ended(grpc.StatusCode.NOT_FOUND, f"there is no signal {path}")
        return number

    def known(self, number: int, action: Action = Action.READ) -> int:
        """Return `number` where it is one of a signal for which the caller has the right."""
        if not 0 <= number < len(self.data.signals):
            raise Ended(grpc.StatusCode.NOT_FOUND, f"there is no signal with the number {number}")
        current_rights().need(action, self.data.signals[number].path)
        return number

    def asked(self, signal: Any, action: Action = Action.READ) -> int:
        """Return the number of the signal that a SignalID of v2 names."""
        named = signal.WhichOneof("signal")
        if named is None:
            raise BadInput("no signal is named: give a path or an id")
        if named == "id":
            return self.known(signal.id, action)
        return self.number(signal.path, action)

    def matching(self, pattern: str) -> list[int]:
        """Return the signals that a pattern is for and the caller may read.  Raises BadInput."""
        rights, signals = current_rights(), self.data.signals
        return [
            number
            for number in signals.matching(pattern)
            if rights.may(Action.READ, signals[number].path)
        ]

    @contextmanager
    def room(self) -> Iterator[None]:
        """Have room for one more subscription.  Raises Unavailable when there are too many."""
        grant = current_grant()
        app = grant.subject
        # Who shows no token, because none is asked for, may be several apps.
        if grant is not SOCKET and self._subscribed[app] >= SUBSCRIPTIONS_OF_APP_MAX:
            raise Unavailable(
                f"{app} has {SUBSCRIPTIONS_OF_APP_MAX} subscriptions already: end one first"
            )
        if self._subscribed.total() >= self._subscriptions_max:
            raise Unavailable(
                f"there are {self._subscriptions_max} subscriptions already: try again later"
            )
        self._subscribed[app] += 1
        try:
            yield
        finally:
            self._subscribed[app] -= 1
            if not self._subscribed[app]:
                del self._subscribed[app]

    def tell_filters(self, ids: Iterable[int]) -> None:
        """Tell the providers of these signals how often their values are wanted now."""
        for provider, intervals in self.filters.updates(ids).items():
            tell(provider, intervals)


def tell(provider: Provider, intervals_ns: Mapping[int, int | None]) -> None:
    """Tell a provider how often values are wanted, if it has a way to be told."""
    outlet: Any = provider.outlet
    if hasattr(outlet, "tell"):
        outlet.tell(intervals_ns)


def add_service(
    server: grpc.aio.Server, service: ServiceDescriptor, handlers: Mapping[str, Handler]
) -> str:
    """Serve the methods of `service`; an answer may be bytes that are encoded already.  Return its name."""
    made = {}
    for method in service.methods:
        kinds = (method.client_streaming, method.server_streaming)
        made[method.name] = _MAKERS[kinds](
            _guarded(handlers[method.name]),
            request_deserializer=_class_of(method.input_type).FromString,
            response_serializer=_encoded,
        )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service.full_name, made),)
    )
    return str(service.full_name)


_MAKERS: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _guarded(handler: Handler) -> Handler:
    async def served(request: Any, context: Context) -> Any:
        try:
            return await handler(request, context)
        except Ended as end:
            await context.abort(end.code, end.sentence)

    return served


def _class_of(descriptor: Any) -> Any:
    return descriptor._concrete_class  # noqa: SLF001 - the generated class, as the runtime itself finds it


def _encoded(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
