"""Manifests of services: YAML, or JSON of the same form <-> Service.

    name: tyre-watch
    version: 1.2.0
    image: sha256:...                       # by digest; left out with `runner: process`
    command: [/app/watch, --slow]           # the image's own without
    environment: {LANG: C.UTF-8}
    resources: {memory_max: 64MiB, cpu_max: 0.5, pids_max: 64, tmp_max: 16MiB, files_max: 1024}
    restart: ALWAYS                         # or ON_FAILURE, NEVER
    stop: {signal: TERM, grace_s: 5}
    health:
      within_s: 10                          # a new version is ready within so long, and stays so
      soak_s: 0                             # for so long
      liveness: {command: [/app/alive], interval_s: 5, timeout_s: 1, failures: 3, delay_s: 0}
      readiness: {http: {path: /ready, port: 8080}}      # or grpc: {service, port | socket},
    depends_on: {battery: ADD_COND_HEALTHY}              # or publishes: {paths: [...], age_max_s: 2}
    signals: {read: [Vehicle.Speed], write: [], provide: [Vehicle.Private.Tyre.*]}
    offers: [{name: tyre.state, version: 1.0.0, socket: tyre.sock, proto: a.b.Tyre, features: [], to: [dash]}]
    uses: [{name: battery.health, version: ">=1.2 <2", optional: true}]
    access: token                           # or socket
    network: none                           # or host
    data: [{path: /var/lib/tyre, max: 16MiB}]
    on_loss: keep                           # of the cloud; or stop, or {fall_back: another-service}
    change: {how: after}                    # or beside
    tags: {owner: chassis}
    active: true

Rule 1: what goes out comes in equal; a default is not written.
Rule 2: an unknown key is refused, with the file, the place and the nearest known one.
Rule 3: the JSON of a service is canonical: two services are the same exactly if their JSON is.
"""

import hashlib
import json
from typing import Any

import yaml

from fairway.catalog.model import MappingProblem
from fairway.catalog.yaml_text import yaml_tree
from fairway.errors import BadInput
from fairway.services.fields import Table, size_text
from fairway.services.manifest_health import health_document, health_of
from fairway.services.model import (
    MIB,
    Access,
    Change,
    Condition,
    Data,
    How,
    Network,
    Offer,
    OnLoss,
    Resources,
    Restart,
    Runner,
    Service,
    Signals,
    Use,
)
from fairway.services.rules import (
    ARGUMENTS_MAX,
    ARGUMENTS_MAX_CHARS,
    LIST_MAX,
    SIGNALS_MAX,
    TAG_MAX_CHARS,
    checked,
)

MANIFEST_MAX_BYTES = 256 * 1024
GRACE_MAX_S = 600.0
_DEFAULT = Service(name="x", version="1")


