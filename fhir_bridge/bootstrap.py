"""The composition root: settings in, one `Bridge` out. Nothing else builds a store, a mapping or a hospital's client."""

import gc
import random
import secrets
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url

from fhir_bridge import clock, settings, shipped
from fhir_bridge.clinic.records import Records
from fhir_bridge.clinic.vitals import Vital
from fhir_bridge.documents import loads
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import elements
from fhir_bridge.hospital.backend_services import BackendServices
from fhir_bridge.hospital.capabilities import site_file
from fhir_bridge.hospital.client import Client, Deadlines
from fhir_bridge.hospital.outside import Outside
from fhir_bridge.hospital.sign_in import Anonymous, Basic, Bearer, SignIn
from fhir_bridge.mapping import Mapping as TwoWayMapping
from fhir_bridge.mapping import fields
from fhir_bridge.settings import Settings
from fhir_bridge.store.database import Store
from fhir_bridge.sync.bridge import Bridge, Hospital, Site
from fhir_bridge.sync.keys import Folder

if TYPE_CHECKING:
    from fhir_bridge.store.dispatch import Dispatch

_MAPPINGS = shipped.folder("mappings", "mappings")


def bridge(given: Settings) -> Bridge:
    """The application as `given` describes it; raises `Refused` with what is wrong with the mapping or the database's address."""
    return Bridge(
        store=store(given),
        sites={name: site(given, name) for name in given.sites},
        hospitals={name: _hospital(described, given) for name, described in given.hospitals.items()},
        clock=clock.utc_now,
        rng=random.SystemRandom(),
        new_id=lambda: str(uuid.uuid4()),
        audit_key=_audit_key(given),
        keys=Folder(given.keys) if given.keys else None,
        lease_seconds=given.lease_seconds,
        deadline_seconds=given.deadline_seconds,
        poll_interval_seconds=given.poll_interval_seconds,
        dispatch=_dispatch(given),
        worker_threads=given.worker_threads,
        public_url=given.public_url,
        proxies=given.proxies,
        refusals_per_minute=given.refusals_per_minute,
        outside=Outside(networks=given.outside_networks, verify=str(given.outside_ca) if given.outside_ca else True),
    )


def staying(given: Settings) -> Bridge:
    """The application of a process that lives on: what it is made of stays, and the collector need not look at it time and again."""
    made = bridge(given)
    gc.freeze()  # without a collection first: it would find nothing, and take a tenth of a second of every start
    return made


def prepare(given: Settings) -> None:
    """Make an empty SQLite file usable at once. Any other database is brought up to date by `fhir-bridge db upgrade`."""
    if _sqlite_file(given) is None:
        return
    opened = store(given)
    if opened.revision()[0] is None:
        opened.upgrade()
    opened.close()
    _audit_key(given)


def _dispatch(given: Settings) -> "Dispatch | None":
    if _sqlite_file(given):
        return None
    from fhir_bridge.store.dispatch import Dispatch  # its library is there where PostgreSQL is used

    return Dispatch(given.database_url.reveal())


def store(given: Settings) -> Store:
    """The database alone."""
    if file := _sqlite_file(given):
        file.parent.mkdir(parents=True, exist_ok=True)
    return Store(given.database_url.reveal())


def site(given: Settings, name: str) -> Site:
    """One site with its mapping, loaded and checked; raises `Refused` with every fault of a template or table."""
    if (described := given.sites.get(name)) is None:
        raise Refused([Fault("site", f"no site {name!r} is set; known: {', '.join(given.sites)}")])
    kinds, mapping = loaded(described.mappings, described.values)
    return Site(name, zone=described.zone, mapping=mapping, hospitals=described.hospitals, records=kinds)


def loaded(folder: Path | None, values: Mapping[str, str]) -> tuple[Records, TwoWayMapping]:
    """The records a site may send, and their mapping: the shipped templates and tables, with those of `folder` over them.

    Raises `Refused` with every fault of a template or table, by file and line.
    """
    return _loaded([_MAPPINGS, folder], values) if folder else _shipped(tuple(sorted(values.items())))


@cache  # what ships does not change while we run: sites with the same constants share it, and what is compiled of it
def _shipped(values: tuple[tuple[str, str], ...]) -> tuple[Records, TwoWayMapping]:
    return _loaded([_MAPPINGS], dict(values))


def _loaded(folders: Sequence[Path], values: Mapping[str, str]) -> tuple[Records, TwoWayMapping]:
    kinds = Records(Vital(one.field, one.ucum, one.low, one.high, one.about) for one in fields.declared(folders))
    return kinds, TwoWayMapping.load(folders, site=values, fields=kinds.all_fields(), type_of=elements.type_of)


def _hospital(described: settings.Hospital, given: Settings) -> Hospital:
    total = given.deadline_seconds
    deadlines = Deadlines(connect=min(5.0, total), read=min(30.0, total), total=total)
    client = Client(described.base_url, sign_in=_sign_in(described, given), deadlines=deadlines)
    return Hospital(described.name, client, site_file=site_file(described.rules))


def _sign_in(described: settings.Hospital, given: Settings) -> SignIn:
    secret = {part: text.reveal() for part, text in described.secrets.items()}
    match described.sign_in:
        case "bearer":
            return Bearer(secret["token"])
        case "basic":
            return Basic(secret["username"], secret["password"])
        case "smart":
            return _smart(described.base_url, secret, given)
        case _:
            return Anonymous()


def _smart(base_url: str, secret: Mapping[str, str], given: Settings) -> SignIn:
    """SMART Backend Services with the hospital's own key file, else with the key of our folder that signs at the time."""

    def signing() -> dict[str, Any]:
        if "key" in secret:
            found: dict[str, Any] = loads(secret["key"].encode())
            return found
        return Folder(given.keys or Path()).signing(clock.utc_now())

    return BackendServices(
        base_url,
        client_id=secret["client_id"],
        key=signing,
        scope=secret["scope"],
        now=clock.utc_now,
        new_id=lambda: str(uuid.uuid4()),
        token_url=secret.get("token_url", ""),
    )


def _audit_key(given: Settings) -> bytes:
    """The key that seals the audit trail: as set, or, beside a SQLite file, one made at the first start and kept in its own file."""
    if given.audit_key:
        return given.audit_key.reveal().encode()
    file = _sqlite_file(given)
    if file is None:
        raise Refused([Fault("FHIR_BRIDGE_AUDIT_KEY", "is missing; set it, or FHIR_BRIDGE_AUDIT_KEY_FILE, to a random text of 32 or more")])
    return _kept_key(file.with_suffix(".audit-key"))


def _kept_key(file: Path) -> bytes:
    if not file.exists():
        fresh = file.with_name(f"{file.name}.{uuid.uuid4()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(32))
        with suppress(FileExistsError):  # another process was first; its key stands
            file.hardlink_to(fresh)
        fresh.unlink()
    return file.read_bytes()


def _sqlite_file(given: Settings) -> Path | None:
    address = make_url(given.database_url.reveal())
    return Path(address.database) if address.get_backend_name() == "sqlite" and address.database else None
