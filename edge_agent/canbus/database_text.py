"""Bytes to text for formats that do not name their encoding, and places in that text."""

LOST = "\ufffd"  # what an earlier tool left where it could not read a letter


def text_of(content: bytes) -> tuple[str, str]:
    """Return the text in `content` with its line ends made alike, and what was odd about its encoding.

    DBC and SYM files name no encoding: Vector's and PEAK's tools write cp1252, everyone else UTF-8.
    """
    text, remark = _decoded(content)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, remark


def _decoded(content: bytes) -> tuple[str, str]:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace"), "the file is written in UTF-16"
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252"), ""
    except UnicodeDecodeError:
        return content.decode("latin-1"), "the file is neither UTF-8 nor cp1252: read as latin-1"
