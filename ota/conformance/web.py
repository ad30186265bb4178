"""Files over HTTP, never more of one than was asked for."""

import urllib.error
import urllib.request
from http import HTTPStatus
from http.client import HTTPException

from fairway.errors import BadInput, Unavailable

TIMEOUT_S = 30.0
# A repository behind S3 answers 403 where there is no such file.
_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}

# No proxies: which repository is asked, the command line says alone.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetched(url: str, max_bytes: int) -> bytes | None:
    """Return a file, at most one byte more than `max_bytes`; None when there is none.

    Raises BadInput for an address that is none, Unavailable.
    """
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"{url[:120]!r} is no address: begin it with http:// or https://")
    try:
        with _OPENER.open(url, timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read(max_bytes + 1)
            return content
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _ABSENT:
            return None
        raise Unavailable(f"{url} answers {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"cannot fetch {url}: {error}") from error
