"""Today's ClickHouse engine behind as much of its HTTP interface as the telemetry store speaks.

    python chdb_http_front.py FOLDER PORT

The engine comes with the embedded store's package; its own HTTP server does not.
"""

import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import chdb

# What the HTTP interface takes for itself; everything else in the URL is a setting.
NOT_SETTINGS = {"query", "database", "wait_end_of_query", "query_id"}

_lock = threading.Lock()


class Front(BaseHTTPRequestHandler):
    """One statement a request, as ClickHouse's HTTP interface has it."""

    protocol_version = "HTTP/1.1"
    engine: "chdb.state.sqlitelike.Connection"

    def do_GET(self) -> None:
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parameters = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        try:
            with _lock:
                answer = self._run(parameters, body)
        except RuntimeError as error:
            self._answer(500, str(error).encode())
        else:
            self._answer(200, answer)

    def _run(self, parameters: dict[str, str], body: bytes) -> bytes:
        self.engine.query(f"USE {parameters.get('database', 'default')}")
        settings = {key: value for key, value in parameters.items() if key not in NOT_SETTINGS}
        for key, value in settings.items():
            self.engine.query(f"SET {key} = '{value}'")
        if "query" in parameters:
            return self._insert(parameters["query"], body)
        statement = body.decode()
        named = re.search(r"\bFORMAT (\w+)$", statement)
        return self.engine.query(statement, named.group(1) if named else "TabSeparated").bytes()

    def _insert(self, statement: str, body: bytes) -> bytes:
        with os.fdopen(os.memfd_create("insert"), "wb") as file:
            file.write(body)
            file.flush()
            path = f"/proc/self/fd/{file.fileno()}"
            self.engine.query(statement.replace("FORMAT", f"FROM INFILE '{path}' FORMAT"))
        return b""

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    Front.engine = chdb.connect(sys.argv[1])
    # A small answer in two packets would wait for the client's delayed acknowledgement.
    Front.wbufsize = -1
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Front).serve_forever()
