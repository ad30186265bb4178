"""Images, bundles and reports as hypothesis makes them up."""

from collections.abc import Callable

from hypothesis import strategies as st

from fairway.errors import BadInput
from ota.manifest import Blob, Bundle, Form, Image, Install, Kind, Requirement, Source
from ota.report import EcuReport, Installed, VehicleReport
from ota.trust.model import Attack

sha256s = st.binary(min_size=32, max_size=32).map(bytes.hex)
numbers = st.integers(0, (1 << 63) - 1)
letters = st.characters(codec="utf-8", categories=("L", "N", "P"), exclude_characters="/\\")
names = st.text(letters, min_size=1, max_size=20).filter(lambda name: name not in {".", ".."})
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
texts = st.dictionaries(names, st.text(letters, min_size=1), max_size=3)


def sentence(act: Callable[[], object]) -> str:
    """Return how an act was refused, "" when it was not."""
    try:
        act()
    except BadInput as error:
        return str(error)
    return ""


def tuples(items: st.SearchStrategy, most: int = 3) -> st.SearchStrategy:
    return st.lists(items, max_size=most).map(tuple)


@st.composite
def blobs(draw, sha256=sha256s, length=numbers):
    chunk_bytes = draw(st.sampled_from([0, 1, 4 << 20]))
    chunks = draw(sha256s) if chunk_bytes else ""
    return Blob(draw(sha256), draw(length), chunk_bytes, chunks)


sources = st.builds(
    Source,
    form=st.sampled_from([form for form in Form if form is not Form.PLAIN]),
    blob=blobs(),
    base_sha256=st.just("") | sha256s,
    memory_bytes=numbers,
)


@st.composite
def requirements(draw):
    least = draw(numbers)
    most = draw(st.none() | st.integers(least, (1 << 63) - 1))
    return Requirement(draw(names), least, most)


installs = st.builds(
    Install,
    order=st.integers(-1000, 1000),
    group=st.just("") | names,
    conditions=tuples(names),
    duration_max_s=st.integers(1, 86_400),
    user_text=texts,
    needs_consent=st.booleans(),
    is_safety=st.booleans(),
)
services = st.dictionaries(
    names, st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | names
)


@st.composite
def images(draw):
    sha256, length = draw(sha256s), draw(numbers)
    own = draw(blobs(st.just(sha256), st.just(length)))
    kept = (Source(Form.PLAIN, own),) if own.chunk_bytes else ()
    return Image(
        path=draw(paths),
        length=length,
        sha256=sha256,
        kind=draw(st.sampled_from(Kind)),
        name=draw(names),
        version=draw(st.just("") | names),
        release_counter=draw(numbers),
        hardware_ids=draw(tuples(names)),
        sources=kept + draw(tuples(sources)),
        requires=draw(tuples(requirements())),
        conflicts=draw(tuples(requirements())),
        install=draw(installs),
        rxswin=draw(tuples(names)),
        service=draw(services),
    )


bundles = st.builds(
    Bundle,
    name=names,
    version=names,
    images=st.lists(paths, unique=True, max_size=4).map(tuple),
    purpose=st.text(letters),
    sbom_sha256=tuples(sha256s),
    provenance_sha256=tuples(sha256s),
    user_text=texts,
)

installed = st.builds(
    Installed, path=paths, length=numbers, sha256=sha256s, release_counter=numbers
)
ecu_reports = st.builds(
    EcuReport,
    serial=names,
    hardware_id=names,
    installed=st.none() | installed,
    counter=numbers,
    time_ns=st.integers(0, 4_000_000_000_000_000_000),
    attacks=st.lists(st.sampled_from(Attack), unique=True).map(tuple),
)


@st.composite
def vehicle_reports(draw):
    ecus = draw(st.lists(ecu_reports, min_size=1, max_size=4, unique_by=lambda ecu: ecu.serial))
    ecus.sort(key=lambda ecu: ecu.serial)
    return VehicleReport(
        vehicle=draw(st.from_regex(r"[A-Za-z0-9]{1,17}", fullmatch=True)),
        primary=draw(st.sampled_from(ecus)).serial,
        ecus=tuple(ecus),
        counter=draw(numbers),
        action=draw(st.just("") | names),
        forms=draw(tuples(names)),
        memory_max_bytes=draw(numbers),
        rxswin=draw(st.dictionaries(names, names, max_size=3)),
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
