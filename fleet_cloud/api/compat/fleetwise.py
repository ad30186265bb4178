"""The door for FleetWise's clients: unmodified boto3 and the AWS CLI, as FleetWise itself answers them.

    POST /   X-Amz-Target: IoTAutobahnControlPlane.<Operation>   JSON 1.0, signed (AWS Signature Version 4)

    head (key, date) --> body --> signature --> permission of the operation --> its shape --> its handler

Rule 1: no body is read before its sender names a key that is in force: a body may be large.
Rule 2: nothing of a request is looked at before its signature holds; then the gate asks as it asks everybody.
Rule 3: a key speaks for one tenant, and nothing of another is there for it.
Rule 4: every operation of the service's model is in fleetwise_operations.py: answered, or refused by name.
"""

import hashlib
import json
import threading
import uuid
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from fairway.errors import Denied, FairwayError
from fleet_cloud.access import signature
from fleet_cloud.access.aws_keys import key_id, secret_of
from fleet_cloud.access.grants import ALL, Principal
from fleet_cloud.access.keys import holder
from fleet_cloud.access.signature import Shown, SignedRequest
from fleet_cloud.api.compat import fleetwise_shapes
from fleet_cloud.api.compat.fleetwise_calls import Call, Operation, Parts
from fleet_cloud.api.compat.fleetwise_errors import (
    MEDIA_TYPE,
    Refusal,
    answered,
    misshapen,
    not_parsed,
    refusal,
    unknown_operation,
)
from fleet_cloud.api.compat.fleetwise_operations import OPERATIONS, PERMISSIONS
from fleet_cloud.api.compat.fleetwise_pages import PageTokens
from fleet_cloud.api.gate import Gate, by_operation, client_of
from fleet_cloud.api.ports import ApiPorts, NotSignedIn
from fleet_cloud.models.accounts import Account
from fleet_cloud.models.control_plane import ControlPlane
from fleet_cloud.models.transactions import Models

TARGET = "IoTAutobahnControlPlane"
_REFUSED = "the access key is unknown, expired or revoked, or did not sign this request"


def router(ports: ApiPorts, fleetwise: ControlPlane) -> APIRouter:
    """Return the one route."""
    routes = APIRouter()
    door = _Door(ports, fleetwise)

    @routes.post("/", include_in_schema=False, dependencies=[by_operation(PERMISSIONS)])
    async def operate(request: Request) -> Response:
        request_id = str(uuid.uuid4())
        gate: Gate = request.app.state.gate
        try:
            shown = await run_in_threadpool(door.head, gate, request)
            body = await request.body()
            found = await run_in_threadpool(door.answer, gate, request, shown, body)
        except FairwayError as error:
            found = refusal(error)
        except HTTPException as error:  # of the size limits
            found = Refusal("RequestEntityTooLargeException", str(error.detail), {}, 413)
        if isinstance(found, Refusal):
            return answered(found, request_id)
        headers = {"x-amzn-RequestId": request_id}
        return Response(json.dumps(found), 200, headers, MEDIA_TYPE)

    return routes


class _Door:
    """Lets calls in and has them answered."""

    def __init__(self, ports: ApiPorts, fleetwise: ControlPlane) -> None:
        self._clock, self._keys = ports.clock, ports.keys
        self._fleetwise = fleetwise
        self._parts = Parts(
            models=Models(fleetwise.documents, threading.Lock()),
            vehicles=fleetwise.vehicles,
            certificates=fleetwise.certificates,
            campaigns=fleetwise.campaigns,
            audit=ports.audit,
            tokens=PageTokens(fleetwise.root),
        )

    def head(self, gate: Gate, request: Request) -> Shown:
        """Return what a request shows, when its key is in force.  Raises NotSignedIn, TooOften, Unavailable."""
        authorization = ", ".join(request.headers.getlist("authorization"))
        if not authorization:
            gate.note_anonymous(_route(request))
            raise NotSignedIn(
                "the request is not signed: use an AWS client with a key of `fleet-cloud key create --aws`",
                is_wrong=False,
            )

        def known() -> Shown:
            shown = signature.shown_signature(authorization)
            if shown.service != fleetwise_shapes.SERVICE:
                raise Denied(
                    f"the signature is for another service than {fleetwise_shapes.SERVICE}"
                )
            date = _asked(request, b"").header("x-amz-date")
            signature.check_date(shown, date, self._clock.now_ns())
            self._holder(shown)
            return shown

        told = _told(request, authorization.partition("Credential=")[2].partition("/")[0])
        return gate.proved(client_of(request), _route(request), told, known, is_whole=False)

    def answer(
        self, gate: Gate, request: Request, shown: Shown, body: bytes
    ) -> dict[str, Any] | Refusal:
        """Return what is answered.  Raises FairwayError."""
        client, route = client_of(request), _route(request)
        told = _told(request, shown.access_key_id)
        principal = gate.proved(client, route, told, lambda: self._signer(shown, request, body))
        target = request.headers["x-amz-target"]
        name = target.removeprefix(f"{TARGET}.")
        operation = OPERATIONS.get(name)
        if name == target or operation is None:
            return unknown_operation(target)
        gate.let_in(principal, operation.permission, f"POST / {name}")
        return self._run(name, operation, principal, body)

    def _run(
        self, name: str, operation: Operation, principal: Principal, body: bytes
    ) -> dict[str, Any] | Refusal:
        value = fleetwise_shapes.parsed(body)
        if not isinstance(value, dict):
            return not_parsed()
        faults = fleetwise_shapes.faults(fleetwise_shapes.input_shape(name), value)
        if faults:
            return misshapen(faults)
        account = Account(self._fleetwise.region, principal.grants[0].tenant)
        request = fleetwise_shapes.without_nulls(value)
        now_ns = self._clock.now_ns()
        return operation.run(Call(name, request, account, principal, now_ns, self._parts))

    def _signer(self, shown: Shown, request: Request, body: bytes) -> Principal:
        """Return who signed a request.  Raises Denied, Unavailable."""
        secret, principal = self._holder(shown)
        asked = _asked(request, body)
        if request.url.query:
            raise Denied("a signed request here has no query")
        if "x-amz-security-token" in request.headers:
            raise Denied("temporary credentials are not given out here: there is no session token")
        digest = request.headers.get("x-amz-content-sha256")
        if digest not in (None, hashlib.sha256(body).hexdigest()):
            raise Denied("the header x-amz-content-sha256 is not the hash of the body")
        if not signature.is_signed_with(secret, shown, asked):
            raise Denied(_REFUSED)
        return principal

    def _holder(self, shown: Shown) -> tuple[str, Principal]:
        identifier = key_id(shown.access_key_id)
        kept = self._keys.key(identifier)
        secret = secret_of(self._fleetwise.root, identifier)
        try:
            principal = holder(kept, secret, self._clock.now_ns())
        except Denied as error:
            raise Denied(_REFUSED) from error
        assert kept is not None
        if kept.grant.tenant == ALL or kept.grant.fleet != ALL:
            raise Denied("this key is not over one whole tenant")
        return secret, principal


def _told(request: Request, access_key_id: str) -> str:
    """Return what a sender is remembered by: anybody may name a key, so it is a key at an address."""
    return f"{access_key_id}@{client_of(request)}"


def _asked(request: Request, body: bytes) -> SignedRequest:
    return SignedRequest(request.method, "/", request.headers.items(), body)


def _route(request: Request) -> str:
    name = request.headers.get("x-amz-target", "").removeprefix(f"{TARGET}.")
    return f"POST / {name}" if name in OPERATIONS else "POST /"
