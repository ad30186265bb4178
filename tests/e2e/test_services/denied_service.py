"""Three services of one image, in containers; each says on its standard output, as JSON, what it reached.

battery     offers battery.health
trip-log    uses it, as both manifests say
nosy        asks for a signal and an offer that are not for it
"""

import json
import os
import socket
import sys
import time
from pathlib import Path

import grpc

from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2, val_pb2_grpc

FOLDER = Path(os.environ["FAIRWAY_SOCKETS"])


def offer():
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(FOLDER / "health.sock"))
    made.listen()
    while True:
        asking, _ = made.accept()
        asking.sendall(b"97.5")
        asking.close()


def connected(path):
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(str(path))
        return made.recv(99).decode()
    except OSError as error:
        return type(error).__name__


def value(path):
    token = Path(os.environ["FAIRWAY_TOKEN_FILE"]).read_text()
    shown = (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(os.environ["FAIRWAY_AGENT"]) as channel:
        request = val_pb2.GetValueRequest(signal_id=types_pb2.SignalID(path=path))
        try:
            val_pb2_grpc.VALStub(channel).GetValue(request, metadata=shown, timeout=30)
        except grpc.RpcError as error:
            return [error.code().name, error.details()]
    return ["OK", ""]


def main():
    if sys.argv[1] == "battery":
        offer()
    used = FOLDER / "uses" / "battery.health" / "sock"
    while sys.argv[1] == "trip-log" and not used.exists():
        time.sleep(0.1)
    seen = {
        "offer": connected(used),
        "uses": [path.name for path in (FOLDER / "uses").iterdir()],
        "speed": value("Vehicle.Speed"),
        "vin": value("Vehicle.VehicleIdentification.VIN"),
        "sockets": sorted(path.name for path in FOLDER.iterdir()),
    }
    print(json.dumps(seen), flush=True)
    time.sleep(3600)


main()
