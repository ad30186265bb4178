"""Services as hypothesis makes them: every field that a manifest can say."""

from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.services import model
from fairway.services.model import Service
from fairway.services.rules import STOP_SIGNALS, checked

names = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=12)
paths = st.from_regex(r"Vehicle(\.([A-Z][a-z0-9]{0,5}|\*)){1,3}", fullmatch=True)
sockets = st.from_regex(r"[a-z]{1,8}\.sock", fullmatch=True).filter(
    lambda name: name not in ("agent.sock", "registry.sock")
)
versions = st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}\.[1-9][0-9]{0,2}", fullmatch=True).filter(
    lambda text: all(part == str(int(part)) for part in text.split("."))
)
seconds = st.floats(0.1, 3600, allow_nan=False)


def lists(of: st.SearchStrategy, **more) -> st.SearchStrategy:
    return st.lists(of, max_size=3, **more).map(tuple)


reached = st.one_of(st.tuples(st.integers(1, 65_535), st.just("")), st.tuples(st.just(0), sockets))
probes = st.one_of(
    st.builds(model.Command, st.lists(words, min_size=1, max_size=3).map(tuple)),
    st.builds(lambda path, to: model.Http("/" + path, *to), words, reached),
    st.builds(lambda name, to: model.Grpc(name, *to), texts, reached),
)
checks = st.builds(
    model.Check,
    probe=probes,
    interval_s=seconds,
    timeout_s=st.floats(0.05, 600),
    failures=st.integers(1, 1000),
    delay_s=st.floats(0, 3600),
)
healths = st.builds(
    model.Health,
    liveness=st.none() | checks,
    readiness=st.none() | checks,
    within_s=seconds,
    soak_s=st.floats(0, 3600),
)
resources = st.builds(
    model.Resources,
    memory_max_bytes=st.integers(1 << 20, 1 << 34),
    cpu_max=st.floats(0.01, 16),
    pids_max=st.integers(1, 100),
    tmp_max_bytes=st.integers(0, 1 << 30),
    files_max=st.integers(16, 4096),
)
offers = st.builds(
    model.Offer,
    name=names,
    version=versions,
    socket=sockets,
    proto=st.sampled_from(["", "a.b.C"]),
    features=lists(words, unique=True),
    to=lists(names, unique=True),
)
uses = st.builds(
    model.Use, name=names, version=st.sampled_from(["*", ">=1.2 <2"]), optional=st.booleans()
)


def _valid(service: Service) -> bool:
    try:
        return checked(service) is service
    except BadInput:
        return False


services = st.builds(
    Service,
    name=names,
    version=words,
    image=st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True),
    command=lists(texts.filter(bool)),
    environment=st.dictionaries(st.from_regex(r"[A-E][A-Z0-9_]{0,5}", fullmatch=True), texts)
    .filter(lambda table: len(table) < 5)
    .map(lambda table: tuple(sorted(table.items()))),
    resources=resources,
    restart=st.sampled_from(model.Restart),
    stop_signal=st.sampled_from(STOP_SIGNALS),
    stop_grace_s=st.floats(0, 600),
    health=healths,
    depends_on=st.dictionaries(names, st.sampled_from(model.Condition), max_size=3).map(
        lambda table: tuple(sorted(table.items()))
    ),
    signals=st.builds(
        model.Signals, *(st.lists(paths, max_size=3, unique=True).map(tuple) for _ in range(3))
    ),
    offers=lists(offers, unique_by=lambda offer: offer.name),
    uses=lists(uses, unique_by=lambda use: use.name),
    access=st.sampled_from(model.Access),
    network=st.sampled_from(model.Network),
    data=lists(
        st.builds(model.Data, names.map("/var/lib/{}".format), st.integers(4096, 1 << 40)),
        unique_by=lambda data: data.path,
    ),
    on_loss=st.sampled_from([model.OnLoss.KEEP, model.OnLoss.STOP]),
    change=st.builds(model.Change, st.sampled_from(model.How)),
    tags=st.dictionaries(words, texts, max_size=3).map(lambda table: tuple(sorted(table.items()))),
    is_active=st.booleans(),
).filter(_valid)
