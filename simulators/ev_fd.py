"""Signal <- state, for the CAN FD frames of the electric car.

Rule 1: one entry a message of dbc/fairway_ev_fd.dbc; see view.py for what an entry may hold.
"""

import math

from simulators.ev_chassis import WHEELS
from simulators.view import Values, View

OBJECTS = 8
TRACKS = 16
_MODULES = 24
_GPS_WEEK_MS = 604_800_000

FD: dict[str, Values] = {
    "IMU_Inertial": lambda v: {
        "ImuAccelerationX": v.acceleration_m_s2 + 9.81 * math.sin(math.radians(v.pitch_deg)),
        "ImuAccelerationY": v.lateral_m_s2,
        "ImuAccelerationZ": 9.81 + v.vertical_m_s2,
        "ImuRollRate": 0.4 * v.roll_deg * math.cos(1.1 * v.time_s),
        "ImuPitchRate": 0.3 * v.pitch_deg * math.cos(1.3 * v.time_s),
        "ImuYawRate": math.degrees(v.yaw_rad_s),
        "ImuTemperature": v.cabin_c + 6.0,
    },
    "ADAS_LaneModel": lambda v: {
        "LineLeftOffset": 1.75 - v.wander_m,
        "LineLeftSlope": -0.014 * math.cos(0.21 * v.time_s),
        "LineLeftCurvature": v.bend_1_m,
        "LineRightOffset": -1.75 - v.wander_m,
        "LineRightSlope": -0.014 * math.cos(0.21 * v.time_s),
        "LineRightCurvature": v.bend_1_m,
        "LineLeftQuality": 96.0 - 0.4 * v.rain_percent,
        "LineRightQuality": 93.0 - 0.4 * v.rain_percent,
    },
    "ADAS_FrontObjects": lambda v: {
        "ObjectCount": _objects_seen(v),
        **{
            f"Object{number}{name}": value
            for number in range(1, OBJECTS + 1)
            for name, value in _object(v, number).items()
        },
    },
    "ADAS_RadarTrack": lambda v: {
        "TrackIndex": v.page,
        "TrackRange": 12.0 + 11.0 * v.page + 4.0 * math.sin(0.3 * v.time_s + v.page),
        "TrackAzimuth": 8.0 * math.sin(0.05 * v.time_s + 2.0 * v.page),
        "TrackRangeRate": 1.2 * math.cos(0.3 * v.time_s + v.page),
        "TrackCrossSection": 4.0 + v.page % 5,
        "TrackProbability": 98.0 - 4.0 * v.page,
        "TrackAge": (v.time_s + 3.0 * v.page) % 120.0,
        "TrackMoving": 3 if v.page < 4 else 1,
    },
    "BMS_ModuleTemperatures": lambda v: {
        f"Module{module + 1:02d}Temperature{sensor}": v.module_c[module, column]
        for module in range(_MODULES)
        for column, sensor in enumerate("AB")
    },
    "MCU_ElectricalDetail": lambda v: {
        **_phases(v),
        "LinkVoltage": v.voltage_v - 0.004 * v.inverter_w / max(v.voltage_v, 1.0),
        "JunctionTemperatureU": v.inverter_c + 0.002 * v.switching_w,
        "JunctionTemperatureV": v.inverter_c + 0.0021 * v.switching_w,
        "JunctionTemperatureW": v.inverter_c + 0.0019 * v.switching_w,
        "CopperLoss": v.copper_w,
        "IronLoss": v.iron_w,
        "InverterLoss": v.switching_w,
    },
    "VCU_EnergyFlow": lambda v: {
        "EnergyTraction": v.traction / 3.6e6,
        "EnergyRegenerated": v.regenerated / 3.6e6,
        "EnergyAuxiliary": v.low_voltage / 3.6e6,
        "EnergyClimate": v.climate / 3.6e6,
        "EnergyBatteryLoss": v.battery_loss / 3.6e6,
        "EnergyDriveLoss": v.drive_loss / 3.6e6,
        "EnergyFriction": v.friction / 3.6e6,
        "ForceDrag": v.drag_n,
        "ForceRolling": v.rolling_n,
        "ForceGrade": v.climb_n,
        "RoadGrade": 100.0 * v.grade,
    },
    "TCU_PrecisePosition": lambda v: {
        "PreciseLatitude": v.latitude_deg,
        "PreciseLongitude": v.longitude_deg,
        "PreciseAltitude": v.altitude_m,
        "VelocityNorth": v.speed_m_s * math.cos(math.radians(v.heading_deg)),
        "VelocityEast": v.speed_m_s * math.sin(math.radians(v.heading_deg)),
        "VelocityUp": v.speed_m_s * v.grade,
        "PositionDeviation": 0.03 + 0.4 * v.dark,
        "PositionTime": int(v.utc.timestamp() * 1000.0) % _GPS_WEEK_MS,
    },
    "CCU_Health": lambda v: {
        "CcuCpuLoad": 34.0 + 9.0 * math.sin(v.time_s / 7.0) + 12.0 * v.voice,
        "CcuMemoryLoad": 51.0 + v.time_s / 600.0 % 20.0,
        "CcuTemperature": 48.0 + 0.4 * (v.cabin_c - 20.0),
        "CcuPower": 38.0 + 6.0 * math.sin(v.time_s / 7.0),
        "CcuUptime": v.time_s,
        "CcuWatchdog": False,
        "CcuDeadlineMissed": False,
        "CcuEthernetOk": True,
    },
    "CHS_WheelDetail": lambda v: {
        f"Wheel{name}{wheel}": value
        for number, wheel in enumerate(WHEELS)
        for name, value in _wheel(v, number).items()
    },
}


