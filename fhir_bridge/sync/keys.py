"""Our own signing keys (SMART Backend Services): files in one folder, published before they sign and for a while after.

Hospitals read our public keys at `/.well-known/jwks.json` and may keep what they read for a day (SMART App Launch 2.2, Client
Authentication: Asymmetric). So a new key is published `LEAD` before it signs, and the old one stays published `LEAD` longer.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from joserfc.jwk import ECKey, RSAKey, import_key

from fhir_bridge.errors import Fault, Refused

Algorithm = Literal["ES384", "RS384"]
LEAD = timedelta(hours=24)
RSA_BITS = 3072
_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Key:
    """One key pair: it is published from when it is made until `until`, and signs from `signs_from` on until a newer one does."""

    kid: str
    made_at: datetime
    signs_from: datetime
    jwk: dict[str, Any] = field(repr=False)
    until: datetime | None = None

    @property
    def algorithm(self) -> str:
        """RS384 for an RSA key, ES384 for one on P-384."""
        return "RS384" if self.jwk["kty"] == "RSA" else "ES384"

    def public(self) -> dict[str, Any]:
        """The JWK as it is published, without its private parts."""
        return {**import_key(self.jwk).as_dict(private=False), "use": "sig", "alg": self.algorithm, "key_ops": ["verify"]}


def new(kid: str, *, algorithm: Algorithm, now: datetime, signs_from: datetime) -> Key:
    """A fresh key pair called `kid`."""
    made = RSAKey.generate_key(RSA_BITS, {"kid": kid}) if algorithm == "RS384" else ECKey.generate_key("P-384", {"kid": kid})
    return Key(kid, now, signs_from, dict(made.as_dict(private=True)))


def published(keys: Iterable[Key], now: datetime) -> list[Key]:
    """The keys the JWKS holds now, the newest first."""
    return sorted((key for key in keys if key.until is None or now < key.until), key=lambda key: (key.signs_from, key.kid), reverse=True)


def signing(keys: Iterable[Key], now: datetime) -> Key | None:
    """The key that signs now: the newest whose time has come."""
    return next((key for key in published(keys, now) if key.signs_from <= now), None)


def rotated(keys: Iterable[Key], fresh: Key) -> list[Key]:
    """`keys` with `fresh`: the others end when those who read the JWKS before `fresh` signed have read it again."""
    overlap = fresh.signs_from + (fresh.signs_from - fresh.made_at)
    return [*(replace(key, until=min(key.until or overlap, overlap)) for key in keys), fresh]


class Folder:
    """The keys as files `<kid>.json` in a folder only we can read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> list[Key]:
        """Every key of the folder; raises `Refused` for a file that is no key or that others can read."""
        return [_read(file) for file in sorted(self.path.glob("*.json"))] if self.path.is_dir() else []

    def keep(self, keys: Iterable[Key], now: datetime) -> None:
        """Write `keys`, each file whole or not at all; what is no longer published is destroyed."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for key in keys:
            file = self.path / f"{key.kid}.json"
            if key.until is not None and key.until <= now:
                file.unlink(missing_ok=True)
            else:
                _write(file, key)

    def jwks(self, now: datetime) -> dict[str, Any]:
        """The public keys, as `/.well-known/jwks.json` shows them."""
        return {"keys": [key.public() for key in published(self.load(), now)]}

    def signing(self, now: datetime) -> dict[str, Any]:
        """The private JWK that signs now; raises `Refused` when there is none."""
        if (key := signing(self.load(), now)) is None:
            raise Refused([Fault("keys", "no key signs yet; make one with `fhir-bridge keys generate`")])
        return key.jwk


def _read(file: Path) -> Key:
    if file.stat().st_mode & 0o077:
        raise Refused([Fault(file.name, "may be read by others; set its mode to 0600 and rotate the key")])
    try:
        said = json.loads(file.read_text())
        times = {name: datetime.fromisoformat(said[name]) for name in ("made_at", "signs_from", "until") if said.get(name)}
        return Key(kid=said["key"]["kid"], jwk=said["key"], **times)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused([Fault(file.name, "is no key of ours; take it out of the keys folder")]) from None


def _write(file: Path, key: Key) -> None:
    times = {name: moment.isoformat() for name in ("made_at", "signs_from", "until") if (moment := getattr(key, name))}
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w") as opened:
        json.dump({**times, "key": key.jwk}, opened)
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(file)
