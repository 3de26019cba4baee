"""What a command works with: a bridge for the site it names, on a database that fits this version."""

from fhir_bridge import bootstrap
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.settings import Settings
from fhir_bridge.sync.bridge import Bridge


def bridge(site: str | None = None) -> Bridge:
    """The application; raises `Refused` for a `site` that is not set, and with what keeps the database from being used."""
    settings = Settings.from_environ()
    if site is not None and site not in settings.sites:
        raise Refused([Fault("--site", f"no site {site!r} is set; known: {', '.join(settings.sites)}")])
    bootstrap.prepare(settings)
    made = bootstrap.bridge(settings)
    if faults := made.store.check():
        raise Refused(faults)
    return made
