"""A service that uses KUKSA's own client, unmodified, at its door: run in that client's own environment.

python kuksa_service.py sync|async [TOKEN_FILE]        prints what it saw as one line of JSON
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from kuksa_client.grpc import Datapoint, VSSClient, VSSClientError
from kuksa_client.grpc.aio import VSSClient as AsyncClient

SPEED = "Vehicle.Speed"
PROVIDED = "Vehicle.TraveledDistanceTotal"
DENIED = "Vehicle.VehicleIdentification.VIN"


def refused(error):
    return error.error["code"]


def use_sync(where, token):
    app = VSSClient("", 0, token=token)
    app.connect(where)
    seen = {"server": app.get_server_info().name}
    seen["speed"] = app.get_current_values([SPEED])[SPEED].value
    app.set_current_values({PROVIDED: Datapoint(4711)})
    seen["provided"] = app.get_current_values([PROVIDED])[PROVIDED].value
    seen["told"] = next(iter(app.subscribe_current_values([SPEED])))[SPEED].value
    try:
        app.get_current_values([DENIED])
    except VSSClientError as error:
        seen["denied"] = refused(error)
    app.disconnect()
    return seen


async def use_async(where, token):
    app = AsyncClient("", 0, token=token)
    await app.connect(where)
    seen = {"speed": (await app.get_current_values([SPEED]))[SPEED].value}
    await app.set_current_values({PROVIDED: Datapoint(7)})
    try:
        await app.set_current_values({SPEED: Datapoint(1.0)})
    except VSSClientError as error:
        seen["denied"] = refused(error)
    await app.disconnect()
    return seen


def main():
    where = os.environ["KUKSA_ADDRESS"]
    token = Path(sys.argv[2]).read_text() if len(sys.argv) > 2 else None
    is_sync = sys.argv[1] == "sync"
    print(json.dumps(use_sync(where, token) if is_sync else asyncio.run(use_async(where, token))))


if __name__ == "__main__":
    main()
