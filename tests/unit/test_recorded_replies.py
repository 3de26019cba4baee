"""Our client, given what a real HAPI server answered."""

from collections.abc import Iterator

import pytest
import recordings
import responses

from fhir_bridge.hospital.client import Client
from fhir_bridge.hospital.exchange import Reply

STATUS = {
    "transaction-created": 200,
    "read": 200,
    "read-missing": 404,
    "read-deleted": 410,
    "create-if-none-created": 201,
    "create-if-none-found": 200,
    "create-if-none-several": 412,
    "update-stale": 409,
    "create-missing-target": 400,
    "bad-code": 400,
    "page-gone": 410,
    "validate-errors": 200,
}


@pytest.fixture
def hospital() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


def replay(hospital: responses.RequestsMock, name: str) -> Reply:
    hospital.add(recordings.recorded(name))
    reply = Client(recordings.BASE_URL).send(recordings.call_of(name))
    assert isinstance(reply, Reply)
    return reply


@pytest.mark.parametrize("name", recordings.names())
def test_the_client_reads_every_reply_of_hapi(hospital: responses.RequestsMock, name: str):
    reply = replay(hospital, name)
    assert reply.status == recordings.load(name)["reply"]["status"]
    assert reply.resource_type


@pytest.mark.parametrize(("name", "status"), STATUS.items())
def test_hapi_answers_these_with_this_status(hospital: responses.RequestsMock, name: str, status: int):
    assert replay(hospital, name).status == status


def test_hapi_drops_a_doubled_entry_without_a_word(hospital: responses.RequestsMock):
    asked = recordings.call_of("transaction-doubled-entry").body["entry"]
    answered = replay(hospital, "transaction-doubled-entry").body["entry"]
    assert (len(asked), len(answered)) == (2, 1)


def test_a_created_resource_says_where_it_is_and_which_version(hospital: responses.RequestsMock):
    reply = replay(hospital, "create-if-none-created")
    assert reply.header("ETag") == 'W/"1"'
    assert Client(recordings.BASE_URL).path_of(reply.header("Location")) == "Basic/9002/_history/1"


def test_the_next_link_leads_to_the_last_page(hospital: responses.RequestsMock):
    client = Client(recordings.BASE_URL)
    links = replay(hospital, "search-page").body["link"]
    following = client.path_of(next(link["url"] for link in links if link["relation"] == "next"))
    assert following == recordings.call_of("search-last-page").path
    assert "next" not in {link["relation"] for link in replay(hospital, "search-last-page").body["link"]}


def test_a_deletion_in_the_history_has_no_resource_and_no_time(hospital: responses.RequestsMock):
    newest = replay(hospital, "history-with-delete").body["entry"][0]
    assert newest["request"]["method"] == "DELETE"
    assert set(newest) == {"fullUrl", "request", "response"}
    assert set(newest["response"]) == {"status", "etag"}
