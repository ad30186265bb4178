"""What campaigns fetch from ECUs: trouble codes by DTC_QUERY, and the active ones of OBD.

    custom_function("DTC_QUERY", -1, 4, -1) > 19 02 to all > 19 03 to all > 19 04 to each, each code > JSON

Rule 1: one ECU that is asked by its address has to answer, or there is no result.  Of all ECUs, those that
        answer make the result, and the log tells of the others; when none does, there is no result.
Rule 2: no code anywhere is the empty text: the signal has no new value then.
Rule 3: without a number in the query, the last snapshot that an ECU lists for a code is read; extended data
        of the same number, as FleetWise does.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from edge_agent.diagnostics import obd, uds
from edge_agent.diagnostics.dtc_query import ALL, EcuFindings, Found, Query, query, result_text
from edge_agent.diagnostics.ecu import Ecu, Ecus
from edge_agent.diagnostics.uds import Report
from fairway import log
from fairway.errors import BadInput, Unavailable

EVENTS = log.get("edge_agent.diagnostics")

Read = TypeVar("Read")


class Fetcher:
    """Fetches trouble codes."""

    def __init__(self, ecus: Ecus) -> None:
        self._ecus, self._told = ecus, _Told()

    async def fetch(self, action_text: str) -> str:
        """Return what an action of a campaign's `signalsToFetch` asks for; empty when there is nothing.

        Raises BadInput for an action that can never work here, Unavailable naming who did not answer.
        """
        asked = query(action_text)
        asking = _Asking(self._ecus, self._meant(asked), self._told, is_all=asked.ecu == ALL)
        findings = await _findings(asking, asked)
        return result_text(findings) if findings else ""

    async def active_dtcs(self) -> tuple[str, ...]:
        """Return the stored trouble codes of all emission-related ECUs, as P0123, each once.

        Raises Unavailable when none of them answers, or there is none.
        """
        ecus = [ecu for ecu in self._ecus.known if ecu.is_obd]
        if not ecus:
            raise Unavailable(
                "no [[ecu]] has a response_id of OBD: none can be asked for active codes"
            )
        asking = _Asking(self._ecus, ecus, self._told, is_all=True)
        said = await asking.all(obd.dtcs_request(), obd.dtcs)
        return tuple(dict.fromkeys(code for codes in said.values() for code in codes))

    def _meant(self, asked: Query) -> Sequence[Ecu]:
        known = self._ecus.known
        meant = [ecu for ecu in known if asked.ecu in (ALL, ecu.target_address)]
        if not meant:
            have = ", ".join(str(ecu.target_address) for ecu in known) or "none"
            raise BadInput(f"no [[ecu]] has the target address {asked.ecu}; there are: {have}")
        return meant


class _Asking:
    """How ECUs are asked for one query: one that has to answer, or all that do."""

    def __init__(self, ecus: Ecus, meant: Sequence[Ecu], told: "_Told", *, is_all: bool) -> None:
        self.meant = meant
        self._ecus, self._told, self._is_all = ecus, told, is_all

    async def all(self, request: bytes, read: Callable[[bytes], Read]) -> dict[Ecu, Read]:
        """Return what ECUs say.  Raises Unavailable when none says anything that can be read."""
        readings = await self._readings(self.meant, request, read)
        said = _good(readings)
        if not said:
            raise Unavailable("; ".join(str(reason) for reason in readings.values()))
        return said

    async def some(
        self, ecus: Collection[Ecu], request: bytes, read: Callable[[bytes], Read]
    ) -> dict[Ecu, Read]:
        """Return what ECUs say, if anything.  Raises Unavailable when one that has to answer is silent."""
        return _good(await self._readings(ecus, request, read))

    async def one(self, ecu: Ecu, request: bytes, read: Callable[[bytes], Read]) -> Read | None:
        """Return what an ECU says; None when it refuses, or is silent and need not answer."""
        response: bytes | Unavailable
        try:
            response = await self._ecus.ask(ecu, request)
        except Unavailable as error:
            if not self._is_all:
                raise
            response = error
        return _good({ecu: self._reading(ecu, request, response, read)}).get(ecu)

    async def _readings(
        self, ecus: Collection[Ecu], request: bytes, read: Callable[[bytes], Read]
    ) -> dict[Ecu, Read | Unavailable]:
        responses: Mapping[Ecu, bytes | Unavailable]
        if self._is_all:
            responses = await self._ecus.ask_all(tuple(ecus), request)
        else:
            responses = {ecu: await self._ecus.ask(ecu, request) for ecu in ecus}
        return {
            ecu: self._reading(ecu, request, response, read) for ecu, response in responses.items()
        }

    def _reading(
        self,
        ecu: Ecu,
        request: bytes,
        response: bytes | Unavailable,
        read: Callable[[bytes], Read],
    ) -> Read | Unavailable:
        made = _read(ecu, response, read)
        self._told.tell(ecu, request, made if isinstance(made, Unavailable) else None)
        return made


def _read(
    ecu: Ecu, response: bytes | Unavailable, read: Callable[[bytes], Read]
) -> Read | Unavailable:
    """Return what a response says, or why it says nothing."""
    if isinstance(response, Unavailable):
        return response
    refusal = uds.refusal(response)
    if refusal is not None:
        return Unavailable(f"the ECU {ecu.name}: {refusal}")
    try:
        return read(response)
    except BadInput as error:
        return Unavailable(f"the ECU {ecu.name}: {error}")


class _Told:
    """What the log knows of ECUs that say nothing: a campaign asks every few seconds, the log is told once."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[Ecu, bytes], str] = {}

    def tell(self, ecu: Ecu, request: bytes, error: Unavailable | None) -> None:
        """Note how an ECU answered a request of this kind."""
        kind = ecu, request[:2]
        if error is None:
            if self._reasons.pop(kind, None) is not None:
                EVENTS.info("ecu_answers_again", ecu=ecu.name, request=request[:2].hex())
        elif self._reasons.get(kind) != str(error):
            self._reasons[kind] = str(error)
            EVENTS.warning(
                "ecu_not_read", ecu=ecu.name, request=request[:2].hex(), reason=str(error)
            )


