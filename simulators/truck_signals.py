"""Signal <- state, for the SAE J1939 frames of the truck.

Rule 1: one entry a message of dbc/fairway_truck.dbc; numbers are physical values in its units.
Rule 2: of TIRE, `view.page` is the location whose turn it is.
"""

from simulators.diesel import REFERENCE_NM, UP_RPM
from simulators.view import Values, View

TANK_L = 600.0
TYRES = (0x00, 0x01, 0x10, 0x11, 0x12, 0x13)  # two on the front axle, four on the rear one

# J1939's "not available" of a two-bit parameter.
NA2 = 3
# "D" and "N" as two ASCII characters, first one lowest.
_DRIVE, _NEUTRAL = 0x2044, 0x204E
# Coolant temperature too high; fuel pressure too low: suspect parameter, failure mode.
_FAULTS = ((0, 31), (110, 0), (94, 1))

TABLE: dict[str, Values] = {
    "EEC1": lambda v: {
        "EngineTorqueMode": 1 if v.pedal > 0.0 else 0,
        "ActualTorqueFraction": 0.0,
        "DriverDemandTorque": 100.0 * v.wish_nm / REFERENCE_NM,
        "ActualEngineTorque": 100.0 * v.torque_nm / REFERENCE_NM,
        "EngineSpeed": v.engine_rpm,
        "EngineControlSource": 0,
        "EngineStarterMode": 0b1111,
        "EngineDemandTorque": 100.0 * v.wish_nm / REFERENCE_NM,
    },
    "EEC2": lambda v: {
        "PedalLowIdleSwitch": v.pedal == 0.0,
        "PedalKickdownSwitch": v.pedal > 0.98,
        "RoadSpeedLimitStatus": 0 if v.speed_km_h > 88.5 else 1,
        "AcceleratorPedalPosition1": 100.0 * v.pedal,
        "EnginePercentLoad": 100.0 * v.pedal,
        "ActualMaxAvailableTorque": 100.0,
    },
    "EEC3": lambda v: {
        "NominalFrictionTorque": 6.0 + v.engine_rpm / 300.0,
        "EngineDesiredSpeed": max(v.engine_rpm, 600.0),
    },
    "ETC1": lambda v: {
        "DrivelineEngaged": v.gear > 0 and v.shift_s == 0.0,
        "ConverterLockup": NA2,
        "ShiftInProcess": v.shift_s > 0.0,
        "OutputShaftSpeed": v.shaft_rpm,
        "ClutchSlip": 100.0 * max(1.0 - v.shaft_rpm * v.ratio / v.engine_rpm, 0.0)
        if v.gear
        else 100.0,
        "InputShaftSpeed": v.shaft_rpm * v.ratio,
        "TransmissionControlSource": 3,
    },
    "ETC2": lambda v: {
        "TransmissionSelectedGear": v.gear,
        "TransmissionGearRatio": v.ratio,
        "TransmissionCurrentGear": 0 if v.shift_s > 0.0 else v.gear,
        "RequestedRange": _DRIVE,
        "CurrentRange": _DRIVE if v.gear else _NEUTRAL,
    },
    "CCVS1": lambda v: {
        "TwoSpeedAxleSwitch": NA2,
        "ParkingBrakeSwitch": v.time_s < 2.0,
        "CruisePauseSwitch": 0,
        "WheelBasedVehicleSpeed": v.speed_km_h,
        "CruiseControlActive": _cruises(v),
        "CruiseControlEnable": v.speed_km_h > 30.0,
        "BrakeSwitch": v.brake > 0.01,
        "ClutchSwitch": 0,
        **dict.fromkeys(
            (f"Cruise{what}Switch" for what in ("Set", "Coast", "Resume", "Accelerate")), 0
        ),
        "CruiseSetSpeed": round(v.speed_km_h) if _cruises(v) else 0.0,
        "PtoState": 0,
        "CruiseControlState": 1 if _cruises(v) else 0,
    },
    "ET1": lambda v: {
        "EngineCoolantTemperature": v.coolant_c,
        "FuelTemperature": v.ambient_c + 12.0,
        "EngineOilTemperature": v.oil_c,
        "TurboOilTemperature": v.oil_c + 9.0,
        "IntercoolerTemperature": v.ambient_c + 10.0 + 0.1 * v.boost_kpa,
        "IntercoolerThermostat": 100.0,
    },
    "EFL_P1": lambda v: {
        "FuelDeliveryPressure": 420.0 + 0.12 * v.engine_rpm,
        "EngineOilLevel": 86.0,
        "EngineOilPressure": 140.0 + 0.18 * v.engine_rpm,
        "CrankcasePressure": 0.4,
        "CoolantPressure": 90.0,
        "CoolantLevel": 94.0,
    },
    "LFE1": lambda v: {
        "EngineFuelRate": v.fuel_l_h,
        "InstantFuelEconomy": min(v.speed_km_h / max(v.fuel_l_h, 0.1), 125.0),
        "AverageFuelEconomy": min(v.trip_km / max(v.fuel_l, 0.01), 125.0),
        "ThrottlePosition": 100.0 if v.engine_rpm > 700.0 else 60.0,
    },
    "LFC1": lambda v: {
        "TripFuel": v.fuel_l,
        "TotalFuelUsed": 0.29 * v.odometer_before_km + v.fuel_l,
    },
    "VEP1": lambda v: {
        "NetBatteryCurrent": 3.0 + 8.0 * 0.99**v.time_s,
        "AlternatorCurrent": 42.0 + 20.0 * v.dark,
        "ChargingPotential": 28.2,
        "BatteryPotential": 28.0 - 0.1 * v.dark,
        "KeyswitchPotential": 27.8,
    },
    "HOURS": lambda v: {
        "TotalEngineHours": v.odometer_before_km / 58.0 + v.time_s / 3600.0,
        "TotalEngineRevolutions": v.odometer_before_km / 58.0 * 66_000.0 + v.turns,
    },
    "VD": lambda v: {"TripDistance": v.trip_km, "TotalVehicleDistance": v.odometer_km},
    "VDHR": lambda v: {
        "TotalDistanceHighResolution": v.odometer_km,
        "TripDistanceHighResolution": v.trip_km,
    },
    "AMB": lambda v: {
        "BarometricPressure": 101.3 - 0.012 * v.altitude_m,
        "CabInteriorTemperature": v.cab_c,
        "AmbientAirTemperature": v.ambient_c,
        "AirInletTemperature": v.ambient_c + 4.0,
        "RoadSurfaceTemperature": v.ambient_c + 2.5 - 0.02 * v.rain_percent,
    },
    "IC1": lambda v: {
        "ParticulateInletPressure": 2.0 + 0.02 * v.boost_kpa,
        "BoostPressure": v.boost_kpa,
        "IntakeManifoldTemperature": v.ambient_c + 14.0 + 0.12 * v.boost_kpa,
        "AirInletPressure": 98.0,
        "AirFilterPressure": 0.4 + 0.01 * v.boost_kpa,
        "ExhaustTemperature": v.exhaust_c,
        "CoolantFilterPressure": 3.0,
    },
    "DD1": lambda v: {
        "WasherFluidLevel": 72.0,
        "FuelLevel1": 100.0 * max(v.fuel_share - v.fuel_l / TANK_L, 0.0),
        "FuelFilterPressure": 24.0,
        "OilFilterPressure": 12.0,
        "CargoTemperature": v.ambient_c + 1.0,
    },
    "TCO1": lambda v: {
        "Driver1WorkingState": 3 if v.speed_m_s > 0.1 else 2,
        "Driver2WorkingState": 0,
        "VehicleMotion": v.speed_m_s > 0.1,
        "Driver1TimeState": 0,
        "Driver1Card": 1,
        "TachographOverspeed": v.speed_km_h > 90.0,
        "Driver2TimeState": 0,
        "Driver2Card": 0,
        "TachographEvent": 0,
        "TachographHandling": 0,
        "TachographPerformance": 0,
        "DirectionIndicator": 0,
        "TachographShaftSpeed": v.shaft_rpm,
        "TachographVehicleSpeed": v.speed_km_h,
    },
    "DM1": lambda v: {
        "ProtectLamp": 0,
        "AmberWarningLamp": v.fault_number > 0,
        "RedStopLamp": 0,
        "MalfunctionLamp": 0,
        **dict.fromkeys(
            (f"Flash{lamp}Lamp" for lamp in ("Protect", "Amber", "Red", "Malfunction")), NA2
        ),
        "Dtc1SpnLow": _FAULTS[v.fault_number][0],
        "Dtc1Fmi": _FAULTS[v.fault_number][1] if v.fault_number else 0,
        "Dtc1SpnHigh": 0,
        "Dtc1Occurrences": 1 if v.fault_number else 0,
        "Dtc1Conversion": 0,
    },
    "ERC1": lambda v: {
        "RetarderTorqueMode": 1 if v.retarder > 0.0 else 0,
        "RetarderEnableBrake": 1,
        "RetarderEnableShift": 0,
        "ActualRetarderTorque": -100.0 * v.retarder,
        "IntendedRetarderTorque": -100.0 * v.retarder,
        "RetarderControlSource": 15,
        "DriverDemandRetarder": -100.0 * v.retarder,
    },
    "EBC1": lambda v: {
        "AsrEngineActive": 0,
        "AsrBrakeActive": 0,
        "AbsActive": v.brake > 0.95,
        "EbsBrakeSwitch": v.brake > 0.01,
        "BrakePedalPosition": 100.0 * v.brake,
        "AbsFullyOperational": 1,
        "EbsRedWarning": 0,
        "EbsAmberWarning": 0,
    },
    "EBC2": lambda v: {
        "FrontAxleSpeed": v.speed_km_h,
        "RelativeSpeedFrontLeft": -_turn_km_h(v),
        "RelativeSpeedFrontRight": _turn_km_h(v),
        "RelativeSpeedRear1Left": -_turn_km_h(v),
        "RelativeSpeedRear1Right": _turn_km_h(v),
    },
    "TRF1": lambda v: {
        "ClutchPressure": 640.0 if v.gear else 0.0,
        "TransmissionOilLevel": 90.0,
        "TransmissionFilterPressure": 18.0,
        "TransmissionOilPressure": 320.0,
        "TransmissionOilTemperature": v.gearbox_c,
    },
    "AIR1": lambda v: {
        "PneumaticSupplyPressure": v.supply_kpa,
        "ParkingAirPressure": v.supply_kpa - 30.0,
        "ServiceBrakePressure1": v.supply_kpa - 10.0,
        "ServiceBrakePressure2": v.supply_kpa - 15.0,
    },
    "AT1T1I": lambda v: {
        "ExhaustFluidLevel": 100.0 * max(v.fuel_share - v.fuel_l / TANK_L, 0.0) * 0.8 + 15.0,
        "ExhaustFluidTemperature": v.ambient_c + 9.0,
    },
    "CVW": lambda v: {
        "PoweredVehicleWeight": v.rig.tractor_kg,
        "GrossCombinationWeight": v.rig.mass_kg,
    },
    "TIRE": lambda v: {
        "TireLocation": v.page,
        "TirePressure": 830.0 * (v.tyre_c + 273.15) / 293.15 - 2.0 * (v.page % 3),
        "TireTemperature": v.tyre_c + 0.5 * (v.page % 4),
        "TireSensorEnabled": 1,
        "TireStatus": 0,
    },
    "VP": lambda v: {"Latitude": v.latitude_deg, "Longitude": v.longitude_deg},
    "VDS": lambda v: {
        "CompassBearing": v.heading_deg,
        "NavigationSpeed": v.speed_km_h,
        "PitchAngle": 57.2958 * v.grade,
        "Altitude": v.altitude_m,
    },
    "TD": lambda v: {
        "Seconds": v.utc.second + 0.25 * (v.utc.microsecond // 250_000),
        "Minutes": v.utc.minute,
        "Hours": v.utc.hour,
        "Month": v.utc.month,
        "Day": v.utc.day,
        "Year": v.utc.year,
        "LocalMinuteOffset": 0,
        "LocalHourOffset": 1,
    },
    "FD1": lambda v: {
        "EstimatedFanSpeed": min(max((v.coolant_c - 88.0) * 12.0, 5.0), 100.0),
        "FanDriveState": 2 if v.coolant_c > 88.0 else 0,
        "FanSpeed": 0.4 * v.engine_rpm if v.coolant_c < 88.0 else 1.1 * min(v.engine_rpm, UP_RPM),
    },
}


def _cruises(v: View) -> bool:
    return bool(v.cruise) and v.speed_km_h > 50.0 and v.brake == 0.0


def _turn_km_h(v: View) -> float:
    """How much faster the outer wheels of an axle turn than its middle."""
    return float(3.6 * v.bend_1_m * v.speed_m_s * 1.02)
