"""A ClickHouse server behind HTTP, of any version since 2018.

    http://[USER:PASSWORD@]HOST:PORT[/DATABASE]

Rule 1: an insert is one request, its body one block.  A connection that breaks on the way leaves the server
with a piece of a block, of which it stores nothing; one that breaks after it leaves us in doubt: Unavailable.
Rule 2: the server finishes an answer before it sends it (`wait_end_of_query`), so a status tells the truth.
Rule 3: an insert has a name that `system.processes` shows, and an end: after INSERT_MAX_S it is in doubt.
Rule 4: a question that met a stale connection is asked once more; an insert takes a fresh one, and only once.
"""

import base64
import http.client
import secrets
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlencode, urlsplit

from fairway.errors import BadInput, Unavailable
from fleet_cloud.adapters import clickhouse_sql
from fleet_cloud.adapters.addresses import without_password
from fleet_cloud.adapters.clickhouse_engine import (
    QUERY_MAX_MEMORY_BYTES,
    QUERY_MAX_S,
    unavailable,
)
from fleet_cloud.adapters.clickhouse_native import Buffer, Column, decoded
from fleet_cloud.adapters.clickhouse_sql import bound

DATABASE = "fairway"

# A question takes QUERY_MAX_S at most; a server that is silent for twice that is as good as gone.
TIMEOUT_S = 60.0

# A server that merges heavily may take this long for an insert, from connecting to its answer.  Claims on
# batches hold for as long as the inserts of a group may take, so this cannot be made long without them.
INSERT_MAX_S = 30

# The largest page of a series is 25 MB; more than this is not an answer to our questions.
ANSWER_MAX_BYTES = 256 * 1024 * 1024

# Questions come from few threads; inserts bring a connection each, most of which are let go.
IDLE_MAX = 4

Connection = http.client.HTTPConnection

# What tells our statements from a person's: one block stays one block, and nothing runs for ever.
_INSERT = {
    "min_insert_block_size_rows": "1048449",
    "min_insert_block_size_bytes": "0",
    "query": clickhouse_sql.INSERT_SAMPLES,
}
_QUESTION = {
    "wait_end_of_query": "1",
    "max_execution_time": str(QUERY_MAX_S),
    "max_memory_usage": str(QUERY_MAX_MEMORY_BYTES),
}


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and who we are to it."""

    host: str
    port: int
    tls: bool = False
    database: str = DATABASE
    user: str = ""
    password: str = ""

    @property
    def url(self) -> str:
        """The address without the password."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/{self.database}"


