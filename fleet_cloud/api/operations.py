"""GET /, /docs, /openapi.json, /healthz and /metrics: for whoever operates the cloud, and for their machines.

Rule 1: /metrics needs a key wherever it is asked: a loopback address says nothing about who is behind it (a
proxy, a browser that was led there), and Prometheus sends a credential as easily as not.
Rule 2: /healthz tells everybody whether, and nobody why: the reason names machines and files.
"""

import html
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.gate import needs, public
from fleet_cloud.api.ports import ApiPorts
from fleet_cloud.api.problems import RETRY_AFTER_S, problem, responses
from fleet_cloud.api.visible import Caller

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}
code {{ background: #8882; padding: .1em .3em; border-radius: 3px }}
table {{ border-collapse: collapse }} td {{ padding: .2rem 1rem .2rem 0; vertical-align: top }}
:root {{ color-scheme: light dark }}
</style></head><body>
{body}
</body></html>
"""

_HOME = """<h1>Fairway fleet cloud</h1>
<p>Vehicles send what happens on their buses; this service keeps it and answers questions about it.</p>
<p>Everything below <code>/v1</code> needs an API key or a token:
<code>curl -H "Authorization: Bearer $(cat DATA/admin-key)" ...</code></p>
<table>
<tr><td><code>/v1/vehicles</code></td>
<td>the fleet, and when each vehicle was last heard of</td></tr>
<tr><td><code>/v1/vehicles/ID/signals</code></td><td>the newest value of every signal of a vehicle</td></tr>
<tr><td><code>/v1/vehicles/ID/signals/SIGNAL/series</code></td>
<td>its samples, raw or in buckets, as JSON, CSV, Arrow or Parquet</td></tr>
<tr><td><code>/v1/campaigns</code></td>
<td>what is collected from which vehicles, and what came of it</td></tr>
<tr><td><code>/v1/services</code></td>
<td>what vehicles are to run, and how it stands</td></tr>
<tr><td><code>/v1/live</code></td><td>samples as they are stored (server-sent events)</td></tr>
<tr><td><code>/v1/ingest</code></td><td>how ingest is doing</td></tr>
<tr><td><code>/v1/quarantine</code></td><td>messages that could not be stored</td></tr>
<tr><td><code>/v1/audit</code></td><td>who did what</td></tr>
<tr><td><code>/v1/me</code> <code>/v1/keys</code></td><td>who you are to this service, and API keys</td></tr>
<tr><td><a href="/healthz">/healthz</a> <code>/metrics</code></td>
<td>for machines that watch</td></tr>
<tr><td><a href="/docs">/docs</a> <a href="/openapi.json">/openapi.json</a></td>
<td>every request with its parameters</td></tr>
</table>"""


def router(ports: ApiPorts, app: FastAPI) -> APIRouter:
    """Return the routes of operation; `app` is described by /docs."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/", include_in_schema=False, dependencies=[public()])
    async def home() -> HTMLResponse:
        return HTMLResponse(_PAGE.format(title="Fairway fleet cloud", body=_HOME))

    @routes.get("/openapi.json", include_in_schema=False, dependencies=[public()])
    async def description() -> JSONResponse:
        return JSONResponse(app.openapi())

    @routes.get("/docs", include_in_schema=False, dependencies=[public()])
    async def docs() -> HTMLResponse:
        return HTMLResponse(_PAGE.format(title="Fairway REST API", body=_described(app.openapi())))

    @routes.get("/healthz", responses=responses(503), dependencies=[public()])
    def check_health() -> Response:
        """Say whether samples are being stored: 200 or 503."""
        status = ports.ingest_status()
        if not status.healthy:
            said = "samples are not being stored: GET /v1/ingest, with a key, says why"
            return problem(503, said, **{"Retry-After": str(RETRY_AFTER_S)})
        return JSONResponse({"status": "ok"})

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **responses(401, 403, 429, 503)},
    )
    def read_metrics(_caller: Annotated[Caller, needs(Permission.METRICS_READ)]) -> Response:
        """Read the metrics in Prometheus's text format."""
        content = generate_latest(ports.metrics)
        return Response(content, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return routes


def _described(schema: dict[str, Any]) -> str:
    """Return the API's description as HTML, without a script or a font from anywhere else."""
    parts = [
        f"<h1>{html.escape(schema['info']['title'])}</h1>",
        '<p>For tools: <a href="/openapi.json">/openapi.json</a>. Errors are problem documents (RFC 9457).</p>',
    ]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            summary = html.escape(operation.get("description") or operation.get("summary", ""))
            parts.append(
                f"<h3><code>{method.upper()} {html.escape(path)}</code></h3><p>{summary}</p>"
            )
            rows = [_parameter(item) for item in operation.get("parameters", [])]
            if rows:
                parts.append(f"<table>{''.join(rows)}</table>")
    return "\n".join(parts)


def _parameter(item: dict[str, Any]) -> str:
    default = item["schema"].get("default")
    words = [item.get("description", "")]
    if default not in (None, ""):
        words.append(f"Default {default}.")
    name = html.escape(item["name"])
    return f"<tr><td><code>{name}</code></td><td>{html.escape(' '.join(words).strip())}</td></tr>"
