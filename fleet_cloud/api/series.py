"""GET /v1/vehicles/{vehicle}/signals/{signal}/series: the samples of one signal, or buckets of them.

Rule 1: a page is bounded; a Link header (and `next` in JSON) leads to the next one.
Rule 2: a signal that the vehicle never sent is 404; one that sent nothing in the span is an empty page.
"""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response

from fairway.errors import BadInput
from fairway.signals import Kind
from fleet_cloud.access.roles import Permission
from fleet_cloud.api import formats
from fleet_cloud.api.formats import MEDIA_TYPES, Columns, Format
from fleet_cloud.api.gate import needs
from fleet_cloud.api.parameters import SIGNAL_MAX_CHARS, aggregates, span_ns, time_ns
from fleet_cloud.api.ports import ApiPorts, NotFound
from fleet_cloud.api.problems import responses
from fleet_cloud.api.vehicles import VehicleName
from fleet_cloud.api.visible import Caller, known_vehicle
from fleet_cloud.vehicles.telemetry import POINTS_MAX, TIME_MAX_NS, SignalSpan

# A screen has some 4,000 columns, a notebook wants more and says so.
LIMIT_DEFAULT = 10_000

_TIME = "ISO 8601, nanoseconds since 1970, or -15m for that long before now"

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The page; `next` and the Link header lead to the one behind it.",
        "content": {
            media: {"schema": {"type": "object" if form is Format.JSON else "string"}}
            for form, media in MEDIA_TYPES.items()
        },
    },
    **responses(400, 401, 403, 404, 406, 429, 503),
}


def router(ports: ApiPorts) -> APIRouter:
    """Return the route of series."""
    routes = APIRouter(prefix="/v1/vehicles", tags=["vehicles"])

    @routes.get(
        "/{vehicle}/signals/{signal:path}/series",
        response_class=Response,
        responses=RESPONSES,
    )
    def read_series(  # noqa: PLR0913 - each is a parameter of the request
        *,
        caller: Annotated[Caller, needs(Permission.TELEMETRY_READ)],
        request: Request,
        vehicle: VehicleName,
        signal: Annotated[str, Path(max_length=SIGNAL_MAX_CHARS, description="As in /signals.")],
        from_: Annotated[
            str, Query(alias="from", max_length=64, description=f"Included: {_TIME}")
        ] = "0",
        to: Annotated[str, Query(max_length=64, description=f"Excluded: {_TIME}")] = str(
            TIME_MAX_NS
        ),
        limit: Annotated[
            int, Query(ge=1, le=POINTS_MAX, description="Points of a page.")
        ] = LIMIT_DEFAULT,
        bucket: Annotated[
            str | None,
            Query(max_length=32, description="Width of a bucket, as in 10s; raw samples without."),
        ] = None,
        aggregates: Annotated[
            str, Query(max_length=64, description="Which of min,max,mean,last,count.")
        ] = "min,max,mean,last",
        format_: Annotated[
            Format | None, Query(alias="format", description="Wins over the Accept header.")
        ] = None,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """Read the samples of one signal in order of time, raw or in buckets, in the format asked for."""
        form = formats.chosen(format_, accept)
        found = known_vehicle(ports.vehicles, vehicle, caller)
        now_ns = ports.clock.now_ns()
        span = SignalSpan(
            found.tenant,
            found.id,
            signal,
            time_ns(from_, name="from", now_ns=now_ns),
            time_ns(to, name="to", now_ns=now_ns),
        )
        if span.from_ns > span.to_ns:
            raise BadInput(f"from ({from_}) is behind to ({to}): swap them")
        head = {"vehicle": found.id, "signal": signal}
        if bucket is None:
            table, next_ns = _raw(ports, span, limit, head)
        else:
            table, next_ns = _bucketed(ports, span, limit, head, (bucket, aggregates))
        return paged(request, table, form, next_ns)

    return routes


def _raw(
    ports: ApiPorts, span: SignalSpan, limit: int, head: dict[str, str]
) -> tuple[Columns, int | None]:
    series = ports.telemetry.series(span, limit=limit)
    if not len(series):
        _kind_of(ports, span)
    return formats.of_series(series, head), series.next_ns


def _bucketed(
    ports: ApiPorts, span: SignalSpan, limit: int, head: dict[str, str], how: tuple[str, str]
) -> tuple[Columns, int | None]:
    width_ns, wanted = span_ns(how[0], name="bucket"), aggregates(how[1])
    buckets = ports.telemetry.buckets(span, bucket_ns=width_ns, limit=limit)
    if not len(buckets) and _kind_of(ports, span) is Kind.TEXT:
        raise BadInput(f"{span.signal} holds texts, which have no {how[1]}: leave out bucket")
    return formats.of_buckets(buckets, wanted, head), buckets.next_ns


def _kind_of(ports: ApiPorts, span: SignalSpan) -> Kind:
    """Return what the newest value of the signal is.  Raises NotFound when there is none."""
    for latest in ports.telemetry.latest(span.tenant, span.vehicle):
        if latest.signal == span.signal:
            return Kind.TEXT if isinstance(latest.value, str) else Kind.NUMBER
    raise NotFound(
        f"the vehicle {span.vehicle} has no samples of {span.signal[:200]!r}:"
        f" see /v1/vehicles/{span.vehicle}/signals"
    )


def paged(request: Request, table: Columns, form: Format, next_ns: int | None) -> Response:
    """Return a page in the format asked for, with the way to the next one."""
    headers = {"Vary": "Accept"}
    head = dict(table.head)
    if next_ns is not None:
        query = {**request.query_params, "from": str(next_ns)}
        link = f"{request.url.path}?{urlencode(query)}"
        headers["Link"] = f'<{link}>; rel="next"'
        head["next"] = link
    elif form is Format.JSON:
        head["next"] = None
    table = Columns(head, table.time_name, table.time_ns, table.columns)
    return Response(
        formats.written(table, form),
        media_type=MEDIA_TYPES[form] + ("; charset=utf-8" if form is Format.CSV else ""),
        headers=headers,
    )
