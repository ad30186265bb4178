"""Signal <- state, for the frames of brakes, steering, tyres, assistance and position of the electric car.

Rule 1: one entry a message of dbc/fairway_ev.dbc; see view.py for what an entry may hold.
"""

import math

from simulators.view import Values, View

WHEELS = ("FL", "FR", "RL", "RR")
TICKS_A_TURN = 96
NOTHING_SEEN_M = 2.55

CHASSIS: dict[str, Values] = {
    "ESC_WheelSpeeds": lambda v: {
        f"WheelSpeed{wheel}": 3.6 * speed for wheel, speed in zip(WHEELS, v.wheel_m_s, strict=True)
    },
    "ESC_VehicleSpeed": lambda v: {
        "StandstillHeld": v.speed_m_s < 0.05,
        "SpeedValid": True,
        "VehicleSpeed": v.speed_km_h,
        "LongitudinalAcceleration": v.acceleration_m_s2,
        "DistancePulses": math.fmod(v.distance_m, 1310.72),
    },
    "ESC_Dynamics": lambda v: {
        "EscActive": abs(v.lateral_m_s2) > 6.0,
        "AbsActive": v.brake > 0.9,
        "TcsActive": v.slip[2] > 0.045,
        "EscOff": False,
        "LateralAcceleration": v.lateral_m_s2,
        "YawRate": math.degrees(v.yaw_rad_s),
        "VerticalAcceleration": v.vertical_m_s2,
    },
    "ESC_BrakePressure": lambda v: {
        "BrakeLightRequest": v.brake > 0.01 or v.acceleration_m_s2 < -1.0,
        "EmergencyBraking": v.brake > 0.7,
        "BrakePressure": v.brake_bar,
        "BrakePedalPosition": 100.0 * v.brake,
        "FrictionBrakeTorque": v.friction_nm,
        "BrakeDiscTemperature": v.disc_c,
    },
    "ESC_Status": lambda v: {
        "AbsFault": False,
        "EscFault": False,
        "TcsFault": False,
        "BrakeFluidLow": False,
        "PadWearFront": False,
        "PadWearRear": False,
        "HillHoldActive": v.speed_m_s < 0.05 and abs(v.grade) > 0.02,
        "EbaActive": v.brake > 0.8,
        "RoadFriction": 92.0 - 0.35 * v.rain_percent,
    },
    "EPB_Status": lambda v: {
        "ParkBrakeState": 0 if v.ready else 2,
        "ParkBrakeSwitch": 0,
        "AutoHoldEnabled": True,
        "ClampForce": 0.0 if v.ready else 16.0,
    },
    "ESC_WheelTicks": lambda v: {
        **{
            f"WheelTicks{wheel}": _ticks(v, side)
            for wheel, side in zip(WHEELS, (0, 7, 3, 11), strict=True)
        },
        "WheelDirection": 1 if v.moving else 0,
    },
    "EPS_Steering": lambda v: {
        "SteeringAngle": v.steering_deg,
        "SteeringRate": v.steering_deg_s,
        "DriverSteeringTorque": 0.0
        if v.hands_off
        else 0.06 * v.steering_deg + 0.3 * v.lateral_m_s2,
        "RoadWheelAngle": v.road_wheel_deg,
    },
    "EPS_Status": lambda v: {
        "SteeringAssist": 1,
        "HandsOnWheel": not v.hands_off,
        "EpsCurrent": 1.5 + 0.2 * abs(v.steering_deg_s),
        "EpsTemperature": v.ambient_c + 12.0,
    },
    "TPM_Tyre": lambda v: {
        "TyreWheel": v.page,
        "TyrePressure": v.tyre_kpa[v.page],
        "TyreTemperature": v.tyre_c[v.page],
        "TyrePressureLow": v.tyre_kpa[v.page] < 200.0,
        "TyreSensorBatteryLow": False,
        "TyreSensorId": v.who.sensor_id + 0x101 * v.page,
    },
    "CHS_Suspension": lambda v: {
        "RideHeightFL": -3.0 + 2.0 * v.pitch_deg - 2.5 * v.roll_deg + 4.0 * v.vertical_m_s2,
        "RideHeightFR": -3.0 + 2.0 * v.pitch_deg + 2.5 * v.roll_deg + 4.0 * v.vertical_m_s2,
        "RideHeightRL": -5.0 - 2.0 * v.pitch_deg - 2.5 * v.roll_deg,
        "RideHeightRR": -5.0 - 2.0 * v.pitch_deg + 2.5 * v.roll_deg,
        "PitchAngle": v.pitch_deg,
        "RollAngle": v.roll_deg,
    },
    "ADAS_Cruise": lambda v: {
        "CruiseState": 2 if v.cruising else 1 if v.speed_km_h > 30.0 else 0,
        "CruiseFault": False,
        "CruiseSetSpeed": 5.0 * round(v.speed_km_h / 5.0) if v.cruising else 0.0,
        "TimeGapSetting": 3,
        "CruiseEnabled": v.speed_km_h > 30.0,
        "LeadPresent": v.lead,
        "LeadDistance": v.lead_m if v.lead else 0.0,
        "LeadRelativeSpeed": 0.4 * math.sin(0.5 * v.time_s) if v.lead else 0.0,
    },
    "ADAS_Lane": lambda v: {
        "LaneState": 4 if v.speed_km_h > 20.0 else 1,
        "LaneAssistEnabled": True,
        "LaneOffset": v.wander_m,
        "LaneHeading": 0.8 * math.cos(0.21 * v.time_s),
        "LaneDepartureLeft": bool(v.lane_left) and v.speed_km_h > 60.0,
        "LaneDepartureRight": bool(v.lane_right) and v.speed_km_h > 60.0,
        "LaneAssistFault": False,
        "LaneWidth": 3.5,
        "SpeedLimit": v.speed_limit_km_h,
    },
    "ADAS_Warnings": lambda v: {
        "ForwardCollisionWarning": 2 if v.lead and v.lead_m < 20.0 and v.brake > 0.3 else 0,
        "BlindSpotLeft": bool(v.blind_left) and v.moving,
        "BlindSpotRight": bool(v.blind_right) and v.moving,
        "DriverDrowsy": v.attention_loss > 35.0,
        "AebActive": False,
        "EyesOnRoad": v.attention_loss < 10.0,
        "AutonomyLevel": 1 if v.cruising else 0,
        "DriverAttention": 95.0 - v.attention_loss,
    },
    "ADAS_Parking": lambda v: {
        **{f"ParkDistance{where}": NOTHING_SEEN_M for where in ("FL", "FM", "FR", "RL", "RR")},
        "ParkDistanceRM": 0.85 if v.gear == 0 else NOTHING_SEEN_M,
        "ParkAssistActive": v.speed_km_h < 15.0,
    },
    "ADAS_SignRecognition": lambda v: {
        "SignSpeedLimit": v.speed_limit_km_h,
        "SignOvertakingBan": v.speed_limit_km_h == 70.0,
        "SignConfidence": 88.0 - 0.3 * v.rain_percent,
        "SignSource": 3,
    },
    "TCU_Position": lambda v: {"Latitude": v.latitude_deg, "Longitude": v.longitude_deg},
    "TCU_Motion": lambda v: {
        "GnssHeading": v.heading_deg,
        "GnssSpeed": v.speed_km_h,
        "Altitude": v.altitude_m,
        "FixType": 2 if v.time_s > 1.0 else 1,
        "SatellitesUsed": 11 - 4 * v.night,
        "HorizontalAccuracy": 1.6 + 3.0 * v.dark,
    },
    "TCU_Time": lambda v: {
        "UtcYear": v.utc.year,
        "UtcMonth": v.utc.month,
        "UtcDay": v.utc.day,
        "UtcHour": v.utc.hour,
        "UtcMinute": v.utc.minute,
        "UtcSecond": v.utc.second,
        "TimeValid": v.time_s > 1.0,
    },
    "TCU_Connectivity": lambda v: {
        "NetworkType": 0 if v.offline else v.network_generation,
        "Online": not v.offline,
        "SignalStrength": -118.0 if v.offline else -84.0 + 9.0 * math.sin(v.distance_m / 700.0),
        "CellularDataUsed": 12.0 + v.time_s / 90.0,
    },
}


def _ticks(v: View, start: int) -> int:
    turns = v.distance_m / (2.0 * math.pi * v.car.wheel_radius_m)
    return (start + int(turns * TICKS_A_TURN)) % 4096
