"""The clinic's inbox: the referrals hospitals sent, page by page, and what the clinic decides about each."""

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Response, g, request
from flask_smorest import Blueprint

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import attached, inbox, orphans
from fhir_bridge.web import clinic_api, intake, referrals_docs
from fhir_bridge.web.problems import Problem

MOST, MOST_DAYS = 200, 3650


def blueprint(bridge: Bridge) -> Blueprint:
    """The routes of referrals; a clinic client's key opens them."""
    routes = Blueprint("referrals", __name__, url_prefix=f"{clinic_api.PREFIX}/referrals", description="What hospitals ask for.")
    routes.before_request(lambda: clinic_api.sign_in(bridge, "clinic"))

    @routes.get("")
    @routes.doc(**referrals_docs.LIST)
    def list_referrals() -> dict[str, Any]:
        limit = _number("limit", "50", 1, MOST)
        after = _seen(request.args["cursor"]) if "cursor" in request.args else None
        undecided, status = _undecided(request.args.get("match")), request.args.get("status")
        if _flag("orphan"):
            found = inbox.stuck(bridge, g.client.tenant, after=after, limit=limit + 1)
        else:
            found = inbox.listing(bridge, g.client.tenant, status=status, undecided=undecided, after=after, limit=limit + 1)
        return _page("referrals", found, limit, by="received_at")

    @routes.get("/orphans")
    @routes.doc(**referrals_docs.ORPHANS)
    def list_orphans() -> dict[str, Any]:
        limit, days = _number("limit", "50", 1, MOST), _number("days", "0", 0, MOST_DAYS) if "days" in request.args else None
        after = _seen(request.args["cursor"]) if "cursor" in request.args else None
        return _page("orphans", orphans.of_site(bridge, g.client.tenant, days=days, after=after, limit=limit + 1), limit, by="since")

    @routes.get("/<string:referral_id>")
    @routes.doc(**referrals_docs.GET)
    def get_referral(referral_id: str) -> dict[str, Any]:
        found = inbox.shown(bridge, g.client.tenant, referral_id) if clinic_api.may_be_id(referral_id) else None
        if found is None:
            raise _unknown()
        return found

    @routes.get("/<string:referral_id>/attachments/<string:attachment_id>")
    @routes.doc(**referrals_docs.ATTACHMENT)
    def get_attachment(referral_id: str, attachment_id: str) -> Response:
        may_be = clinic_api.may_be_id(referral_id) and clinic_api.may_be_id(attachment_id)
        found = attached.content(bridge, g.client.tenant, referral_id, attachment_id) if may_be else None
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, "No document of this number came here with a referral of yours; what is elsewhere stays there."
            )
        # a stranger's bytes: saved, and never shown as a page of ours
        return Response(found, content_type="application/octet-stream", headers={"Content-Disposition": "attachment"})

    routes.post("/<string:referral_id>/match", endpoint="match")(routes.doc(**referrals_docs.MATCH)(_matcher(bridge)))
    for verb in inbox.DECISIONS:
        routes.post(f"/<string:referral_id>/{verb}", endpoint=verb)(routes.doc(**referrals_docs.decision(verb))(_decider(bridge, verb)))
    return routes


def _decider(bridge: Bridge, verb: str) -> Callable[[str], Response]:
    def decide(referral_id: str) -> Response:
        said = _said()
        return _answer(referral_id, lambda: inbox.decide(bridge, g.client, referral_id, verb, **said))

    return decide


def _matcher(bridge: Bridge) -> Callable[[str], Response]:
    def match(referral_id: str) -> Response:
        said = _body("patient", "new")
        if not isinstance(said.get("patient", ""), str) or not clinic_api.may_be_id(said.get("patient", "P")):
            raise Refused([Fault("patient", "must be the number of a patient")])
        if not isinstance(said.get("new", False), bool):
            raise Refused([Fault("new", "must be true or false")])
        return _answer(referral_id, lambda: inbox.match(bridge, g.client, referral_id, **said))

    return match


def _answer(referral_id: str, decide: Callable[[], dict[str, Any] | None]) -> Response:
    """What a decision came to: 202, 404 for no such referral, 409 when it is not its turn."""
    try:
        found = decide() if clinic_api.may_be_id(referral_id) else None
    except inbox.NotNow as not_now:
        raise Problem(HTTPStatus.CONFLICT, str(not_now)) from None
    if found is None:
        raise _unknown()
    return clinic_api.accepted(found)


def _body(*names: str) -> dict[str, Any]:
    """The fields of a decision; one that needs no words needs no body."""
    document = intake.read_object(request)[0] if request.get_data(cache=True) else {}
    if faults := [Fault(name[:40], "is no field of a decision") for name in document if name not in names]:
        raise Refused(faults)
    return document


def _said() -> dict[str, Any]:
    """The body's reason and sessions."""
    document, faults = _body("reason", "sessions"), []
    sessions = document.get("sessions", [])
    if not isinstance(document.get("reason", ""), str):
        faults.append(Fault("reason", "must be text"))
    if not isinstance(sessions, list) or not all(isinstance(one, str) for one in sessions):
        faults.append(Fault("sessions", "must be a list of session numbers"))
    if faults:
        raise Refused(faults)
    return document


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "No referral of yours has this id.")


def _undecided(said: str | None) -> bool:
    if said not in (None, "open"):
        raise Refused([Fault("match", "must be open: those for which a person must say whose patient it is")])
    return said == "open"


def _flag(name: str) -> bool:
    if (said := request.args.get(name, "false")) not in ("true", "false"):
        raise Refused([Fault(name, "must be true or false")])
    return said == "true"


def _number(name: str, default: str, least: int, most: int) -> int:
    said = request.args.get(name, default)
    if not (said.isascii() and said.isdigit() and len(said) < 5 and least <= int(said) <= most):
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name} must be a number from {least} to {most}.")
    return int(said)


def _page(name: str, found: list[dict[str, Any]], limit: int, *, by: str) -> dict[str, Any]:
    """At most `limit` of what was found, and where to go on: after the last one's time and id."""
    if len(found) <= limit:
        return {name: found}
    last = found[limit - 1]
    return {name: found[:limit], "next": base64.urlsafe_b64encode(f"{last[by]} {last['id']}".encode()).decode()}


def _seen(cursor: str) -> tuple[datetime, str]:
    try:
        at, _, id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        seen = datetime.fromisoformat(at)
    except (binascii.Error, ValueError):
        raise Problem(HTTPStatus.BAD_REQUEST, "The cursor is not one of ours; take `next` of a page.") from None
    if seen.tzinfo is None or not clinic_api.may_be_id(id):
        raise Problem(HTTPStatus.BAD_REQUEST, "The cursor is not one of ours; take `next` of a page.")
    return seen, id
