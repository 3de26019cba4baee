"""Our keys: published before they sign and for a while after, kept in files only we can read."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fhir_bridge.errors import Refused
from fhir_bridge.hospital.backend_services import signing_key
from fhir_bridge.sync import keys
from fhir_bridge.sync.keys import Folder, Key

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def made(kid: str, *, at: datetime = NOON, lead: timedelta = timedelta(0)) -> Key:
    return keys.new(kid, algorithm="ES384", now=at, signs_from=at + lead)


def kids(found: list[Key]) -> list[str]:
    return [key.kid for key in found]


def signs(found: list[Key], at: datetime) -> str | None:
    key = keys.signing(found, at)
    return key.kid if key else None


def test_a_new_key_is_published_before_it_signs_and_the_old_one_for_as_long_after():
    both = keys.rotated([made("old", at=NOON - HOUR)], made("new", lead=24 * HOUR))
    for hours, published, signer in ((0, ["new", "old"], "old"), (23, ["new", "old"], "old"), (24, ["new", "old"], "new")):
        assert (kids(keys.published(both, NOON + hours * HOUR)), signs(both, NOON + hours * HOUR)) == (published, signer)
    assert kids(keys.published(both, NOON + 48 * HOUR)) == ["new"]


def test_a_key_that_is_no_longer_secret_is_gone_at_once():
    both = keys.rotated([made("stolen", at=NOON - HOUR)], made("new"))
    assert (kids(keys.published(both, NOON)), signs(both, NOON)) == (["new"], "new")


def test_a_second_rotation_does_not_keep_the_first_key_longer():
    first = keys.rotated([made("a", at=NOON - HOUR)], made("b", lead=HOUR))
    second = keys.rotated(first, made("c", at=NOON + HOUR, lead=HOUR))
    assert [key.until for key in second] == [NOON + 2 * HOUR, NOON + 3 * HOUR, None]


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_what_is_published_has_no_private_part_and_says_what_it_is_for(tmp_path: Path, algorithm: keys.Algorithm):
    folder = Folder(tmp_path / "keys")
    folder.keep([keys.new("k1", algorithm=algorithm, now=NOON, signs_from=NOON)], NOON)
    (published,) = folder.jwks(NOON)["keys"]
    assert not {"d", "p", "q", "dp", "dq", "qi"} & published.keys()
    assert (published["kid"], published["alg"], published["use"]) == ("k1", algorithm, "sig")
    assert signing_key(folder.signing(NOON))[1] == algorithm


def test_files_and_folder_are_ours_alone(tmp_path: Path):
    folder = Folder(tmp_path / "keys")
    folder.keep([made("k1")], NOON)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.path.iterdir()] == [0o600]


def test_a_file_others_can_read_is_refused(tmp_path: Path):
    folder = Folder(tmp_path)
    folder.keep([made("k1")], NOON)
    (tmp_path / "k1.json").chmod(0o640)
    with pytest.raises(Refused, match="0600"):
        folder.load()


@pytest.mark.parametrize("text", ["", "{}", '{"key": {"kid": 1}, "made_at": "noon"}', "[]"])
def test_a_file_that_is_no_key_is_refused_by_name_and_its_content_is_not_told(tmp_path: Path, text: str):
    (tmp_path / "x.json").write_text(text)
    (tmp_path / "x.json").chmod(0o600)
    with pytest.raises(Refused, match=r"x\.json: is no key of ours"):
        Folder(tmp_path).load()


def test_what_is_no_longer_published_is_destroyed(tmp_path: Path):
    folder = Folder(tmp_path)
    folder.keep([made("old", at=NOON - HOUR)], NOON)
    folder.keep(keys.rotated(folder.load(), made("new")), NOON)
    assert [file.name for file in tmp_path.iterdir()] == ["new.json"]


def test_a_key_never_shows_its_secret_in_words(tmp_path: Path):
    key = made("k1")
    assert key.jwk["d"] not in repr(key)


def test_without_a_key_nothing_signs_and_the_reason_names_the_command(tmp_path: Path):
    assert Folder(tmp_path / "none").jwks(NOON) == {"keys": []}
    with pytest.raises(Refused, match="keys generate"):
        Folder(tmp_path / "none").signing(NOON)