class _Dumper(yaml.SafeDumper):
    """Writes what is not printable as escapes: other styles fold some line breaks of Unicode to spaces."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def service_from_yaml(text: str | bytes, *, file: str = "the manifest") -> Service:
    """Return the service that a manifest says; `file` names it in errors.  Raises BadInput."""
    said = _decoded(text, file)
    problems: list[MappingProblem] = []
    tree = yaml_tree(said, name=file, problems=problems)
    for problem in problems:
        if "twice" in problem.text:
            raise BadInput(f"{problem.path}: {problem.text.split(';')[0]}: leave one of them out")
    return service_of(tree, file=file)


def service_from_json(text: str | bytes, *, file: str = "the manifest") -> Service:
    """Return the service that a manifest in JSON says.  Raises BadInput."""
    try:
        tree = json.loads(_decoded(text, file), object_pairs_hook=_once, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file} is not JSON: {error}") from error
    return service_of(tree, file=file)


def service_to_yaml(service: Service) -> str:
    """Return the manifest of a service."""
    text: str = yaml.dump(
        service_document(service),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    return text


def service_to_json(service: Service) -> str:
    """Return the canonical JSON of a service."""
    return json.dumps(
        service_document(service), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def service_digest(service: Service) -> str:
    """Return 64 hex digits that name all that the manifest says."""
    return hashlib.sha256(service_to_json(service).encode()).hexdigest()


def service_of(document: object, *, file: str = "the manifest") -> Service:
    """Return the service that a parsed manifest says.  Raises BadInput."""
    if not isinstance(document, dict):
        raise BadInput(f"{file}: must be a table that begins with name and version")
    table = Table(document, "", file)
    try:
        service = _service(table)
        table.nothing_else()
        return checked(service)
    except BadInput as error:
        text = str(error)
        raise BadInput(text if text.startswith(f"{file}: ") else f"{file}: {text}") from error


def _service(table: Table) -> Service:
    stop, change = table.table("stop"), table.table("change")
    on_loss, fall_back = _on_loss(table)
    service = Service(
        name=table.text("name"),
        version=table.text("version"),
        image=table.text("image", ""),
        command=table.texts("command", most=ARGUMENTS_MAX),
        environment=_texts(table, "environment", ARGUMENTS_MAX_CHARS),
        runner=table.choice("runner", Runner.CONTAINER),
        resources=_resources(table.table("resources")),
        restart=table.choice("restart", Restart.ALWAYS),
        stop_signal=stop.text("signal", _DEFAULT.stop_signal),
        stop_grace_s=stop.number("grace_s", _DEFAULT.stop_grace_s, least=0, most=GRACE_MAX_S),
        health=health_of(table.table("health")),
        depends_on=tuple(
            (name, inner.choice(name, Condition.RUNNING))
            for name, inner in table.pairs("depends_on", most=LIST_MAX)
        ),
        signals=_signals(table.table("signals")),
        offers=table.tables("offers", _offer, most=LIST_MAX),
        uses=table.tables("uses", _use, most=LIST_MAX),
        access=table.choice("access", Access.TOKEN),
        network=table.choice("network", Network.NONE),
        data=table.tables("data", _data, most=LIST_MAX),
        on_loss=on_loss,
        fall_back=fall_back,
        change=Change(change.choice("how", How.AFTER)),
        tags=_texts(table, "tags", TAG_MAX_CHARS),
        is_active=table.yes("active", default=True),
    )
    stop.nothing_else()
    change.nothing_else()
    return service


def _resources(table: Table) -> Resources:
    usual = Resources()
    made = Resources(
        memory_max_bytes=table.size("memory_max", usual.memory_max_bytes, least=MIB, most=1 << 40),
        cpu_max=table.number("cpu_max", usual.cpu_max, least=0.01, most=256),
        pids_max=table.whole("pids_max", usual.pids_max, least=1, most=32_768),
        tmp_max_bytes=table.size("tmp_max", usual.tmp_max_bytes, least=0, most=1 << 40),
        files_max=table.whole("files_max", usual.files_max, least=16, most=1_048_576),
    )
    table.nothing_else()
    return made


def _signals(table: Table) -> Signals:
    made = Signals(*(table.texts(key, most=SIGNALS_MAX) for key in ("read", "write", "provide")))
    table.nothing_else()
    return made


def _offer(table: Table) -> Offer:
    return Offer(
        name=table.text("name"),
        version=table.text("version"),
        socket=table.text("socket"),
        proto=table.text("proto", "", most=256),
        features=table.texts("features", most=LIST_MAX),
        to=table.texts("to", most=LIST_MAX),
    )


def _use(table: Table) -> Use:
    return Use(
        name=table.text("name"),
        version=table.text("version", "*"),
        optional=table.yes("optional", default=False),
    )


def _data(table: Table) -> Data:
    most = table.size("max", Data("/").max_bytes, least=4096, most=1 << 44)
    return Data(path=table.text("path"), max_bytes=most)


def _texts(table: Table, key: str, most: int) -> tuple[tuple[str, str], ...]:
    pairs = table.pairs(key, most=ARGUMENTS_MAX)
    return tuple((name, inner.text(name, most=most, least=0)) for name, inner in pairs)


def _on_loss(table: Table) -> tuple[OnLoss, str]:
    if "on_loss" not in table or not isinstance(table.taken("on_loss"), dict):
        said = table.choice("on_loss", OnLoss.KEEP)
        if said is OnLoss.FALL_BACK:
            raise table.wrong("on_loss", "name the service that then runs: {fall_back: another}")
        return said, ""
    inner = table.table("on_loss")
    name = inner.text("fall_back")
    inner.nothing_else()
    return OnLoss.FALL_BACK, name


def service_document(service: Service) -> dict[str, Any]:
    """Return the manifest of a service as a table, for json.dumps and yaml.safe_dump."""
    one, usual = service, _DEFAULT
    return {"name": one.name, "version": one.version} | _said(
        image=(one.image, ""),
        command=(list(one.command), []),
        environment=(dict(sorted(one.environment)), {}),
        runner=(str(one.runner), str(usual.runner)),
        resources=(_resources_document(one.resources), {}),
        restart=(str(one.restart), str(usual.restart)),
        stop=(
            _said(
                signal=(one.stop_signal, usual.stop_signal),
                grace_s=(one.stop_grace_s, usual.stop_grace_s),
            ),
            {},
        ),
        health=(health_document(one.health), {}),
        depends_on=({name: str(condition) for name, condition in sorted(one.depends_on)}, {}),
        signals=(
            _said(
                read=(list(one.signals.read), []),
                write=(list(one.signals.write), []),
                provide=(list(one.signals.provide), []),
            ),
            {},
        ),
        offers=([_offer_document(offer) for offer in one.offers], []),
        uses=([_use_document(use) for use in one.uses], []),
        access=(str(one.access), str(usual.access)),
        network=(str(one.network), str(usual.network)),
        data=([{"path": data.path, "max": size_text(data.max_bytes)} for data in one.data], []),
        on_loss=({"fall_back": one.fall_back} if one.fall_back else str(one.on_loss), "keep"),
        change=(_said(how=(str(one.change.how), str(usual.change.how))), {}),
        tags=(dict(sorted(one.tags)), {}),
        active=(one.is_active, True),
    )


def _resources_document(one: Resources) -> dict[str, Any]:
    usual = Resources()
    return _said(
        memory_max=(size_text(one.memory_max_bytes), size_text(usual.memory_max_bytes)),
        cpu_max=(one.cpu_max, usual.cpu_max),
        pids_max=(one.pids_max, usual.pids_max),
        tmp_max=(size_text(one.tmp_max_bytes), size_text(usual.tmp_max_bytes)),
        files_max=(one.files_max, usual.files_max),
    )


def _offer_document(offer: Offer) -> dict[str, Any]:
    said = {"name": offer.name, "version": offer.version, "socket": offer.socket}
    return said | _said(
        proto=(offer.proto, ""),
        features=(list(offer.features), []),
        to=(list(offer.to), []),
    )


def _use_document(use: Use) -> dict[str, Any]:
    return {"name": use.name} | _said(version=(use.version, "*"), optional=(use.optional, False))


def _said(**pairs: tuple[Any, Any]) -> dict[str, Any]:
    """Return each value that is not its default."""
    return {key: value for key, (value, usual) in pairs.items() if value != usual}


def _decoded(text: str | bytes, file: str) -> str:
    if len(text) > MANIFEST_MAX_BYTES:
        raise BadInput(f"{file} has over {MANIFEST_MAX_BYTES} bytes: that is no manifest")
    try:
        return text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is not UTF-8: {error.reason}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")