def server(url: str) -> Server:
    """Parse the URL of a server.  Raises BadInput."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInput(
            f"{without_password(url)!r} is not the URL of a ClickHouse server: {error}"
        ) from error
    database = parts.path.strip("/") or DATABASE
    is_name = database.isidentifier() and database.isascii()
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_name:
        raise BadInput(
            f"{without_password(url)!r} is not the URL of a ClickHouse server: write http://HOST:PORT or"
            " https://HOST:PORT"
        )
    tls = parts.scheme == "https"
    return Server(
        parts.hostname,
        port or (8443 if tls else 8123),
        tls,
        database,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


class HttpEngine:
    """The engine behind one URL; connections are kept for the next request."""

    is_own = False

    def __init__(self, at: Server) -> None:
        self.name = f"at {at.url}"
        self._at = at
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._headers = {"Content-Type": "application/octet-stream"}
        if at.user:
            pair = base64.b64encode(f"{at.user}:{at.password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        self._settings = {"database": at.database}
        self._insert = dict(_INSERT)
        try:
            self.version = self._post({}, [b"SELECT version()"]).decode("ascii", "replace").strip()
            can = clickhouse_sql.abilities(self.version)
            if not can.low_cardinality:
                self._settings["allow_experimental_low_cardinality_type"] = "1"
            if can.async_insert:
                self._insert["async_insert"] = (
                    "0"  # or a server's own setting may answer before it writes
                )
            self._make_database()
        except BaseException:
            self.close()
            raise

    def execute(self, statement: str) -> None:
        self._post(self._settings, [statement.encode()])

    def query(self, statement: str) -> dict[str, Column]:
        body = f"{statement} FORMAT Native".encode()
        return decoded(self._post({**self._settings, **_QUESTION}, [body]))

    def insert(self, block: Sequence[Buffer]) -> None:
        query_id = f"{clickhouse_sql.INSERT_NAME}{secrets.token_hex(8)}"
        self._post({**self._settings, **self._insert, "query_id": query_id}, block, again=False)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _make_database(self) -> None:
        # Asked before it is made: who may use a database often may not make one.
        statement = bound(clickhouse_sql.COUNT_DATABASES, database=self._at.database)
        if self._post({}, [statement.encode()]).strip() == b"0":
            self._post({}, [f"CREATE DATABASE IF NOT EXISTS {self._at.database}".encode()])

    def _post(
        self, parameters: dict[str, str], body: Sequence[Buffer], *, again: bool = True
    ) -> bytes:
        limit_s = TIMEOUT_S if again else INSERT_MAX_S
        until_s = time.monotonic() + limit_s
        connection, is_fresh = self._connection(limit_s, fresh=not again)
        try:
            status, answer = self._exchange(connection, parameters, body, until_s)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if again and not is_fresh and not isinstance(error, TimeoutError):
                return self._post(parameters, body, again=False)
            raise Unavailable(
                f"the telemetry store {self.name} does not answer: {str(error) or type(error).__name__}"
            ) from error
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        if status == 200:
            return answer
        text = answer.decode("utf-8", "replace").strip()
        if status in (401, 403) or "Code: 516" in text or "Code: 193" in text:
            raise Unavailable(
                f"the telemetry store {self.name} does not accept the user or the password"
            )
        raise unavailable(self.name, text or f"it answers with status {status}")

    def _exchange(
        self,
        connection: Connection,
        parameters: dict[str, str],
        body: Sequence[Buffer],
        until_s: float,
    ) -> tuple[int, bytes]:
        size = sum(len(piece) for piece in body)
        headers = {**self._headers, "Content-Length": str(size)}
        # An iterable body of known length is sent piece by piece, so nothing is copied together.
        pieces = _before(until_s, connection, body)
        connection.request("POST", f"/?{urlencode(parameters)}", pieces, headers)
        _hurry(connection, until_s)
        with connection.getresponse() as response:
            answer = response.read(ANSWER_MAX_BYTES + 1)
            if len(answer) > ANSWER_MAX_BYTES:
                raise Unavailable(
                    f"the telemetry store {self.name} sends more than {ANSWER_MAX_BYTES} bytes: ask for less"
                )
            return response.status, answer

    def _connection(self, limit_s: float, *, fresh: bool) -> tuple[Connection, bool]:
        with self._lock:
            if self._closed:
                raise Unavailable(f"the telemetry store {self.name} is closed")
            if self._idle and not fresh:
                connection = self._idle.pop()
                connection.sock.settimeout(limit_s)
                return connection, False
        if self._at.tls:
            context = ssl.create_default_context()
            return (
                http.client.HTTPSConnection(
                    self._at.host, self._at.port, timeout=limit_s, context=context
                ),
                True,
            )
        return http.client.HTTPConnection(self._at.host, self._at.port, timeout=limit_s), True

    def _keep(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed and connection.sock and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
                return
        connection.close()


def _before(until_s: float, connection: Connection, body: Sequence[Buffer]) -> Iterator[Buffer]:
    """Yield the pieces of `body`, leaving each only the time that is left."""
    for piece in body:
        _hurry(connection, until_s)
        yield piece


def _hurry(connection: Connection, until_s: float) -> None:
    if connection.sock is not None:
        connection.sock.settimeout(max(until_s - time.monotonic(), 0.001))
