"""The real command on a real drive gives what the car's own decoder gave: every row, every digit."""

import csv
import json
import subprocess
from decimal import Decimal

import pytest

from tests.e2e.programs import BIN
from tests.shared_data import shared

DRIVE = "edge/rav4_comma2k19"
ROWS = 4_974
KM_H_PER_M_S = 3.6


@pytest.fixture(scope="module")
def decoded() -> dict[str, dict[Decimal, float]]:
    """Values by signal and time, as `edge-agent decode` prints them."""
    done = subprocess.run(
        [
            *(BIN / "edge-agent", "decode", "--json"),
            *("--dbc", f"can0={shared('can/dbc/opendbc/toyota_new_mc_pt_generated.dbc')}"),
            *("--log", shared(f"{DRIVE}/rav4_2017_comma2k19_seg40.candump.log.xz")),
            *("--signals", "can0.WHEEL_SPEEDS.*", "--signals", "can0.STEER_ANGLE_SENSOR.*"),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "53800 frames, 38983 decoded" in done.stderr
    assert "45000 of can1" in done.stderr
    values: dict[str, dict[Decimal, float]] = {}
    for line in done.stdout.splitlines():
        row = json.loads(line, parse_float=Decimal)
        of_signal = values.setdefault(row["signal"], {})
        assert row["time"] not in of_signal, "a frame was decoded twice"
        of_signal[row["time"]] = float(row["value"])
    return values


def truth(name: str) -> list[dict[str, str]]:
    with shared(f"{DRIVE}/{name}").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == ROWS
    return rows


@pytest.mark.parametrize("wheel", ["fl", "fr", "rl", "rr"])
def test_every_wheel_speed_is_the_cars_own(decoded, wheel: str):
    signal = decoded[f"can0.WHEEL_SPEEDS.WHEEL_SPEED_{wheel.upper()}"]

    ours = [(time, value / KM_H_PER_M_S) for time, value in signal.items()]

    expected = [
        (Decimal(row["unix_time_s"]), float(row[f"{wheel}_m_s"]))
        for row in truth("rav4_truth_wheel_speed.csv")
    ]
    assert [time for time, _ in ours] == [time for time, _ in expected]
    # The truth has 16 digits; it and we divide by 3.6 in another order.
    assert [value for _, value in ours] == pytest.approx([v for _, v in expected], rel=1e-15, abs=0)


def test_every_steering_angle_is_the_cars_own(decoded):
    angle = decoded["can0.STEER_ANGLE_SENSOR.STEER_ANGLE"]
    fraction = decoded["can0.STEER_ANGLE_SENSOR.STEER_FRACTION"]

    ours = [(time, angle[time] + fraction[time]) for time in angle]

    assert ours == [
        (Decimal(row["unix_time_s"]), float(row["steering_angle_deg"]))
        for row in truth("rav4_truth_steering.csv")
    ]
