"""An app of the vehicle: subscribes to signals at an agent's door, and counts what it is told until the end.

    python -m benchmarks._app     stdin: {"where": "unix:...", "token": "...", "paths": [...]}
                                  stdout: {"values": 160000, "seconds": 8.0}

A process of its own, so that what it costs is not the load's.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc.aio

from benchmarks._doors import VAL
from fairway.foreign.kuksa.val.v2 import val_pb2
from tests.onboard_apps import bearer


@dataclass(slots=True)
class Told:
    """What an app was told, from the first message to the last; zero while it runs."""

    values: int = 0
    seconds: float = 0.0

    @property
    def values_s(self) -> float:
        return self.values / self.seconds if self.seconds else 0.0


@contextlib.asynccontextmanager
async def app(where: str, token: str, paths: Sequence[str]) -> AsyncIterator[Told]:
    """Run an app; it ends with the agent, and says then what it was told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks._app"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"where": where, "token": token, "paths": paths}).encode())
    process.stdin.close()
    told = Told()
    try:
        yield told
    finally:
        try:
            out, _ = await asyncio.wait_for(process.communicate(), 10)
            found = json.loads(out)
            told.values, told.seconds = found["values"], found["seconds"]
        finally:
            if process.returncode is None:
                process.kill()


async def _subscribed(where: str, token: str, paths: list[str]) -> Told:
    told, first_s = Told(), 0.0
    # The agent is starting: ask often.
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)]
    async with grpc.aio.insecure_channel(where, options=options) as channel:
        call: Any = channel.unary_stream(
            VAL + "Subscribe",
            request_serializer=val_pb2.SubscribeRequest.SerializeToString,
            response_deserializer=val_pb2.SubscribeResponse.FromString,
        )
        # The most that may wait: every value is told, and what the agent calls dropped was lost.
        request = val_pb2.SubscribeRequest(signal_paths=paths, buffer_size=1000)
        stream = call(request, metadata=bearer(token), wait_for_ready=True)
        assert len((await stream.read()).entries) == len(paths)
        try:
            while message := await stream.read():
                told.values += len(message.entries)
                now_s = time.perf_counter()
                first_s = first_s or now_s
                told.seconds = now_s - first_s
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
    return told


if __name__ == "__main__":
    result = asyncio.run(_subscribed(**json.load(sys.stdin)))
    print(json.dumps({"values": result.values, "seconds": result.seconds}))
