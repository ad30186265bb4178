"""Guards every call of an on-board app: who it is, what it may do, and that it ends when its token does.

    call > token in its metadata > grant > handler, which asks `current_rights()` > answer, or one sentence

Rule 1: no handler runs without a grant; health and reflection are no exception.
Rule 2: handlers are coroutines or asynchronous generators; they raise the errors of the house.
Rule 3: an open call ends within a second of its token: expired, or revoked.  An agent that stops says so.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, cast

import grpc
import grpc.aio

from edge_agent.broker.access import EVERYTHING, NOTHING, Rights
from edge_agent.broker.claims import Grant
from edge_agent.broker.counts import OnboardCounts
from fairway import log as logs
from fairway.errors import BadInput, Conflict, Denied, FairwayError, Tampered, Unavailable

log = logs.get("edge_agent.onboard")

# Half of what rule 3 allows.
REVIEW_INTERVAL_S = 0.5
# An app that asks in vain for ever fills no disk.
REPORT_INTERVAL_S = 10.0

# How long an app that reads nothing may keep a call that is over.
FAREWELL_MAX_S = 2.0

STOPPING = "the agent is stopping: come again later"
NOBODY = Grant("", NOTHING)
# Who opens the socket and shows no token, where the socket's mode is all that is asked for.
SOCKET = Grant("socket", EVERYTHING)
_GRANT: ContextVar[Grant] = ContextVar("grant", default=NOBODY)
_CODES: dict[type[FairwayError], grpc.StatusCode] = {
    BadInput: grpc.StatusCode.INVALID_ARGUMENT,
    Denied: grpc.StatusCode.PERMISSION_DENIED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Conflict: grpc.StatusCode.ABORTED,
    Tampered: grpc.StatusCode.DATA_LOSS,
}


def current_grant() -> Grant:
    """Return who makes the call that is being served; outside a call nobody, who may do nothing."""
    return _GRANT.get()


def current_rights() -> Rights:
    """Return what the app may do whose call is being served."""
    return _GRANT.get().rights


@contextmanager
def serving(grant: Grant) -> Iterator[None]:
    """Serve a request that comes by another way than gRPC: `current_rights()` are those of `grant`."""
    before = _GRANT.set(grant)
    try:
        yield
    finally:
        _GRANT.reset(before)


class _Context(Protocol):
    """What is used of a call's context; grpc's own class is not typed that far."""

    async def abort(self, code: grpc.StatusCode, details: str) -> None: ...

    async def write(self, message: Any) -> None: ...


class _Details(Protocol):
    """What is used of a call before it has a handler."""

    @property
    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]]: ...


class Verifying(Protocol):
    """What the guard wants of who knows tokens: tokens.Verifier, or that of one service."""

    def grant(self, token: str) -> Grant:
        """Return what `token` grants.  Raises BadInput for what is no token here, Denied for one not let in."""
        ...

    def check(self, grant: Grant) -> None:
        """Raise Denied when a grant that was given no longer holds."""
        ...

    def review(self) -> None:
        """Learn what was revoked since."""
        ...


@dataclass(slots=True, eq=False)
class _Call:
    """A call that is being served."""

    grant: Grant
    deadline: asyncio.Timeout
    is_answered: bool = False
    why_over: str = ""
    code: grpc.StatusCode = grpc.StatusCode.UNAUTHENTICATED

    def end(self, code: grpc.StatusCode, reason: str) -> None:
        if not self.why_over and not self.is_answered:
            self.why_over, self.code = reason, code
            self.deadline.reschedule(asyncio.get_running_loop().time())


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Stands before every handler of the door."""

    def __init__(
        self, verifier: Verifying, *, is_socket_trusted: bool, socket: Grant = SOCKET
    ) -> None:
        """`socket` is what a trusted socket grants to who shows no token."""
        self.counts = OnboardCounts()
        self._socket = socket
        self._verifier = verifier
        self._is_socket_trusted = is_socket_trusted
        self._calls: set[_Call] = set()
        self._told: dict[str, int] = dict(self.counts.refused)
        self._told_s = -REPORT_INTERVAL_S
        self._is_closing = False

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        self.counts.calls += 1
        if self._is_closing:
            return _refusing(grpc.StatusCode.UNAVAILABLE, STOPPING)
        try:
            grant = self._grant(handler_call_details)
        except FairwayError as error:
            return _refusing(grpc.StatusCode.UNAUTHENTICATED, str(error))
        handler = await continuation(handler_call_details)
        return None if handler is None else self._guarded(handler, grant)

    async def watch(self) -> None:
        """Look after open calls until cancelled."""
        while True:
            await asyncio.sleep(REVIEW_INTERVAL_S)
            self.review()

    def review(self) -> None:
        """End the calls whose token is over, and say what was refused since the last time."""
        self._verifier.review()
        for call in tuple(self._calls):
            try:
                self._verifier.check(call.grant)
            except Denied as error:
                call.end(grpc.StatusCode.UNAUTHENTICATED, str(error))
        self._report(asyncio.get_running_loop().time())

    def close(self) -> None:
        """Tell open calls, and those that come yet, to come again later."""
        self._is_closing = True
        for call in tuple(self._calls):
            call.end(grpc.StatusCode.UNAVAILABLE, STOPPING)

    def _report(self, now_s: float) -> None:
        if self._told != self.counts.refused and now_s - self._told_s >= REPORT_INTERVAL_S:
            more = {name: n - self._told[name] for name, n in self.counts.refused.items()}
            refused = {name: n for name, n in more.items() if n}
            log.warning("calls_refused", **refused, last_reason=self.counts.last_reason)
            self._told, self._told_s = dict(self.counts.refused), now_s

    def _grant(self, details: _Details) -> Grant:
        shown = [
            value for name, value in details.invocation_metadata or () if name == "authorization"
        ]
        # kuksa-client without a token sends nothing there, or `Bearer` alone.
        is_empty = all(str(value).strip().lower() in ("", "bearer") for value in shown)
        if is_empty and self._is_socket_trusted:
            return self._socket
        if not shown:
            raise self._refused("no_token", Denied("no token: send `authorization: Bearer TOKEN`"))
        scheme, _, token = str(shown[0]).partition(" ")
        if len(shown) > 1 or scheme.lower() != "bearer":
            raise self._refused(
                "bad_token", BadInput("authorization is said once, as `Bearer TOKEN`")
            )
        try:
            return self._verifier.grant(token.strip())
        except BadInput as error:
            raise self._refused("bad_token", error) from error
        except Denied as error:
            raise self._refused("denied_token", error) from error

    def _refused(self, reason: str, error: FairwayError) -> FairwayError:
        self.counts.refused[reason] += 1
        self.counts.last_reason = str(error)
        return error

    def _guarded(self, handler: Any, grant: Grant) -> Any:
        """Return `handler` as it is served to `grant`."""
        if handler.response_streaming:
            stream = handler.stream_stream if handler.request_streaming else handler.unary_stream

            async def streamed(request: Any, context: _Context) -> None:
                await self._serve(
                    grant, context, lambda: _written(stream(request, context), context)
                )

            made: Any = streamed
        else:
            answer = handler.stream_unary if handler.request_streaming else handler.unary_unary

            async def answered(request: Any, context: _Context) -> Any:
                return await self._serve(grant, context, lambda: answer(request, context))

            made = answered
        return _MAKERS[handler.request_streaming, handler.response_streaming](
            made, handler.request_deserializer, handler.response_serializer
        )

    async def _serve(
        self, grant: Grant, context: _Context, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        _GRANT.set(grant)
        deadline = asyncio.timeout(None)
        call = _Call(grant, deadline)
        self._calls.add(call)
        self.counts.open += 1
        try:
            async with deadline:
                try:
                    return await work()
                finally:
                    call.is_answered = True
        except TimeoutError:
            if not deadline.expired():
                raise
            if call.code is grpc.StatusCode.UNAUTHENTICATED:
                self._refused("ended", Denied(call.why_over))
            await _aborted(context, call.code, call.why_over)
        except FairwayError as error:
            if isinstance(error, Denied):
                self._refused("no_scope", error)
            await _aborted(context, _CODES[type(error)], str(error))
        finally:
            self._calls.discard(call)
            self.counts.open -= 1


_MAKERS: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


async def _written(answers: Any, context: _Context) -> None:
    """Write what a handler yields; one that is a coroutine writes by itself."""
    if not inspect.isasyncgen(answers):
        await cast("Awaitable[None]", answers)
        return
    try:
        async for answer in answers:
            await context.write(answer)
    finally:
        await answers.aclose()


async def _aborted(context: _Context, code: grpc.StatusCode, sentence: str) -> None:
    """End a call with a sentence, or, when its app does not read what was sent before it, without."""
    try:
        async with asyncio.timeout(FAREWELL_MAX_S):
            await context.abort(code, sentence)
    except TimeoutError:
        raise asyncio.CancelledError from None  # grpc lets go of a call that was cancelled


def _refusing(code: grpc.StatusCode, sentence: str) -> Any:
    """Return a handler that answers before it reads anything, whatever kind of call it was."""

    async def refuse(_requests: Any, context: _Context) -> None:
        await context.abort(code, sentence)

    return grpc.stream_stream_rpc_method_handler(cast("Any", refuse))
