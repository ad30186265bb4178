"""Tells a running Mosquitto of changes in the fleet, over its dynamic-security plugin's own topics.

Rule 1: a connection is made for every change and lasts no longer.
Rule 2: a command that finds its work done already has succeeded: a change may be told twice.
"""

import json
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, Queue
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from fairway.errors import Unavailable
from fleet_cloud.adapters.broker_mosquitto import ANSWERS, CONTROL, Command
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.vehicles.registry import KEEPER_NAME

# A fleet of 50,000 is written to disk by the plugin in half a second, after every command.
ANSWER_MAX_S = 60.0
_CONNECT_MAX_S = 10.0
_COMMANDS_MAX = 64  # in one message
_DONE_ALREADY = {
    "Client already exists",
    "Role already exists",
    "Client not found",
    "Role not found",
}


class BrokerControl:
    """Commands to the plugin of the Mosquitto at `host`:`port`."""

    def __init__(self, host: str, port: int, pki: FilePki) -> None:
        self._host, self._port, self._pki = host, port, pki

    def run(self, commands: Sequence[Command]) -> None:
        """Return once the broker has done all `commands`.  Raises Unavailable."""
        if not commands:
            return
        answers: Queue[dict[str, Any] | None] = Queue()
        is_ready = threading.Event()
        client = self._client(answers, is_ready)
        try:
            client.connect(self._host, self._port)
            client.loop_start()
            if not is_ready.wait(_CONNECT_MAX_S):
                raise Unavailable("the broker does not take commands: its plugin does not answer")
            for some in _batches(commands):
                client.publish(CONTROL, json.dumps({"commands": some}), qos=1)
                _check(answers.get(timeout=ANSWER_MAX_S))
        except Empty as error:
            raise Unavailable("the broker does not answer a command") from error
        except (OSError, ValueError) as error:
            raise Unavailable(f"the broker cannot be told of the fleet: {error}") from error
        finally:
            client.disconnect()
            client.loop_stop()

    def _client(
        self, answers: "Queue[dict[str, Any] | None]", is_ready: threading.Event
    ) -> paho.Client:
        pki = self._pki
        context = ssl.create_default_context(cafile=pki.ca)
        context.load_cert_chain(pki.keeper, pki.keeper_key)
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=KEEPER_NAME,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.tls_set_context(context)

        def subscribe(*_: object) -> None:
            client.subscribe(ANSWERS, qos=1)

        client.on_connect = subscribe
        client.on_subscribe = lambda *_: is_ready.set()
        client.on_message = lambda _c, _u, message: answers.put(_read(bytes(message.payload)))
        client.on_disconnect = lambda *_: answers.put(None)
        return client


def _batches(commands: Sequence[Command]) -> "list[Sequence[Command]]":
    return [commands[at : at + _COMMANDS_MAX] for at in range(0, len(commands), _COMMANDS_MAX)]


def _read(payload: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        answer = json.loads(payload)
        if isinstance(answer, dict):
            return answer
    return None


def _check(answer: dict[str, Any] | None) -> None:
    """Raise Unavailable unless the plugin did what it was told."""
    responses = answer.get("responses") if answer is not None else None
    if not isinstance(responses, list):
        raise Unavailable("the broker ended the connection over a command, or did not answer it")
    for one in responses:
        error = one.get("error")
        if error is not None and error not in _DONE_ALREADY:
            raise Unavailable(f"the broker refused to {one.get('command')}: {error}")
