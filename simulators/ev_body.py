"""Signal <- state, for the frames of body, climate, cluster, infotainment and gateway of the electric car.

Rule 1: one entry a message of dbc/fairway_ev.dbc; see view.py for what an entry may hold.
"""

from simulators.view import Values, View

# The pages of DIA_EcuReport: ReportPage, and DtcSlot where the page has one.
REPORTS: tuple[tuple[int, int | None], ...] = ((0, None), (1, 0), (1, 1), (1, 2), (1, 3), (2, None))
# Faults that a habit may raise: number and status byte (confirmed, failed now).
FAULTS = ((0x9A1B11, 0x2F), (0xC07388, 0x2F))

BODY: dict[str, Values] = {
    "BCM_Doors": lambda v: {
        "DoorOpenFL": v.door_fl,
        **dict.fromkeys(("DoorOpenFR", "DoorOpenRL", "DoorOpenRR"), 0),
        "TrunkOpen": False,
        "FrunkOpen": False,
        **dict.fromkeys((f"DoorLocked{door}" for door in ("FL", "FR", "RL", "RR")), v.locked),
        "TrunkLocked": v.locked,
        "ChildLockLeft": True,
        "ChildLockRight": True,
        "CentralLockRequest": 1 if v.locked else 2,
        "KeyInside": True,
        "AlarmState": 0,
    },
    "BCM_Windows": lambda v: {
        "WindowFL": v.window_fl,
        "WindowFR": v.window_fr,
        "WindowRL": v.window_rl,
        "WindowRR": v.window_rr,
        "SunroofPosition": v.sunroof,
        "SunshadePosition": v.sunshade,
        "WindowChildLock": False,
        "MirrorFoldedLeft": v.time_s < 1.2,
        "MirrorFoldedRight": v.time_s < 1.2,
        "MirrorHeating": bool(v.defrost),
    },
    "BCM_Lights": lambda v: {
        "LowBeam": v.low_beam,
        "HighBeam": bool(v.high_beam),
        "DaytimeRunning": not v.low_beam,
        "ParkingLight": v.low_beam,
        "FogFront": bool(v.fog_front),
        "FogRear": v.rain_percent > 80.0,
        "IndicatorLeft": v.left,
        "IndicatorRight": v.right,
        "IndicatorLampOn": (v.left or v.right) and v.indicator_lit,
        "ReverseLight": False,
        "PlateLight": v.low_beam,
        "LampDefect": False,
        "LightSwitch": 3,
        "HeadlampLevel": 2,
        "InteriorLight": v.door_fl or v.time_s < 3.0,
        "AmbientBrightness": 60.0 if v.night else 20.0,
        "LightSensor": 60.0 if v.night else 24_000.0 - 200.0 * v.rain_percent,
    },
    "BCM_Wipers": lambda v: {
        "WiperMode": 5 if v.wiping else 0,
        "WiperMoving": v.wiping and (v.time_s % _wipe_s(v)) < 1.2,
        "RearWiperMode": 2 if v.rain_percent > 50.0 else 0,
        "WasherActive": bool(v.washer),
        "WiperSensitivity": 3,
        "WasherFluidLow": False,
        "HornActive": bool(v.horn),
        "RainIntensity": v.rain_percent,
        "WiperAngle": _wiper_deg(v),
        "FrontDefrost": bool(v.defrost),
        "RearDefrost": bool(v.defrost),
    },
    "BCM_Seats": lambda v: {
        "SeatHeatDriver": v.seat_heat_driver,
        "SeatHeatPassenger": v.seat_heat_passenger,
        "SeatPositionDriver": 212.0,
        "SeatHeightDriver": 38.5,
        "SeatReclineDriver": 18.5,
        "MassageDriver": v.massage,
        "SteeringWheelHeat": bool(v.wheel_heat),
        "SteeringColumnTilt": 44,
    },
    "SRS_Occupants": lambda v: {
        "BeltFL": v.belted,
        "BeltFR": v.belted,
        **dict.fromkeys(("BeltRL", "BeltRM", "BeltRR"), 0),
        "OccupiedFL": not v.door_fl,
        "OccupiedFR": True,
        **dict.fromkeys(("OccupiedRL", "OccupiedRM", "OccupiedRR"), 0),
        "AirbagEnabledPassenger": True,
        "CrashDetected": False,
        "AirbagLamp": v.time_s < 2.0,
        "BeltReminder": not v.belted,
    },
    "BCM_Switches": lambda v: {
        "IndicatorStalk": 1 if v.indicate_left else 2 if v.indicate_right else 0,
        "HighBeamStalk": 1 if v.high_beam else 0,
        "HazardSwitch": bool(v.hazard),
        "HornSwitch": bool(v.horn),
        "CruiseButton": 2 if v.cruising and v.time_s % 30.0 < 0.4 else 0,
        "VolumeButton": 0,
        "VoiceButton": bool(v.voice),
        "WasherSwitch": bool(v.washer),
        "StartButton": 1.5 < v.time_s < 2.0,
    },
    "BCM_Access": lambda _: {
        "KeyBatteryLow": False,
        "KeyCount": 1,
        "ApproachLight": False,
        "ValetMode": False,
        "DoorHandleFL": False,
        "DoorHandleFR": False,
        "TowDetected": False,
        "KeyDistance": 0.4,
    },
    "BCM_Trailer": lambda _: dict.fromkeys(
        ("TrailerConnected", "TrailerBrakeLight", "TrailerIndicator", "TowBarOut"), 0
    ),
    "HVAC_Status": lambda v: {
        "CabinTemperature": v.cabin_c,
        "SetTemperatureDriver": v.wish_c,
        "SetTemperaturePassenger": 21.5,
        "FanSpeedFront": min(20.0 + 0.02 * (v.compressor_w + v.heater_w), 100.0),
        "AirConditioning": True,
        "Recirculation": bool(v.recirculation),
        "DefrostFrontAir": bool(v.defrost),
        "DefrostRearAir": bool(v.defrost),
        "AirDistribution": 0 if v.defrost else 1,
        "ClimateAuto": True,
        "PreConditioning": False,
        "EvaporatorTemperature": 6.0 if v.compressor_w > 40.0 else v.cabin_c - 2.0,
    },
    "HVAC_Power": lambda v: {
        "CompressorSpeed": min(800.0 + 2.4 * v.compressor_w, 8_500.0)
        if v.compressor_w > 40.0
        else 0.0,
        "CompressorPower": v.compressor_w,
        "HeaterPower": v.heater_w,
        "RefrigerantPressure": 6.0 + 0.004 * v.compressor_w + 0.12 * max(v.ambient_c, 0.0),
        "AmbientTemperature": v.ambient_c,
        "CabinHumidity": 42.0 + 0.1 * v.rain_percent,
        "SolarLoad": 20.0 if v.night else 420.0 - 3.0 * v.rain_percent,
    },
    "HVAC_Zones": lambda v: {
        "VentTemperatureLeft": 8.0 if v.compressor_w > 40.0 else v.cabin_c + 8.0,
        "VentTemperatureRight": 8.5 if v.compressor_w > 40.0 else v.cabin_c + 7.5,
        "FootTemperature": v.cabin_c + 3.0,
        "AirQuality": 38.0 + 20.0 * v.recirculation,
        "Co2Level": 620.0 + 250.0 * v.recirculation,
        "CabinFilterLife": 71,
    },
    "CLU_Odometer": lambda v: {
        "Odometer": v.odometer_km,
        "TripDistance": v.trip_km,
        "TripDuration": v.time_s / 60.0,
    },
    "CLU_Display": lambda v: {
        # A dial never shows less than the truth.
        "DisplayedSpeed": 1.02 * v.speed_km_h + 1.0 if v.moving else 0.0,
        "DisplayedRange": v.range_km,
        "DisplayBrightness": 35.0 if v.night else 90.0,
        "NightMode": v.night,
        "DistanceUnit": 0,
        "TemperatureUnit": 0,
        "AverageSpeed": 3600.0 * v.trip_km / max(v.time_s, 1.0),
    },
    "CLU_Telltales": lambda v: {
        "LampPowertrain": v.fault_number == 1,
        "LampBattery12V": False,
        "LampBrake": not v.ready,
        "LampAbs": v.time_s < 2.0,
        "LampTyre": min(v.tyre_kpa) < 200.0,
        "LampTurtle": v.soc < 0.05,
        "LampBelt": not v.belted,
        "LampReady": v.ready,
        "ServiceDue": False,
        "DistanceToService": 30_000.0 - v.odometer_km % 30_000.0,
    },
    "IVI_Media": lambda v: {
        "MediaSource": v.media_source,
        "MediaVolume": 22.0 + v.volume_up,
        "NavigationActive": True,
        "NavigationVolume": 40.0,
        "PhoneConnected": True,
        "DestinationDistance": max(120.0 - v.trip_km, 0.0),
        "DestinationTime": max(120.0 - v.trip_km, 0.0) * 1.1,
    },
    "GW_NetworkState": lambda v: {
        "BusLoadCan0": 100.0 * v.bus_load[0],
        "BusLoadCan1": 100.0 * v.bus_load[1],
        "ErrorFramesCan0": 0,
        "ErrorFramesCan1": 0,
        "NodesAwake": 0xFFFF,
        "NetworkOk": True,
    },
    "GW_VehicleMode": lambda v: {
        "VehicleMode": 2 if v.ready else 1,
        "IgnitionOn": v.time_s > 0.5,
        "UpdatePending": False,
        "PreDriveCheckOk": v.time_s > 1.5,
        "AliveTime": v.time_s % 6553.6,
    },
    "GW_ChildNodes": lambda v: {
        "HumidityOutside": 55.0 + 0.4 * v.rain_percent,
        "AirPressure": 1013.0 - 0.12 * v.altitude_m,
        "WasherLevel": 74,
        "RearviewDimming": 60.0 if v.night else 0.0,
    },
}


