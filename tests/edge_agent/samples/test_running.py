"""How a sample service lives, without a vehicle: it answers at its socket, and ends as it is told to."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from edge_agent.samples.front import _Connection
from edge_agent.samples.running import run
from edge_agent.samples.vehicle import Refused, Vehicle

vehicle = Vehicle({"FAIRWAY_SOCKETS": sys.argv[1]})

def asked(path):
    connection = _Connection(vehicle.sockets / "front")
    connection.request("GET", path)
    answer = connection.getresponse()
    return f"{path} {answer.status} {answer.read().decode()}"

class Working:
    has_data = False
    def run(self):
        print(asked("/live"), asked("/ready"), asked("/v1/it"), asked("/v1/other"))
        vehicle.is_connected = self.has_data = True
        print(asked("/ready"))
        if sys.argv[2] == "refused":
            raise Refused("may not read Vehicle.Speed: PERMISSION_DENIED")

sys.exit(run("it", vehicle, Working(), "front", {"/v1/it": lambda: (200, {"is": 1})}))
"""


@pytest.mark.parametrize(
    ("end", "code", "said", "complaint"),
    [
        ("told", 0, "stopped\n", ""),
        ("refused", 3, "", "it may not read Vehicle.Speed: PERMISSION_DENIED\n"),
    ],
)
def test_a_service_answers_while_it_works_and_says_how_it_ended(
    tmp_path: Path, end: str, code: int, said: str, complaint: str
):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), end],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (code, complaint)
    assert done.stdout == (
        'started\n/live 200 {} /ready 503 {"ready": false} /v1/it 200 {"is": 1} '
        '/v1/other 404 {"error": "there is no /v1/other"}\n/ready 200 {"ready": true}\n' + said
    )
