"""A simulated ECU: what it knows, and what it answers to requests of UDS and OBD.

    request > service of the table > answer, or a negative one > silence where the standard wants it

Rule 1: no clock and no bus: `ecu_node.py` puts it on one.  The same requests give the same answers.
Rule 2: trouble codes of three bytes are UDS's, of two OBD's; each has a status byte, 0 until it is set.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge_agent.diagnostics import obd, uds
from edge_agent.diagnostics.dtc import CLEARED, OBD_DTC_BYTES, UDS_DTC_BYTES, Dtc, Status
from edge_agent.diagnostics.uds import EVERY_STATUS, Nrc, Report
from fairway.errors import BadInput
from simulators.ecu_table import EcuTable, Pid

# A request for this record means all of them: ISO 14229-1, annex D.
ALL_RECORDS = 0xFF
# A parameter of J1979 whose number ends a range says which of the next 32 there are.
_RANGE = 0x20
_SUPPRESS = 0x80

Answer = bytes | Nrc | None
Records = dict[str, dict[int, bytes]]  # by name of the code and number


@dataclass(slots=True)
class EcuMemory:
    """What changes in an ECU."""

    status: dict[str, int] = field(default_factory=dict)  # of codes, by name
    snapshots: Records = field(default_factory=dict)  # count of identifiers, and their contents
    extended: Records = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)  # of parameters, by name


class SimulatedEcu:
    """One ECU."""

    def __init__(self, table: EcuTable) -> None:
        self.table = table
        self.memory = EcuMemory()

    def set_status(self, name: str, status: int) -> None:
        """Set the status byte of a code.  Raises BadInput when the ECU has no such code."""
        if name not in self.table.codes:
            raise BadInput(f"the ECU {self.table.name} has no trouble code {name}")
        if not 0 <= status <= EVERY_STATUS:
            raise BadInput(f"the status {status} of {name} is no byte")
        self.memory.status[name] = status

    def keep(self, records: Records, name: str, number: int, data: bytes) -> None:
        """Keep a snapshot or an extended data record of a code.  Raises BadInput."""
        if name not in self.table.codes or not self.table.codes[name].is_uds:
            raise BadInput(f"the ECU {self.table.name} has no trouble code {name} of UDS")
        if not 0 < number < ALL_RECORDS:
            raise BadInput(f"record {number} of {name} is not 1 to {ALL_RECORDS - 1}")
        records.setdefault(name, {})[number] = data

    def answer(self, request: bytes, *, is_functional: bool) -> bytes | None:
        """Return the answer to a request, None for none."""
        if not request:
            return None
        service = _SERVICES.get(request[0])
        made: Answer = Nrc.SERVICE_NOT_SUPPORTED
        if service is not None and (is_functional or not self.table.only_functional):
            made = service(self, request)
        if isinstance(made, Nrc):
            is_silent = is_functional and made in uds.SILENT_WHEN_FUNCTIONAL
            return None if is_silent else uds.refusal_response(request[0], made)
        return made

    def read_dtcs(self, request: bytes) -> Answer:
        """ReadDTCInformation."""
        if len(request) < 2:
            return Nrc.INCORRECT_LENGTH
        reports: Mapping[int, tuple[int, Callable[[bytes], Answer]]] = {
            Report.DTC_BY_STATUS_MASK: (3, self._dtc_list),
            Report.SNAPSHOT_IDENTIFICATION: (2, self._snapshots),
            Report.SNAPSHOT_RECORD_BY_DTC: (6, self._record),
            Report.EXT_DATA_RECORD_BY_DTC: (6, self._record),
        }
        report = reports.get(request[1] & ~_SUPPRESS)
        if report is None:
            return Nrc.SUB_FUNCTION_NOT_SUPPORTED
        length, answer = report
        if len(request) != length:
            return Nrc.INCORRECT_LENGTH
        made = answer(request)
        return None if request[1] & _SUPPRESS and isinstance(made, bytes) else made

    def tester_present(self, request: bytes) -> Answer:
        """TesterPresent."""
        if len(request) != 2:
            return Nrc.INCORRECT_LENGTH
        if request[1] & ~_SUPPRESS:
            return Nrc.SUB_FUNCTION_NOT_SUPPORTED
        return None if request[1] else bytes([request[0] + uds.POSITIVE, 0])

    def current_data(self, request: bytes) -> Answer:
        """OBD service 01: values of up to six parameters."""
        if not 2 <= len(request) <= 7:
            return Nrc.INCORRECT_LENGTH
        data = b"".join(self._parameter(number) for number in request[1:])
        return bytes([request[0] + uds.POSITIVE]) + data if data else None

    def stored_dtcs(self, request: bytes) -> Answer:
        """OBD services 03 and 07: confirmed and pending codes."""
        if len(request) != 1:
            return Nrc.INCORRECT_LENGTH
        service = obd.Service(request[0])
        bit = Status.CONFIRMED if service is obd.Service.STORED_DTCS else Status.PENDING
        codes = [
            known.code.to_bytes(OBD_DTC_BYTES, "big")
            for name, known in self.table.codes.items()
            if not known.is_uds and self.memory.status.get(name, 0) & bit
        ]
        return obd.dtcs_response(codes, service)

    def clear_dtcs(self, request: bytes) -> Answer:
        """OBD service 04: what is known of emission-related codes is forgotten."""
        if len(request) != 1:
            return Nrc.INCORRECT_LENGTH
        for name, known in self.table.codes.items():
            if not known.is_uds:
                self.memory.status[name] = CLEARED
        return bytes([request[0] + uds.POSITIVE])

    def _dtc_list(self, request: bytes) -> Answer:
        found = [
            Dtc(known.code, Status(status))
            for name, known in self.table.codes.items()
            if known.is_uds and (status := self.memory.status.get(name, 0)) & request[2]
        ]
        return uds.dtc_list_response(uds.DtcList(EVERY_STATUS, tuple(found)))

    def _snapshots(self, _: bytes) -> Answer:
        rows = [
            (self.table.codes[name].code, number)
            for name, records in self.memory.snapshots.items()
            for number in records
        ]
        return uds.snapshots_response(rows)

    def _record(self, request: bytes) -> Answer:
        report = Report(request[1] & ~_SUPPRESS)
        code = int.from_bytes(request[2 : 2 + UDS_DTC_BYTES], "big")
        is_snapshot = report is Report.SNAPSHOT_RECORD_BY_DTC
        kept = self.memory.snapshots if is_snapshot else self.memory.extended
        names = [
            name for name, known in self.table.codes.items() if known.is_uds and known.code == code
        ]
        records = kept.get(names[0], {}) if names else {}
        wanted = {
            number: data for number, data in records.items() if request[5] in (number, ALL_RECORDS)
        }
        if not wanted:
            return Nrc.REQUEST_OUT_OF_RANGE
        data = b"".join(bytes([number]) + data for number, data in wanted.items())
        status = Status(self.memory.status.get(names[0], 0))
        return uds.record_response(report, uds.DtcRecord(Dtc(code, status), data))

    def _parameter(self, number: int) -> bytes:
        if number % _RANGE == 0:
            return self._range(number)
        for name, pid in self.table.pids.items():
            if pid.number == number:
                return bytes([number]) + raw(pid, self.memory.values.get(name, 0.0))
        return b""

    def _range(self, number: int) -> bytes:
        """Return which of the 32 parameters after `number` there are; the last says whether more follow."""
        known = {pid.number for pid in self.table.pids.values()}
        last = number + _RANGE
        bits = sum(1 << last - one for one in known if number < one <= last)
        if any(one > last for one in known):
            bits |= 1
        if not bits and number and self.table.ignores_unknown:
            return b""
        return bytes([number]) + bits.to_bytes(4, "big")


_SERVICES: Mapping[int, Callable[[SimulatedEcu, bytes], Answer]] = {
    obd.Service.CURRENT_DATA: SimulatedEcu.current_data,
    obd.Service.STORED_DTCS: SimulatedEcu.stored_dtcs,
    obd.Service.CLEAR_DTCS: SimulatedEcu.clear_dtcs,
    obd.Service.PENDING_DTCS: SimulatedEcu.stored_dtcs,
    uds.Service.READ_DTC_INFORMATION: SimulatedEcu.read_dtcs,
    uds.Service.TESTER_PRESENT: SimulatedEcu.tester_present,
}


def raw(pid: Pid, value: float) -> bytes:
    """Return a parameter as it is on the wire; beyond what its bytes hold it is their last value."""
    scaled = (value + pid.offset) * pid.scale
    if pid.is_float:
        return struct.pack(">f" if pid.size == 4 else ">d", scaled)
    bits = pid.size * 8
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if pid.is_signed else (0, (1 << bits) - 1)
    return min(max(round(scaled), least), most).to_bytes(pid.size, "big", signed=pid.is_signed)