def _wipe_s(v: View) -> float:
    return 6.0 if v.rain_percent < 30.0 else 2.4 if v.rain_percent < 70.0 else 1.3


def _wiper_deg(v: View) -> float:
    within = (v.time_s % _wipe_s(v)) / 1.2
    if not v.wiping or within >= 1.0:
        return 0.0
    return float(110.0 * (1.0 - abs(2.0 * within - 1.0)))


def _report(v: View) -> dict[str, float]:
    page, slot = REPORTS[v.page]
    ecu = int(v.time_s / 3.0) % 18
    report: dict[str, float] = {"ReportPage": page, "ReportEcu": ecu}
    if page == 0:
        report |= {
            "SoftwareMajor": 3,
            "SoftwareMinor": ecu,
            "SoftwarePatch": (7 * ecu) % 20,
            "HardwareRevision": 2,
        }
    elif page == 2:
        report |= {
            "EcuSupplyVoltage": v.low_voltage_v,
            "EcuTemperature": v.ambient_c + 11.0,
            "EcuUptime": int(v.time_s),
        }
    elif slot == 0:
        report |= {"DtcSlot": 0, "DtcCount": v.fault_number, "DtcConfirmed": v.fault_number}
    elif slot is not None:
        number, status = FAULTS[slot - 1] if slot <= v.fault_number else (0, 0)
        report |= {"DtcSlot": slot, "DtcNumber": number, "DtcStatus": status}
    return report


BODY["DIA_EcuReport"] = _report
