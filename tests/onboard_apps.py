"""An app in the vehicle, as tests play it: its key, its tokens, and a gRPC client of the door."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from edge_agent.adapters.tokens import issue, unchecked_claims
from fairway.clock import SystemClock
from fairway.signers import file


class Issuer:
    """Issues tokens; the public half of its key lies in `public`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.signer = file.make(folder / "apps.pem")
        self.public = folder / "apps.pub"
        self.public.write_bytes(
            self.signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )

    def token(
        self, scope: str = "read", *, seconds: float = 60, now_ns: int | None = None, **more: Any
    ) -> str:
        """Return a token that is good for so long from now; below zero it has expired."""
        now_ns = SystemClock().now_ns() if now_ns is None else now_ns
        known = {"subject": "app", "audiences": ["kuksa.val"]}
        return issue(
            self.signer, scope=scope, hours=seconds / 3600, now_ns=now_ns, **(known | more)
        )


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that shows a token."""
    return (("authorization", f"Bearer {token}"),)


@contextmanager
def channel(where: str, ca: Path | None = None, **more: Any) -> Iterator[Any]:
    """Connect to a door: `unix:PATH`, `tls://host:port` with the authority that signed it, or `tcp://host:port`."""
    scheme, _, rest = where.partition("://")
    if scheme == "tls":
        assert ca is not None
        made: Any = grpc.secure_channel(rest, grpc.ssl_channel_credentials(ca.read_bytes(), **more))
    else:
        made = grpc.insecure_channel(rest if scheme == "tcp" else where)
    try:
        yield made
    finally:
        made.close()


def health(opened: Any, metadata: tuple[tuple[str, str], ...] = ()) -> str:
    """Ask how the door does; raises grpc.RpcError."""
    stub: Any = health_pb2_grpc.HealthStub(opened)
    answer = stub.Check(health_pb2.HealthCheckRequest(), metadata=metadata, timeout=10)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def services(opened: Any, metadata: tuple[tuple[str, str], ...] = ()) -> list[str]:
    """Ask what the door serves; raises grpc.RpcError."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(opened)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([request]), metadata=metadata, timeout=10)
    return [service.name for service in answer.list_services_response.service]


def refusal(error: Any) -> tuple[str, str]:
    """Return the name of the status and the sentence that a call ended with."""
    return error.code().name, str(error.details())


def token_id(token: str) -> str:
    """Return the id of a token."""
    return str(unchecked_claims(token)["jti"])
