"""Vehicles that only talk about campaigns: a control door spoken by hand, with real certificates."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

from fairway.control import (
    CampaignList,
    CampaignState,
    CampaignStatus,
    CheckIn,
    FromVehicle,
    ToVehicle,
)
from fairway.errors import Unavailable
from fairway.wire.control import from_vehicle_to_bytes, to_vehicle_from_bytes

CONTROL = "/fairway.v1.ControlService/Control"
# Returns how a campaign stands in a vehicle that was ordered to run it.
Judge = Callable[[str], CampaignStatus]


def runs(sync_id: str) -> CampaignStatus:
    """Run everything."""
    return CampaignStatus(sync_id, CampaignState.RUNNING)


def refuses(sync_id: str) -> CampaignStatus:
    """Refuse everything."""
    return CampaignStatus(sync_id, CampaignState.REFUSED, "there is no such signal here")


class ControlLine:
    """One vehicle: it checks in, hears what it is to run, and says that it does, or does not."""

    def __init__(self, folder: Path, port: int, judge: Judge = runs) -> None:
        self._judge = judge
        self.lists: list[CampaignList] = []
        self.heard: list[ToVehicle] = []
        files = [(folder / name).read_bytes() for name in ("ca.pem", "key.pem", "certificate.pem")]
        self._channel = grpc.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(*files),
            options=[("grpc.use_local_subchannel_pool", 1)],
        )
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        call: Any = self._channel.stream_stream(CONTROL)
        self._call = call(iter(self._outgoing.get, None))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.say(self._check_in())

    @property
    def campaigns(self) -> set[str]:
        """The names of what it is to run now."""
        orders = self.lists[-1].campaigns if self.lists else ()
        return {one.campaign.name for one in orders}

    def say(self, noun: FromVehicle) -> None:
        """Say something to the cloud."""
        self._outgoing.put(from_vehicle_to_bytes(noun))

    def close(self) -> None:
        """Hang up."""
        self._outgoing.put(None)
        self._call.cancel()
        self._thread.join(5)
        self._channel.close()

    def _listen(self) -> None:
        try:
            for message in self._messages():
                self.heard.append(message)
                if isinstance(message, CampaignList):
                    self.lists.append(message)
                    self.say(self._check_in())
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.CANCELLED:
                raise Unavailable(str(error)) from error

    def _messages(self) -> Iterator[ToVehicle]:
        for data in self._call:
            yield to_vehicle_from_bytes(data)

    def _check_in(self) -> CheckIn:
        known = self.lists[-1] if self.lists else CampaignList(0, ())
        statuses = tuple(self._judge(one.sync_id) for one in known.campaigns)
        return CheckIn("1.0.0", time.time_ns(), known.revision, statuses)