def _good(readings: Mapping[Ecu, Read | Unavailable]) -> dict[Ecu, Read]:
    return {ecu: made for ecu, made in readings.items() if not isinstance(made, Unavailable)}


async def _findings(asking: _Asking, asked: Query) -> list[EcuFindings]:
    """Return what is found, ECU by ECU; those without a code are left out."""
    if asked.dtc is None or asked.report is Report.DTC_BY_STATUS_MASK:
        listed = await _listed(asking, asked)
        if asked.report is Report.DTC_BY_STATUS_MASK or not listed:
            return list(listed.values())
        numbers = {} if asked.record else await asking.some(listed, uds.snapshots_request(), _last)
    elif asked.record is None:
        numbers = await asking.all(uds.snapshots_request(), _last)
        listed = {ecu: _one(ecu, asked.dtc) for ecu, last in numbers.items() if asked.dtc in last}
    else:
        (ecu,) = asking.meant
        found = await _filled(asking, ecu, Found(asked.dtc), asked.report, asked.record)
        return (
            [EcuFindings(ecu.target_address, 0, (found,))]
            if found.snapshot + found.extended
            else []
        )
    return [
        EcuFindings(
            one.target_address,
            one.availability_mask,
            [
                await _filled(
                    asking,
                    ecu,
                    found,
                    asked.report,
                    asked.record or numbers.get(ecu, {}).get(found.dtc, 0),
                )
                for found in one.found
            ],
        )
        for ecu, one in listed.items()
    ]


def _one(ecu: Ecu, dtc: int) -> EcuFindings:
    return EcuFindings(ecu.target_address, 0, (Found(dtc),))


def _last(response: bytes) -> dict[int, int]:
    """Return the number of the last snapshot of each code."""
    return dict(uds.snapshots(response))


async def _listed(asking: _Asking, asked: Query) -> dict[Ecu, EcuFindings]:
    lists = await asking.all(uds.dtc_list_request(asked.status_mask), uds.dtc_list)
    made = {
        ecu: EcuFindings(
            ecu.target_address,
            one.availability_mask,
            tuple(
                Found(dtc.code) for dtc in one.dtcs if dtc.code and asked.dtc in (None, dtc.code)
            ),
        )
        for ecu, one in lists.items()
    }
    return {ecu: one for ecu, one in made.items() if one.found}


async def _filled(asking: _Asking, ecu: Ecu, found: Found, report: Report, number: int) -> Found:
    """Return `found` with what the ECU has on record under a number; 0 is none."""
    if not number:
        return found
    request = uds.record_request(report, found.dtc, number)
    record = await asking.one(ecu, request, lambda response: uds.record(response, report))
    if record is None or record.dtc.code != found.dtc:
        return found
    if report is Report.SNAPSHOT_RECORD_BY_DTC:
        return replace(found, snapshot=record.whole)
    return replace(found, extended=record.whole)
