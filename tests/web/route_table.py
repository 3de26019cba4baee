"""Every route of the bridge, one line each: who may come in, what a stranger to the tenant is told, and why.

`test_two_tenants.py` makes its matrix of the application's own list of routes and fails for a route that has no line here. To add one:
its key is "METHOD rule" as Flask writes it. `foreign` is what a client of the same kind hears that belongs to another tenant (or, at the
hospital's door, to another hospital of the same tenant): 404 for what has an id, `OWN` where it is answered of what is its own. `ids`
name the thing of the world (`test_two_tenants.world`) that goes into each place of the rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OWN = "its own"
BY_ID = "an id of another tenant's is one that does not exist"
OF_TENANT = "answers only of what the caller's tenant has"
INTO_TENANT = "what comes in is the caller's tenant's, whatever it says"


@dataclass(frozen=True)
class Route:
    """`door` is open, clinic or hospital; `scope` is what a hospital's token needs, like ServiceRequest.c.

    `body` is sent as JSON; words are the name of a thing of the world that is sent.
    """

    door: str
    why: str
    foreign: int | str = OWN
    scope: str = ""
    body: Any = None
    ids: Mapping[str, str] = field(default_factory=dict)


def _open(why: str, **more: Any) -> Route:
    return Route("open", why, **more)


def _clinic(why: str, **more: Any) -> Route:
    return Route("clinic", why, **more)


def _clinic_id(thing: str, place: str, body: Any = None) -> Route:
    return Route("clinic", BY_ID, 404, body=body, ids={place: thing})


def _decision(**body: Any) -> Route:
    return _clinic_id("referral", "referral_id", body)


def _hospital(scope: str, why: str, **more: Any) -> Route:
    return Route("hospital", why, scope=scope, **more)


def _hospital_id(kind: str, **more: str) -> Route:
    return Route("hospital", BY_ID, 404, f"{kind}.r", ids={"id": kind, **more})


ROUTES: Mapping[str, Route] = {
    "GET /healthz": _open("says that the process lives"),
    "GET /readyz": _open("says whether the database can be used"),
    "GET /openapi.json": _open("describes the API"),
    "GET /docs": _open("describes the API"),
    "GET /docs/": _open("describes the API"),
    "GET /docs/start.js": _open("describes the API"),
    "GET /docs/<path:name>": _open("describes the API", ids={"name": "page"}),
    "GET /.well-known/jwks.json": _open("our public keys"),
    "GET /fhir/metadata": _open("what the door can do (R4: open to all)"),
    "GET /fhir/.well-known/smart-configuration": _open("how to sign in (SMART: open to all)"),
    "POST /oauth/token": _open("where one signs in; refuses by itself (test_sign_in_negative.py)"),
    "POST /notifications/<string:token>": _open("its address cannot be guessed, and nothing is read of it", ids={"token": "token"}),
    "POST /api/v1/sessions": _clinic(INTO_TENANT, body={}),
    "GET /api/v1/sessions/<string:record_id>": _clinic_id("session", "record_id"),
    "POST /api/v1/appointments": _clinic(INTO_TENANT, body={}),
    "GET /api/v1/appointments/<string:record_id>": _clinic_id("appointment", "record_id"),
    "PATCH /api/v1/appointments/<string:record_id>": _clinic_id("appointment", "record_id", {"follow_up": {"minutes": 25}}),
    "GET /api/v1/changes": _clinic(OF_TENANT),
    "GET /api/v1/referrals": _clinic(OF_TENANT),
    "GET /api/v1/referrals/orphans": _clinic(OF_TENANT),
    "GET /api/v1/referrals/<string:referral_id>": _clinic_id("referral", "referral_id"),
    "GET /api/v1/referrals/<string:referral_id>/attachments/<string:attachment_id>": _clinic(
        BY_ID, foreign=404, ids={"referral_id": "referral", "attachment_id": "attachment"}
    ),
    "POST /api/v1/referrals/<string:referral_id>/accept": _decision(),
    "POST /api/v1/referrals/<string:referral_id>/decline": _decision(reason="Full."),
    "POST /api/v1/referrals/<string:referral_id>/schedule": _decision(),
    "POST /api/v1/referrals/<string:referral_id>/hold": _decision(reason="Waiting."),
    "POST /api/v1/referrals/<string:referral_id>/complete": _decision(),
    "POST /api/v1/referrals/<string:referral_id>/fail": _decision(reason="Left."),
    "POST /api/v1/referrals/<string:referral_id>/cancel": _decision(reason="Moved."),
    "POST /api/v1/referrals/<string:referral_id>/match": _clinic_id("referral", "referral_id", {"patient": "new"}),
    "POST /fhir": _hospital("ServiceRequest.c", INTO_TENANT, body={}),
    "POST /fhir/": _hospital("ServiceRequest.c", INTO_TENANT, body={}),
    "POST /fhir/$process-message": _hospital("ServiceRequest.c", INTO_TENANT, body={}),
    "POST /fhir/ServiceRequest": _hospital("ServiceRequest.c", INTO_TENANT, body={}),
    "POST /fhir/ServiceRequest/$referral-request": _hospital("ServiceRequest.c", INTO_TENANT, body={}),
    "POST /fhir/Task": _hospital("Task.c", INTO_TENANT, body={}),
    **{
        f"POST /fhir/{kind}/$validate": _hospital("ServiceRequest.c", "stores nothing and looks nothing up", body={})
        for kind in ("ServiceRequest", "Task", "Patient", "Bundle")
    },
    **{
        f"{line} /fhir/{kind}{place}": _hospital(f"{kind}.s", "finds only among the sender's own referrals")
        for kind in ("Patient", "ServiceRequest", "Task")
        for line, place in (("GET", ""), ("POST", "/_search"))
    },
    "GET /fhir/Patient/<string:id>": _hospital_id("Patient"),
    **{
        f"PUT /fhir/{kind}/<string:id>": Route("hospital", BY_ID, 404, f"{kind}.u", ids={"id": kind}, body=f"the {kind} as it is read")
        for kind in ("ServiceRequest", "Task")
    },
    **{
        f"GET /fhir/{kind}/<string:id>{place}": _hospital_id(kind, **more)
        for kind in ("ServiceRequest", "Task")
        for place, more in (("", {}), ("/_history", {}), ("/_history/<string:version>", {"version": "version"}))
    },
}
