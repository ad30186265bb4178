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

FOLDER = os.environ["FAIRWAY_SOCKETS"]


def offer():
    made = socket.socket(socket.AF_UNIX)
    made.bind(f"{FOLDER}/health.sock")
    made.listen()
    while True:
        asking, _ = made.accept()
        asking.sendall(b"97.5")
        asking.close()


def connected(path):
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(path)
        return made.recv(99).decode()
    except OSError as error:
        return type(error).__name__


def value(path):
    import grpc
    from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2, val_pb2_grpc

    with open(os.environ["FAIRWAY_TOKEN_FILE"]) as file:
        shown = [("authorization", f"Bearer {file.read()}")]
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
    used = f"{FOLDER}/uses/battery.health/sock"
    while sys.argv[1] == "trip-log" and not os.path.exists(used):
        time.sleep(0.1)
    seen = {
        "offer": connected(used),
        "uses": os.listdir(f"{FOLDER}/uses"),
        "speed": value("Vehicle.Speed"),
        "vin": value("Vehicle.VehicleIdentification.VIN"),
        "sockets": sorted(os.listdir(FOLDER)),
    }
    print(json.dumps(seen), flush=True)
    time.sleep(3600)


main()
