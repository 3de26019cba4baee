"""What a hospital may read and search at its door: its own referrals, as the statement says, and nothing else."""

import re
from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, Response, g, request

from fhir_bridge.errors import Refused
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import held
from fhir_bridge.sync.referrals import query as refer_query
from fhir_bridge.sync.referrals import search as refer_search
from fhir_bridge.sync.referrals.answers import Answer
from fhir_bridge.web import fhir_bundles
from fhir_bridge.web.fhir_reply import base, refusal, reply
from fhir_bridge.web.fhir_statement import INTERACTIONS
from fhir_bridge.web.problems import Problem

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def register(routes: Blueprint, bridge: Bridge) -> None:
    """The routes of every interaction that `INTERACTIONS` names but create."""
    for kind, can in INTERACTIONS.items():
        for name, (place, make) in _READING.items():
            if name in can:
                routes.add_url_rule(f"/{kind}{place}", f"{name}_{kind}", make(bridge, kind), methods=["GET"])
        if "search-type" in can:
            routes.add_url_rule(f"/{kind}", f"search_{kind}", _search(bridge, kind), methods=["GET"])
            routes.add_url_rule(f"/{kind}/_search", f"post_search_{kind}", _search(bridge, kind), methods=["POST"])


def _read(bridge: Bridge, kind: str) -> Callable[[str], Response]:
    def read(id: str) -> Response:
        return _shown(held.read(bridge, g.client, kind, id) if _ID.fullmatch(id) else None, kind)

    return read


def _vread(bridge: Bridge, kind: str) -> Callable[[str, str], Response]:
    def vread(id: str, version: str) -> Response:
        known = _ID.fullmatch(id) and _VERSION.fullmatch(version)
        return _shown(held.version(bridge, g.client, kind, id, int(version)) if known else None, kind)

    return vread


def _history(bridge: Bridge, kind: str) -> Callable[[str], Response]:
    def history(id: str) -> Response:
        found = held.history(bridge, g.client, kind, id) if _ID.fullmatch(id) else []
        if not found:
            raise _unknown(kind)
        return reply(Answer(HTTPStatus.OK, fhir_bundles.history(found, kind, base())))

    return history


_READING: dict[str, tuple[str, Callable[[Bridge, str], Callable[..., Response]]]] = {
    "read": ("/<string:id>", _read),
    "vread": ("/<string:id>/_history/<string:version>", _vread),
    "history-instance": ("/<string:id>/_history", _history),
}


def _search(bridge: Bridge, kind: str) -> Callable[[], Response]:
    def search() -> Response:
        strict = "handling=strict" in request.headers.get("Prefer", "")
        try:
            if cursor := request.args.get("_cursor"):
                query = refer_search.continued(bridge, g.client, kind, cursor)
            else:
                pairs = [*request.args.items(multi=True), *request.form.items(multi=True)]
                query = refer_query.parsed(bridge.sites[g.client.tenant], kind, pairs, strict=strict)
        except Refused as refused:
            return refusal(refused, HTTPStatus.BAD_REQUEST, "invalid")
        return reply(Answer(HTTPStatus.OK, fhir_bundles.searchset(refer_search.run(bridge, g.client, query), base())))

    return search


def _shown(found: Answer | None, kind: str) -> Response:
    if found is None:
        raise _unknown(kind)
    if found.status != HTTPStatus.OK:
        return reply(found)
    tag = found.headers["ETag"].removeprefix("W/").strip('"')
    if request.if_none_match.contains_weak(tag):
        found = Answer(HTTPStatus.NOT_MODIFIED, None, found.headers)
    return reply(found)


def _unknown(kind: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"No {kind} of a referral of yours has this id.")
