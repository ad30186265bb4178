"""A Velocitas app on that project's own SDK, unmodified, in its environment: run by test_velocitas.py.

python velocitas_app.py TOKEN        prints what it saw as one line of JSON; addresses are in SDV_*_ADDRESS
"""

import asyncio
import json
import sys
from typing import Any

from velocitas_sdk import config
from velocitas_sdk.model import DataPointFloat, DataPointInt8, DataPointUint8, Model
from velocitas_sdk.vehicle_app import VehicleApp, subscribe_data_points


class Mirror(Model):
    def __init__(self, parent):
        super().__init__(parent)
        self.name = "DriverSide"
        self.Tilt = DataPointInt8("Tilt", self)


class Part(Model):
    def __init__(self, name, parent):
        super().__init__(parent)
        self.name = name


class Vehicle(Model):
    def __init__(self):
        super().__init__()
        self.Speed = DataPointFloat("Speed", self)
        self.Boat = DataPointUint8("Boat", self)
        self.Mirror = Mirror(Part("Mirrors", Part("Body", self)))


class App(VehicleApp):
    def __init__(self):
        super().__init__()
        self.vehicle = Vehicle()
        self.seen: dict[str, Any] = {"slow": [], "fast": [], "speeds": []}
        self.done = asyncio.Event()

    @subscribe_data_points(
        "Vehicle.Speed", "Vehicle.Speed BETWEEN 1 AND 30 AND Vehicle.Speed <> LAG(Vehicle.Speed)"
    )
    async def on_slow(self, reply):
        self.seen["slow"].append(reply.get(self.vehicle.Speed).value)

    @subscribe_data_points("Vehicle.Speed", "Vehicle.Speed > 400")
    async def on_fast(self, reply):
        self.seen["fast"].append(reply.get(self.vehicle.Speed).value)

    async def on_start(self):
        got = asyncio.Event()

        async def on_speed(reply):
            self.seen["speeds"].append(reply.get(self.vehicle.Speed).value)
            if len(self.seen["speeds"]) == 20:
                got.set()

        subscription = await self.vehicle.Speed.join(self.vehicle.Mirror.Tilt).subscribe(on_speed)
        await asyncio.wait_for(got.wait(), 60)
        await subscription.unsubscribe()
        self.seen["speed"] = (await self.vehicle.Speed.get()).value
        await self.vehicle.Mirror.Tilt.set(17)
        for name, point in (("sensor", self.vehicle.Speed), ("nowhere", self.vehicle.Boat)):
            try:
                await point.set(1)
            except TypeError as error:
                self.seen[name] = str(error)
        metadata = await self._vdb_client.GetMetadata(["Vehicle.Speed"])
        self.seen["metadata"] = [(one.name, one.description) for one in metadata.list]
        self.done.set()


async def main(token):
    # What a runtime of Velocitas tells the SDK to send with each call.
    locator = type(config.middleware.service_locator)
    locator.get_metadata = lambda self, name=None: (("authorization", f"Bearer {token}"),)
    app = App()
    running = asyncio.create_task(app.run())
    await asyncio.wait_for(app.done.wait(), 90)
    running.cancel()
    print(json.dumps(app.seen), flush=True)


asyncio.run(main(sys.argv[1]))
