"""Signal <- state, for the frames of drive unit, battery, charger and 12 V supply of the electric car.

Rule 1: one entry a message of dbc/fairway_ev.dbc; see view.py for what an entry may hold.
"""

from simulators.battery import CELL_MAX_V, CELL_MIN_V, CELLS
from simulators.view import Values, View

POWER: dict[str, Values] = {
    "VCU_DriveCommand": lambda v: {
        "DriveReady": v.ready,
        "RegenEnabled": v.torque_min_nm < -1.0,
        "LaunchAssist": v.ready and v.speed_m_s < 0.05 and v.accelerator == 0.0,
        "TorqueDegraded": v.torque_max_nm < 40.0,
        "DriverTorqueRequest": v.wish_nm,
        "TorqueSetpoint": v.torque_nm,
        "AcceleratorPosition": 100.0 * v.accelerator,
        "DriveMode": v.sport,
    },
    "MCU_MotorState": lambda v: {
        "MotorTorque": v.torque_nm,
        "MotorSpeed": v.motor_rpm,
        "MotorDcCurrent": v.inverter_w / max(v.voltage_v, 1.0),
    },
    "MCU_PhaseCurrents": lambda v: {
        "PhaseCurrentRms": 1.55 * abs(v.torque_nm) + 4.0 * v.ready,
        "CurrentDirect": -0.35 * abs(v.torque_nm) - 0.012 * v.motor_rpm,
        "CurrentQuadrature": 2.1 * v.torque_nm,
        "ModulationIndex": min(v.motor_rpm / 9_000.0 + 0.04, 1.15),
        "SwitchingFrequency": 10.0 if v.motor_rpm < 6_000.0 else 8.0,
    },
    "MCU_TorqueLimits": lambda v: {
        "TorqueAvailableMax": v.torque_max_nm,
        "TorqueAvailableMin": v.torque_min_nm,
        "MotorPower": v.shaft_w / 1000.0,
        "MotorEfficiency": _efficiency(v),
    },
    "MCU_Temperatures": lambda v: {
        "StatorTemperature": v.stator_c,
        "RotorTemperature": v.rotor_c,
        "InverterTemperature": v.inverter_c,
        "InverterBoardTemperature": 0.6 * v.inverter_c + 0.4 * v.coolant_c + 4.0,
        "CoolantInletTemperature": v.coolant_c,
        "CoolantOutletTemperature": v.coolant_c + 0.02 * (v.stator_c - v.coolant_c) + 0.4,
        "CoolantFlow": 6.0 + 8.0 * v.ready,
        "GearboxOilTemperature": v.gearbox_c,
    },
    "MCU_Status": lambda v: {
        "InverterState": 3 if v.ready else 2 if v.time_s > 1.0 else 1,
        "InterlockClosed": True,
        "ResolverFault": False,
        "OverTemperatureWarning": v.stator_c > 150.0,
        "DesaturationFault": False,
        "InverterFaultCode": 0,
    },
    "VCU_GearSelector": lambda v: {
        "SelectedGear": v.gear,
        "CurrentGear": v.gear,
        "ParkLockEngaged": v.gear == 0,
        "GearRequestValid": True,
        "BrakeSwitch": v.brake > 0.01,
        "OnePedalDriving": False,
        "KickDown": v.accelerator > 0.98,
    },
    "VCU_PowertrainState": lambda v: {
        "SystemState": 5 if v.ready else 3 if v.time_s > 1.0 else 2,
        "LimpHome": v.soc < 0.02,
        "ContactorRequest": True,
        "VehicleMoving": v.moving,
        "HvReleased": v.time_s > 1.0,
        "TractionPower": v.inverter_w / 1000.0,
        "AuxiliaryPower": (v.low_voltage_w + v.compressor_w + v.heater_w) / 1000.0,
        "RegenPowerLimit": v.take_w / 1000.0,
    },
    "VCU_Consumption": lambda v: {
        "ConsumptionAverage": v.mean_kwh_100km,
        "ConsumptionInstant": v.instant_kwh_100km,
        "RangeEstimate": v.range_km,
        "RegenShare": v.regen_percent,
        "EcoScore": min(max(120.0 - 1.9 * v.mean_kwh_100km, 0.0), 100.0),
    },
    "VCU_Thermal": lambda v: {
        "RadiatorFanDuty": min(max((v.coolant_c - 45.0) * 10.0, 0.0), 100.0),
        "CoolantPumpDuty": 30.0 + 40.0 * v.ready,
        "CoolantTemperature": v.coolant_c,
        "CoolantLevelLow": False,
        "ChillerValve": 100.0 if v.battery_c > 33.0 else 0.0,
        "HeatPumpMode": 1 if v.compressor_w > 40.0 else 2 if v.heater_w > 40.0 else 0,
        "ShutterPosition": 100.0 if v.coolant_c > 40.0 else 20.0,
    },
    "VCU_Identification": lambda v: {
        "VinPart": v.page,
        f"VinPart{v.page + 1}": int.from_bytes(
            v.who.vin[6 * v.page : 6 * v.page + 6].encode("ascii"), "little"
        ),
    },
    "BMS_PackStatus": lambda v: {
        "ContactorState": 2 if v.time_s > 1.0 else 1,
        "PackFault": False,
        "PackVoltage": v.voltage_v,
        "PackCurrent": v.pack_a,
        "PackPowerLimit": v.give_w / 1000.0,
    },
    "BMS_StateOfCharge": lambda v: {
        "SocReal": v.soc_percent,
        "SocDisplayed": v.shown_percent,
        "StateOfHealth": v.who.soh_percent,
        "EnergyAvailable": v.energy_kwh,
    },
    "BMS_Limits": lambda v: {
        "DischargeCurrentLimit": v.give_w / max(v.voltage_v, 1.0),
        "ChargeCurrentLimit": v.take_w / max(v.voltage_v, 1.0),
        "ChargeVoltageLimit": CELLS * CELL_MAX_V,
        "DischargeVoltageLimit": CELLS * CELL_MIN_V,
    },
    "BMS_CellExtremes": lambda v: {
        "CellVoltageMax": v.cell_v[v.cell_high],
        "CellVoltageMin": v.cell_v[v.cell_low],
        "CellNumberMax": v.cell_high + 1,
        "CellNumberMin": v.cell_low + 1,
        "CellVoltageMean": v.cell_mean_v,
        "BalancingActive": abs(v.pack_a) < 2.0,
    },
    "BMS_Temperatures": lambda v: {
        "BatteryTemperatureMax": v.module_c.max(),
        "BatteryTemperatureMin": v.module_c.min(),
        "BatteryTemperatureMean": v.battery_c,
        "BatteryInletTemperature": v.battery_c - 0.8,
        "BatteryOutletTemperature": v.battery_c + 0.4,
        "BatteryHeaterActive": v.battery_c < 5.0,
        "BatteryCoolingActive": v.battery_c > 33.0,
        "BatteryPumpDuty": 25.0 if v.battery_c < 33.0 else 80.0,
    },
    "BMS_CellVoltages": lambda v: {
        "CellGroup": v.page,
        **{
            f"CellVoltage{cell + 1:02d}": v.cell_v[cell]
            for cell in range(4 * v.page, 4 * v.page + 4)
        },
    },
    "BMS_Insulation": lambda v: {
        "InsulationResistance": 12_000.0 - 60.0 * v.rain_percent,
        "InsulationWarning": False,
        "InsulationFault": False,
        "GroundConnected": True,
    },
    "BMS_Lifetime": lambda v: {
        "EnergyDischargedTotal": v.who.discharged_kwh + v.battery_out / 3.6e6,
        "EnergyChargedTotal": v.who.charged_kwh + v.battery_in / 3.6e6,
        "FullCycles": (v.who.discharged_kwh + v.battery_out / 3.6e6) / v.capacity_kwh,
    },
    "OBC_AcInput": lambda _: dict.fromkeys(
        [f"Ac{what}Phase{phase}" for what in ("Voltage", "Current") for phase in (1, 2, 3)], 0.0
    ),
    "OBC_DcOutput": lambda v: {
        "ChargeDcVoltage": 0.0,
        "ChargeDcCurrent": 0.0,
        "ChargePower": 0.0,
        "ChargerTemperature": v.ambient_c + 3.0,
        "ChargerEfficiency": 0.0,
    },
    "OBC_ChargeState": lambda _: {
        "ChargeState": 0,
        "PlugConnected": False,
        "PlugLocked": False,
        "ChargeFlapOpen": False,
        "TimerActive": False,
        "ChargeLimitSoc": 80.0,
        "ChargeTimeRemaining": 0,
        "PilotDuty": 0.0,
        "ProximityState": 0,
    },
    "EVC_FastCharge": lambda _: {
        "StationMaxPower": 0.0,
        "StationMaxCurrent": 0.0,
        "StationVoltage": 0.0,
        "StationState": 0,
        "SessionEnergy": 0.0,
    },
    "DCDC_Status": lambda v: {
        "DcdcOutputVoltage": v.low_voltage_v,
        "DcdcOutputCurrent": v.low_voltage_w / v.low_voltage_v,
        "DcdcInputCurrent": v.low_voltage_w / 0.93 / max(v.voltage_v, 1.0),
        "DcdcTemperature": v.coolant_c + 8.0,
        "DcdcState": 2 if v.time_s > 1.0 else 1,
    },
    "BCM_LowVoltageBattery": lambda v: {
        "LvVoltage": v.low_voltage_v - 0.12,
        "LvCurrent": 1.5 + 6.0 * 0.998 ** (v.time_s),
        "LvSoc": min(91.0 + v.time_s / 400.0, 99.0),
        "LvTemperature": v.ambient_c + 4.0,
    },
}


def _efficiency(v: View) -> float:
    """Motor and inverter together, whichever way the power flows."""
    shaft, inverter = abs(v.shaft_w), abs(v.inverter_w)
    if min(shaft, inverter) < 100.0:
        return 0.0
    return float(100.0 * min(shaft, inverter) / max(shaft, inverter))
