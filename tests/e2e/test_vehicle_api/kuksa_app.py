"""An app that uses KUKSA's own client, unmodified, in that client's environment: run by test_kuksa_client.py.

python kuksa_app.py sync|async PORT TOKEN CA        prints what it saw as one line of JSON
"""

import asyncio
import json
import sys
import threading
from pathlib import Path

from kuksa_client.grpc import Datapoint, MetadataField, VSSClient, VSSClientError
from kuksa_client.grpc.aio import VSSClient as AsyncClient

SPEED = "Vehicle.Speed"
MIRROR = "Vehicle.Body.Mirrors.DriverSide.Tilt"
VIN = "Vehicle.VehicleIdentification.VIN"


def refused(call, *arguments):
    try:
        call(*arguments)
    except VSSClientError as error:
        return error.error["code"]
    return None


def use_sync(port, token, ca):
    options = {"token": token, "root_certificates": Path(ca)}
    seen = {}
    with VSSClient("localhost", port, **options) as app:
        seen["server"] = app.get_server_info().name
        metadata = app.get_metadata([SPEED, MIRROR], MetadataField.ALL)
        seen["unit"] = metadata[SPEED].unit
        seen["types"] = [metadata[path].data_type.name for path in (SPEED, MIRROR)]
        seen["kinds"] = [metadata[path].entry_type.name for path in (SPEED, MIRROR)]
        speeds = []
        for updates in app.subscribe_current_values([SPEED]):
            if updates[SPEED] is not None:
                speeds.append(updates[SPEED].value)
            if len(speeds) == 5:
                break
        seen["speeds"] = speeds
        app.set_current_values({VIN: Datapoint("WVWZZZ1JZXW000001")})
        seen["vin"] = app.get_current_values([VIN])[VIN].value
        seen["wrong type"] = refused(app.set_current_values, {SPEED: Datapoint(1e39)})
        seen["nowhere"] = refused(app.get_current_values, ["Vehicle.Boat"])
        seen["branch"] = len(next(iter(app.subscribe_current_values(["Vehicle.Body.Mirrors"]))))
    with (
        VSSClient("localhost", port, **options) as ecu,
        VSSClient("localhost", port, **options) as app,
    ):
        asked, ready = [], threading.Event()

        def act():
            for updates in ecu.subscribe_target_values([MIRROR]):
                asked.append(updates[MIRROR].value)
                ready.set()
                return

        acting = threading.Thread(target=act, daemon=True)
        acting.start()
        for _ in range(100):  # until the claim is there
            app.set_target_values({MIRROR: Datapoint(17)})
            if ready.wait(0.1):
                break
        seen["asked"] = asked[0]
        seen["target"] = app.get_target_values([MIRROR])[MIRROR].value
    return seen


async def use_async(port, token, ca):
    seen = {}
    async with AsyncClient("localhost", port, token=token, root_certificates=Path(ca)) as app:
        await app.set_current_values({VIN: Datapoint("ASYNC")})
        values = await app.get_current_values([VIN, SPEED])
        seen["vin"], seen["speed"] = values[VIN].value, values[SPEED].value
        got, asked = [], []

        async def listen():
            async for updates in app.subscribe_current_values([SPEED, VIN]):
                got.append(sorted(updates))
                if len(got) == 3:
                    return

        async def act():
            async for updates in app.subscribe_target_values([MIRROR]):
                asked.append(updates[MIRROR].value)
                return

        acting = asyncio.create_task(act())
        await asyncio.wait_for(listen(), 20)
        for _ in range(100):
            await app.set_target_values({MIRROR: Datapoint(-3)})
            done, _ = await asyncio.wait([acting], timeout=0.1)
            if done:
                break
        seen["first"], seen["asked"] = got[0], asked[0]
        seen["metadata"] = (await app.get_metadata([SPEED]))[SPEED].description
    return seen


def main():
    mode, number, path, ca = sys.argv[1:]
    port, token = int(number), Path(path).read_text()
    is_sync = mode == "sync"
    seen = use_sync(port, token, ca) if is_sync else asyncio.run(use_async(port, token, ca))
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