def _objects_seen(v: View) -> int:
    return int(v.lead) + int(v.blind_left) + int(v.blind_right) if v.moving else 0


def _object(v: View, number: int) -> dict[str, float]:
    names = ("Type", "Distance", "Offset", "Speed", "Acceleration", "Width", "Probability")
    if number > _objects_seen(v):
        return dict.fromkeys(names, 0.0)
    distance = v.lead_m if number == 1 and v.lead else 25.0 * number
    sway = 0.4 * math.sin(0.5 * v.time_s + number)
    offset = 0.0 if number == 1 else 3.5 * (-1) ** number
    return dict(zip(names, (1, distance, offset + sway, sway, 0.0, 1.85, 95), strict=True))


def _phases(v: View) -> dict[str, float]:
    angle = math.fmod(v.distance_m / v.car.wheel_radius_m * v.car.gear_ratio * 4.0, 2.0 * math.pi)
    current = 1.55 * 1.414 * v.torque_nm
    voltage = min(0.05 * v.motor_rpm, 0.5 * v.voltage_v)
    phases = {"RotorAngle": math.degrees(angle)}
    for phase, shift in zip("UVW", (0.0, 2.0, 4.0), strict=True):
        phases[f"Phase{phase}Current"] = current * math.sin(angle - shift * math.pi / 3.0)
        phases[f"Phase{phase}Voltage"] = voltage * math.sin(angle + 0.3 - shift * math.pi / 3.0)
    return phases


def _wheel(v: View, number: int) -> dict[str, float]:
    is_rear = number >= 2
    side = 1.0 if number % 2 else -1.0
    load = v.car.mass_kg * 9.81 / 4.0
    shift = v.car.mass_kg * (
        0.1 * v.acceleration_m_s2 * (1 if is_rear else -1) + 0.15 * side * v.lateral_m_s2
    )
    driven = v.drive_n * v.car.wheel_radius_m / 2.0 if is_rear else 0.0
    return {
        "AngularSpeed": math.degrees(v.wheel_m_s[number] / v.car.wheel_radius_m),
        "Slip": 100.0 * v.slip[number],
        "Force": load + shift,
        "Torque": driven - v.friction_nm * (0.2 if is_rear else 0.3),
        "BrakePressure": v.brake_bar * (0.7 if is_rear else 1.0),
        "PadWear": 22.0 + 3.0 * number,
    }
