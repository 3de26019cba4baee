"""What can be set, read once at start: `FHIR_BRIDGE_*` from the environment, sites and hospitals from one TOML file.

Every fault is reported at once, by the name of the variable or the place in the file. A secret is a `Secret`: it never shows
itself in a repr, a log or a traceback, and may come from a file (`FHIR_BRIDGE_DATABASE_URL_FILE`, `token_file = "…"`).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from environs import EnvValidationError, FileAwareEnv, validate

from fhir_bridge.errors import Fault, Refused

PREFIX = "FHIR_BRIDGE_"
DEFAULT_SITE = "default"
# The `$names` of the shipped templates: the base of our identifier systems, and of our extensions' addresses.
DEFAULT_VALUES = MappingProxyType({"system": "https://clinic.example/id", "extension": "https://clinic.example/extension"})
MIN_KEY_LENGTH = 32
RULES = {
    "vendor",
    "deny",
    "known_good",
    "references",
    "patient_system",
    "observation_codes",
    "page_bases",
    "entries_per_call",
    "bytes_per_call",
    "channel",
}
SIGN_INS = {"none": (), "bearer": ("token",), "basic": ("username", "password"), "smart": ("client_id", "scope")}
MAY_SAY = {"smart": ("key", "token_url")}  # parts a sign-in can do without


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that must not be shown; `reveal()` where it is used."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        return self._text

    def __str__(self) -> str:
        return "•••"


@dataclass(frozen=True, slots=True)
class Site:
    """One clinic site, which is also the tenant its API keys belong to.

    `zone` completes naive times (None: they are refused); `values` are the `$names` the mapping's templates use, over
    `DEFAULT_VALUES`; `mappings` is a folder that overrides the shipped templates; `hospitals` are the
    names of those that receive its records.
    """

    name: str
    zone: ZoneInfo | None = None
    values: Mapping[str, str] = field(default_factory=lambda: DEFAULT_VALUES)
    mappings: Path | None = None
    hospitals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital's FHIR server: where it is, how to sign in, and what is known of it beyond its CapabilityStatement.

    `sign_in` is one of `SIGN_INS`; `secrets` are its parts; `rules` is what its statement does
    not say, as written (`RULES`; see `fhir_bridge.hospital.capabilities.SiteFile`).
    """

    name: str
    base_url: str
    sign_in: str = "none"
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the bridge is told from outside, checked."""

    database_url: Secret = field(default_factory=lambda: Secret("sqlite:///var/fhir_bridge.sqlite"))
    keys: Path | None = None  # the folder of the keys we sign in to hospitals with
    audit_key: Secret | None = None  # seals the audit trail; beside a SQLite file one is made and kept
    host: str = "127.0.0.1"
    port: int = 8080
    web_workers: int = 2
    worker_threads: int = 4  # patients' queues one worker works on at once
    poll_interval_seconds: float = 0.2
    lease_seconds: int = 180
    deadline_seconds: float = 60.0  # of one call to a hospital, connecting and reading included
    public_url: str = ""  # our address as hospitals and clinics call it, like https://bridge.clinic.example
    refusals_per_minute: int = 300  # to one address, before it is told to wait; 0 for no limit
    proxies: int = 0  # how many stand before us, whose X-Forwarded-For tells who calls
    outside_networks: tuple[str, ...] = ()  # of ours, that webhooks and other addresses named by strangers may reach
    outside_ca: Path | None = None  # certificate authorities for those addresses, instead of the public ones
    sites: Mapping[str, Site] = field(default_factory=lambda: MappingProxyType({DEFAULT_SITE: Site(DEFAULT_SITE)}))
    hospitals: Mapping[str, Hospital] = field(default_factory=dict)

    @classmethod
    def from_environ(cls) -> "Settings":
        """The settings of this process; raises `Refused` with every fault at once."""
        faults: list[Fault] = []
        values = _environment(faults)
        config = values.pop("config")
        sites, hospitals = _config(Path(config), faults) if config else ({}, {})
        if url := values.pop("hospital"):
            _check_address(url, path=f"{PREFIX}HOSPITAL", faults=faults)
            hospitals.setdefault("hospital", Hospital("hospital", url))
        _check_keys(hospitals, values["keys"], faults)
        if faults:
            raise Refused(faults)
        return cls(**values, sites=_complete(sites, hospitals), hospitals=MappingProxyType(hospitals))


def _environment(faults: list[Fault]) -> dict[str, Any]:
    env = FileAwareEnv(prefix=PREFIX, eager=False, strip_whitespace=True)
    defaults = Settings()
    audit_key = _env_secret(env, "AUDIT_KEY", faults)
    if audit_key and len(audit_key.reveal()) < MIN_KEY_LENGTH:
        faults.append(Fault(f"{PREFIX}AUDIT_KEY", f"is too short; set {MIN_KEY_LENGTH} random characters or more"))
    values = {
        "database_url": _env_secret(env, "DATABASE_URL", faults) or defaults.database_url,
        "audit_key": audit_key,
        "keys": Path(folder) if (folder := env.str("KEYS", "")) else None,
        "host": env.str("HOST", defaults.host),
        "port": env.int("PORT", defaults.port, validate=_between(0, 65535)),
        "web_workers": env.int("WEB_WORKERS", defaults.web_workers, validate=_between(1, 64)),
        "worker_threads": env.int("WORKER_THREADS", defaults.worker_threads, validate=_between(1, 64)),
        "poll_interval_seconds": env.float("POLL_INTERVAL_SECONDS", defaults.poll_interval_seconds, validate=_between(0.01, 3600)),
        "lease_seconds": env.int("LEASE_SECONDS", defaults.lease_seconds, validate=_between(1, 3600)),
        "deadline_seconds": env.float("DEADLINE_SECONDS", defaults.deadline_seconds, validate=_between(0.1, 3600)),
        "public_url": _public_url(env.str("PUBLIC_URL", ""), faults),
        "refusals_per_minute": env.int("REFUSALS_PER_MINUTE", defaults.refusals_per_minute, validate=_between(0, 1_000_000)),
        "proxies": env.int("PROXIES", defaults.proxies, validate=_between(0, 8)),
        "outside_networks": _networks(env.list("OUTSIDE_NETWORKS", []), faults),
        "outside_ca": _file(env.str("OUTSIDE_CA", ""), f"{PREFIX}OUTSIDE_CA", faults),
        "config": env.str("CONFIG", ""),
        "hospital": env.str("HOSPITAL", ""),
    }
    try:
        env.seal()
    except EnvValidationError as error:
        faults += [Fault(name, " ".join(map(str, messages))) for name, messages in _messages(error)]
    else:
        _check_times(values, faults)
    return values


def _env_secret(env: FileAwareEnv, name: str, faults: list[Fault]) -> Secret | None:
    try:
        text = env.str(name, "")
    except ValueError:
        faults.append(Fault(f"{PREFIX}{name}_FILE", "is not a readable file; name one that holds the value"))
        return None
    return Secret(text) if text else None


def _public_url(said: str, faults: list[Fault]) -> str:
    parts = urlsplit(said.rstrip("/"))
    if said and (parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != said.rstrip("/") or "@" in said):
        faults.append(Fault(f"{PREFIX}PUBLIC_URL", 'must be an address without a path, like "https://bridge.clinic.example"'))
    return said.rstrip("/")


def _networks(said: list[str], faults: list[Fault]) -> tuple[str, ...]:
    wanted = tuple(one.strip() for one in said)
    for one in wanted:
        try:
            ip_network(one)
        except ValueError:
            faults.append(Fault(f"{PREFIX}OUTSIDE_NETWORKS", "must be networks separated by commas, like 10.1.2.0/24"))
    return wanted


def _file(said: str, name: str, faults: list[Fault]) -> Path | None:
    if said and not Path(said).is_file():
        faults.append(Fault(name, "is not a readable file"))
    return Path(said) if said else None


def _messages(error: EnvValidationError) -> list[tuple[str, list[str]]]:
    return sorted(dict(error.error_messages).items())  # type: ignore[arg-type]  # seal() always gives name: messages


def _check_times(values: Mapping[str, Any], faults: list[Fault]) -> None:
    if values["deadline_seconds"] >= values["lease_seconds"]:
        faults.append(Fault(f"{PREFIX}DEADLINE_SECONDS", "must be shorter than LEASE_SECONDS, or a lane could be lost during a call"))


def _between(low: float, high: float) -> Any:
    return validate.Range(low, high)


def _config(path: Path, faults: list[Fault]) -> tuple[dict[str, Site], dict[str, Hospital]]:
    try:
        document = tomllib.loads(path.read_text())
    except OSError:
        faults.append(Fault(f"{PREFIX}CONFIG", "is not a readable file; name the TOML file of sites and hospitals"))
        return {}, {}
    except tomllib.TOMLDecodeError as error:
        faults.append(Fault(f"{PREFIX}CONFIG", f"is not TOML: {error}"))
        return {}, {}
    _refuse_unknown(document, known={"sites", "hospitals"}, path="", faults=faults)
    tables = {part: _tables(document.get(part, {}), path=part, faults=faults) for part in ("sites", "hospitals")}
    hospitals = {name: _hospital(name, table, folder=path.parent, faults=faults) for name, table in tables["hospitals"].items()}
    sites = {name: _site(name, table, folder=path.parent, hospitals=hospitals, faults=faults) for name, table in tables["sites"].items()}
    return sites, hospitals


def _site(name: str, table: dict[str, Any], *, folder: Path, hospitals: Mapping[str, Hospital], faults: list[Fault]) -> Site:
    path = f"sites.{name}"
    _refuse_unknown(table, known={"zone", "values", "mappings", "hospitals"}, path=path, faults=faults)
    mappings = _text(table, "mappings", path=path, faults=faults)
    wanted = tuple(table.get("hospitals", ()))
    for unknown in sorted(set(wanted) - hospitals.keys()):
        faults.append(Fault(f"{path}.hospitals", f"names {unknown!r}, which no [hospitals.…] table describes"))
    if mappings and not (folder / mappings).is_dir():
        faults.append(Fault(f"{path}.mappings", "is not a folder; name one that holds templates/ or codes/"))
    values = {**DEFAULT_VALUES, **_tables(table, path=path, faults=faults, only="values").get("values", {})}
    for key in (key for key, value in values.items() if not isinstance(value, str)):
        faults.append(Fault(f"{path}.values.{key}", "must be a text"))
    zone = _zone(_text(table, "zone", path=path, faults=faults), path=f"{path}.zone", faults=faults)
    return Site(name, zone=zone, values=MappingProxyType(values), mappings=folder / mappings if mappings else None, hospitals=wanted)


def _hospital(name: str, table: dict[str, Any], *, folder: Path, faults: list[Fault]) -> Hospital:
    path = f"hospitals.{name}"
    sign_in = table.get("sign_in", "none")
    if sign_in not in SIGN_INS:
        faults.append(Fault(f"{path}.sign_in", f"is none of {', '.join(SIGN_INS)}"))
    parts = SIGN_INS.get(sign_in, ())
    base_url = _text(table, "base_url", path=path, faults=faults)
    _check_address(base_url, path=f"{path}.base_url", faults=faults)
    parts += tuple(part for part in MAY_SAY.get(sign_in, ()) if part in table or f"{part}_file" in table)
    secrets = {part: _secret(table, part, path=path, folder=folder, faults=faults) for part in parts}
    known = {"base_url", "sign_in", "rules"} | {spelling for part in parts for spelling in (part, f"{part}_file")}
    _refuse_unknown(table, known=known, path=path, faults=faults)
    rules = _tables(table, path=path, faults=faults, only="rules").get("rules", {})
    _refuse_unknown(rules, known=RULES, path=f"{path}.rules", faults=faults)
    if rules.get("channel", "message") != "message":
        faults.append(Fault(f"{path}.rules.channel", 'is "message", or left out: then the hospital is sent resources'))
    return Hospital(name, base_url, sign_in=sign_in, secrets=MappingProxyType(secrets), rules=rules)


def _check_keys(hospitals: Mapping[str, Hospital], folder: Path | None, faults: list[Fault]) -> None:
    for name, hospital in hospitals.items():
        if hospital.sign_in == "smart" and folder is None and "key" not in hospital.secrets:
            faults.append(Fault(f"hospitals.{name}.key", f"is missing; set key_file to a private JWK, or {PREFIX}KEYS to our keys' folder"))


def _secret(table: dict[str, Any], part: str, *, path: str, folder: Path, faults: list[Fault]) -> Secret:
    if file := table.get(f"{part}_file"):
        try:
            return Secret((folder / file).read_text().strip())
        except (OSError, TypeError):
            faults.append(Fault(f"{path}.{part}_file", "is not a readable file"))
    elif text := _text(table, part, path=path, faults=faults):
        return Secret(text)
    else:
        faults.append(Fault(f"{path}.{part}", f"is missing; set it, or {part}_file to a file that holds it"))
    return Secret("")


def _zone(name: str, *, path: str, faults: list[Fault]) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        faults.append(Fault(path, 'is no IANA time zone; write one like "America/New_York"'))
        return None


def _check_address(url: str, *, path: str, faults: list[Fault]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        faults.append(Fault(path, 'must be a FHIR base address like "https://fhir.hospital.example/r4": no user, query or fragment'))


def _tables(value: Any, *, path: str, faults: list[Fault], only: str = "") -> dict[str, dict[str, Any]]:
    tables = {name: table for name, table in value.items() if not only or name == only} if isinstance(value, dict) else {}
    if wrong := [name for name, table in tables.items() if not isinstance(table, dict)]:
        faults += [Fault(f"{path}.{name}", "must be a table") for name in wrong]
    return {name: table for name, table in tables.items() if name not in wrong}


def _text(table: dict[str, Any], key: str, *, path: str, faults: list[Fault]) -> str:
    value = table.get(key, "")
    if isinstance(value, str):
        return value
    faults.append(Fault(f"{path}.{key}", "must be a text"))
    return ""


def _refuse_unknown(table: dict[str, Any], *, known: set[str], path: str, faults: list[Fault]) -> None:
    for key in sorted(table.keys() - known):
        faults.append(Fault(f"{path}.{key}".lstrip("."), f"is no setting; known here: {', '.join(sorted(known))}"))


def _complete(sites: dict[str, Site], hospitals: Mapping[str, Hospital]) -> Mapping[str, Site]:
    """A default site when none is described; a site that names no hospital sends to all of them."""
    sites = sites or {DEFAULT_SITE: Site(DEFAULT_SITE)}
    return MappingProxyType({name: replace(site, hospitals=site.hospitals or tuple(hospitals)) for name, site in sites.items()})
