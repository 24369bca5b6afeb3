"""EdgeInstall: packages, code, model and bundle on a host behind SSH, each beside the one that still serves.

Nothing that runs is touched: that is EdgeService's business. What an interrupted `up` left is gone on with.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra.edge.errors import EdgeError, report_in_one_line
from infra.edge.hosts.address import parse
from infra.edge.hosts.copying import Item, copy, missing, require_room
from infra.edge.hosts.facts import Facts, look, order
from infra.edge.hosts.payload import Code, bundle_folder, bundle_name, model_stamp
from infra.edge.hosts.transport import Transport, transport_to
from infra.edge.hosts.wheelhouse import Lock, Platform, unpacked_bytes, wheels
from infra.edge.layout import project_root

if TYPE_CHECKING:
    import pulumi

INSTALL_S = 1800.0  # a small arm64 host unpacks and compiles some 700 MB
ORDER_S = 300.0
BUNDLE_FILES = ("manifest.json", "index.faiss", "chunks.sqlite")
CONTENT = ("lock", "app", "modelStamp", "bundle")


class InstallArgs(TypedDict):
    """Inputs of EdgeInstall.

    host: of `hybrid.edge.hosts`.
    home: the stack's folder there, below the login's home.
    model: what llama.cpp serves; a file of this machine is brought there.
    bundlePath: the folder of an EdgeBundle, relative to the project root.
    synced: the host takes newer bundles by itself; it is brought a first one only.
    """

    host: str
    home: str
    model: str
    bundlePath: pulumi.Input[str]
    synced: bool


class EdgeInstallProvider(ResourceProvider):
    """Fills, observes and empties the stack's folder on one host.

    Args:
        root: as of EdgeBundleProvider.
    """

    serialize_as_secret_always = False

    def __init__(self, root: str | None = None) -> None:
        super().__init__()
        self.root = root

    def configure(self, req: ConfigureRequest) -> None:
        """Once per process."""
        del req
        report_in_one_line()

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Add what the inputs stand for: other packages, code, model or texts are a changed input."""
        root = self._root()
        path = news.get("bundlePath")
        try:
            if not olds:
                look(_transport(news), news["home"])  # a host that can't be had is said before anything is built
            content = {
                "lock": Lock.of(root).digest,
                "app": Code(root).name,
                "modelStamp": model_stamp(root, news["model"]),
                "bundle": olds["bundle"] if _begun(olds, news) else _name(root, path),
            }
        except EdgeError as exc:
            return CheckResult(news, [CheckFailure("", str(exc))])
        return CheckResult({**news, **content}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Other content, or a host that has lost some of it."""
        changed = [name for name in CONTENT if olds.get(name) != news.get(name)]
        moved = [name for name in ("host", "home") if olds.get(name) != news.get(name)]
        if not changed and not moved and (lost := _lost(_transport(olds), olds)):
            sys.stderr.write(f"edge host {olds['host']}: {lost}; `pulumi up` brings it\n")
            changed.append("release")
        synced = bool(olds.get("synced")) != bool(news.get("synced"))
        other = olds.get("bundlePath") != news.get("bundlePath") or synced
        return DiffResult(changes=bool(changed or moved or other), replaces=moved, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Bring everything there; what arrived before a failure stays for the next attempt."""
        return CreateResult(f"{props['host']}/{props['home']}", self._installed(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Report a host that has lost something as one without code; the next `up` brings it."""
        lost = _lost(_transport(props), props)
        return ReadResult(id_, {**props, "app": ""} if lost else props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Bring what is new."""
        return UpdateResult(self._installed(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Leave nothing there."""
        order(_transport(props), "remove", limit_s=ORDER_S, base=props["release"]["base"])

    def _installed(self, props: dict[str, Any]) -> dict[str, Any]:
        root = self._root()
        if props.get("bundle") is None:
            props = {**props, "bundle": bundle_name(root / props["bundlePath"])}
        if props["bundle"] is None:
            raise EdgeError(f"there is no bundle at {props['bundlePath']}; run `pulumi up` again")
        transport = _transport(props)
        facts = look(transport, props["home"])
        packages = Lock.of(root)
        platform = Platform(facts.machine, facts.python, facts.libc[1])
        env = _environment(props["lock"], facts)
        needed = wheels(packages, platform, self._cache()) if env not in facts.folders else ()
        model = root / Path(props["model"]).expanduser() if props.get("modelStamp") else None
        with tempfile.TemporaryDirectory() as folder:
            code = Path(folder, f"{props['app']}.tar")
            Code(root).pack(code)
            lock = Path(folder, f"{env}.txt")
            lock.write_text(packages.on(platform))
            items = [
                *([Item(lock, f"wheels/{lock.name}")] if needed else ()),
                *(Item(wheel, f"wheels/{wheel.name}") for wheel in needed),
                *([Item(code, f"wheels/{code.name}")] if props["app"] not in facts.folders else ()),
                *self._bundle_items(props, facts),
                *([Item(model, f"models/{model.name}")] if model else ()),
            ]
            absent = missing(items, facts)
            require_room(transport.host, absent, sum(unpacked_bytes(wheel) for wheel in needed), facts)
            copy(transport, absent, facts)
        self._unpack(transport, facts, props, env, [wheel.name for wheel in needed])
        release = {"base": facts.base, "env": env, "app": props["app"], "bundle": props["bundle"]}
        synced = bool(props.get("synced"))
        return {
            **props,
            "release": {**release, "manager": facts.manager, "synced": synced},
            "machine": facts.machine,
            "python": facts.python,
            "bundleHome": f"{facts.base}/bundle",
            "modelPath": f"../models/{model.name}" if model else props["model"],
        }

    def _bundle_items(self, props: dict[str, Any], facts: Facts) -> list[Item]:
        place = f"bundle/{props['bundle']}"
        if f"{place}/{BUNDLE_FILES[0]}" in facts.files:
            return []
        source = bundle_folder(self._root() / props["bundlePath"])
        return [
            Item(source / name, f"bundle/.new-{props['bundle']}/{name}")
            for name in BUNDLE_FILES
            if (source / name).is_file()
        ]

    def _unpack(self, transport: Transport, facts: Facts, props: dict[str, Any], env: str, names: list[str]) -> None:
        common = {"base": facts.base}
        if props["app"] not in facts.folders:
            archive = f"wheels/{props['app']}.tar"
            order(transport, "adopt", limit_s=ORDER_S, **common, archive=archive, target=props["app"])
        if f"bundle/{props['bundle']}/{BUNDLE_FILES[0]}" not in facts.files:
            draft = f"bundle/.new-{props['bundle']}"
            order(transport, "place", limit_s=ORDER_S, **common, draft=draft, target=f"bundle/{props['bundle']}")
        if env not in facts.folders:
            sys.stderr.write(f"edge host {transport.host}: installing {len(names)} packages\n")
            uv = next(name for name in names if name.startswith("uv-"))
            lock = f"{env}.txt"
            order(transport, "install", limit_s=INSTALL_S, **common, env=env, wheels=names, lock=lock, uv=uv)

    def _cache(self) -> Path:
        return Path(self.root, ".cache") if self.root else Path.home() / ".cache" / "rag-platform" / "wheels"

    def _root(self) -> Path:
        return Path(self.root) if self.root else project_root()


class EdgeInstall(Resource, module="edge", name="EdgeInstall"):
    """What an edge needs on one host.

    Attributes:
        release: {base, env, app, bundle, manager}, as of `infra.edge.running.Release`.
        bundleHome: where the service finds its bundle there.
        modelPath: what llama.cpp is told there.
        machine: the host's architecture.
        python: its version of Python.
    """

    release: pulumi.Output[dict[str, str]]
    bundleHome: pulumi.Output[str]  # noqa: N815 - as the next line
    modelPath: pulumi.Output[str]  # noqa: N815 - an output of the resource
    machine: pulumi.Output[str]
    python: pulumi.Output[str]

    def __init__(self, name: str, args: InstallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = dict.fromkeys(("release", "bundleHome", "modelPath", "machine", "python", *CONTENT))
        super().__init__(EdgeInstallProvider(), name, {**outputs, **args}, opts)


def _transport(props: dict[str, Any]) -> Transport:
    return transport_to(parse(props["host"]))


def _begun(olds: dict[str, Any], news: dict[str, Any]) -> bool:
    """Whether the host has had its first bundle and looks for newer ones by itself."""
    same = all(olds.get(name) == news.get(name) for name in ("host", "home"))
    return bool(news.get("synced") and olds.get("bundle") and same)


def _name(root: Path, path: object) -> str | None:
    return bundle_name(root / path) if isinstance(path, str) else None


def _environment(lock: str, facts: Facts) -> str:
    return f"env-{lock}-{facts.python}-{facts.machine}"


def _lost(transport: Transport, props: dict[str, Any]) -> str | None:
    facts = look(transport, props["home"])
    release = props["release"]
    gone = [name for name in (release["env"], release["app"]) if name not in facts.folders]
    if not release.get("synced") and f"bundle/{release['bundle']}/{BUNDLE_FILES[0]}" not in facts.files:
        gone.append(BUNDLE_FILES[0])
    if props.get("modelStamp") and f"models/{props['modelStamp'].split()[0]}" not in facts.files:
        gone.append("the model")
    if gone:
        return f"{', '.join(gone)} is gone"
    return None if release["env"] == _environment(props["lock"], facts) else f"its Python is {facts.python} now"
