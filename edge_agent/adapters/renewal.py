"""Renews the vehicle's certificate while the agent runs.

look --not due--> sleep --> look        due --> ask --> check, install --> tell the uplink --> look
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from importlib import metadata
from pathlib import Path

from edge_agent.adapters.identity_files import IdentityFiles, signing_request
from edge_agent.enrolment.renewal import (
    DENIED_RETRY_S,
    LOOK_S,
    RENEWED_WAIT_S,
    retry_after_s,
    wait_s,
)
from fairway import log
from fairway.clock import NS_PER_S, Clock
from fairway.crypto import Signer
from fairway.enrolment import Ask, Granted, Waiting
from fairway.errors import BadInput, Conflict, Denied, Tampered, Unavailable

EVENTS = log.get("edge_agent.renewal")

# Every process of the cloud has heard of the new certificate by then.
SWITCH_AFTER_S = 2.0

AskCloud = Callable[[Ask, Signer], Awaitable[Granted | Waiting]]


class Renewal:
    """The loop; `run` it as a task."""

    def __init__(
        self,
        files: IdentityFiles,
        ask_cloud: AskCloud,
        clock: Clock,
        renewed: Callable[[], None],
        *,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._files, self._ask, self._clock = files, ask_cloud, clock
        self._renewed, self._chance, self._sleep = renewed, chance, sleep
        self._failures = 0

    async def run(self) -> None:
        """Renew whenever it is time, until cancelled."""
        while True:
            await self._sleep(await self.step())

    def left_s(self) -> float | None:
        """Return for how long the certificate is good; None when it cannot be read."""
        try:
            ends_ns = self._files.leaf().validity.ends_ns
        except BadInput:
            return None
        return max(0.0, (ends_ns - self._clock.now_ns()) / NS_PER_S)

    async def step(self) -> float:
        """Look once, do what is due, and return how long to sleep."""
        try:
            left_s = wait_s(self._files.leaf().validity, self._clock.now_ns())
            if left_s > 0:
                return max(left_s, 1.0)
            return await self._renew()
        except (Denied, BadInput, Conflict, Tampered) as error:
            EVENTS.error("renewal_denied", reason=str(error), again_in_s=DENIED_RETRY_S)
            return DENIED_RETRY_S
        except Unavailable as error:
            self._failures += 1
            again_s = retry_after_s(self._failures, self._chance())
            EVENTS.warning("renewal_unavailable", reason=str(error), again_in_s=round(again_s))
            return again_s

    async def _renew(self) -> float:
        me = self._files.read()
        key = await asyncio.to_thread(self._files.signer, me.key)
        csr = await asyncio.to_thread(signing_request, me.vehicle, key)
        answer = await self._ask(Ask(me.vehicle, csr, agent_version=agent_version()), key)
        if isinstance(answer, Waiting):
            return max(float(answer.retry_after_s), LOOK_S)
        now_ns = self._clock.now_ns()
        leaf = await asyncio.to_thread(self._files.install, answer, key, now_ns)
        self._failures = 0
        EVENTS.info(
            "certificate_renewed", vehicle=me.vehicle, certificate=leaf.validity.sha256[:16]
        )
        await self._sleep(SWITCH_AFTER_S)
        self._renewed()
        return RENEWED_WAIT_S


def agent_version() -> str:
    """Return which agent this is."""
    try:
        return metadata.version("fairway")
    except metadata.PackageNotFoundError:  # put together without an installer
        return ""


def identity_renewal(folder: Path, clock: Clock, renewed: Callable[[], None]) -> Renewal:
    """Return what renews the identity in `folder`; gRPC is loaded when it is time, and not before."""
    files = IdentityFiles(folder)

    async def ask_cloud(ask: Ask, key: Signer) -> Granted | Waiting:
        from edge_agent.adapters import enrolment_grpc  # noqa: PLC0415

        me = files.read()
        if not me.endpoints.grpc_url:
            raise BadInput(f"the identity in {folder} knows no gRPC address to renew at")
        target = files.address(me.endpoints.grpc_url)
        signer = key if target.hardware_key else None
        return await enrolment_grpc.ask_cloud(target, ask, signer)

    return Renewal(files, ask_cloud, clock, renewed)
