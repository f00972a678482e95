"""The types of an origin, and their text form in journals, logs and JSON."""

import pytest

from mirrord.model import Destination, File, Item, Origin, Url, file_path, fingerprint, origin_at


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        (Url("https://u:p@h/x?sig=1#f"), "https://u:p@h/x?sig=1#f"),
        (File(None, "/srv/a b%20c?d#e"), "file:///srv/a b%20c?d#e"),
        (File("/srv/in", "sub/a"), "file:///srv/in/sub/a"),
        (File("/srv/in/", "a"), "file:///srv/in/a"),
        (File("/", "a"), "file:///a"),
        (File("/srv/in", "\udcff"), "file:///srv/in/\udcff"),
    ],
)
def test_an_origin_is_recorded_as_the_text_of_a_manifest(origin: Origin, address: str) -> None:
    assert origin.address == address
    assert origin_at(address).address == address


def test_an_address_names_a_url_or_a_file() -> None:
    assert origin_at("https://h/x") == Url("https://h/x")
    assert origin_at("file:///srv/a") == File(None, "/srv/a")
    assert (file_path("file:///srv/a"), file_path("https://h/x")) == ("/srv/a", None)


def test_the_type_of_an_origin_changes_no_identity() -> None:
    """Journals written before hold this id and this fingerprint: another one would send every object again."""
    at = Destination("default", "http://store", "bucket", "in/a")
    item = Item(id=at.item_id, entry="in", origin=File("/srv/in", "a"), destination=at)
    assert (item.id, item.shown_source) == ("af4b13b3620eede9", "file:///srv/in/a")
    assert fingerprint(item.origin.address) == "62f677eee9d012f8"


def test_no_secret_of_a_url_is_in_a_repr() -> None:
    at = Destination("default", "http://store", "bucket", "k")
    item = Item(id=at.item_id, entry="e", origin=Url("https://u:hunter2@h/x?sig=hunter2"), destination=at)
    assert "hunter2" not in repr(item)
    assert item.shown_source == "https://h/x?…"


def test_only_what_a_folder_found_is_a_folder_s_file() -> None:
    at = Destination("default", "http://store", "bucket", "k")
    origins = (File("/srv/in", "a"), File(None, "/srv/in/a"), Url("https://h/a"))
    found = [Item(id=at.item_id, entry="e", origin=one, destination=at).folder_file for one in origins]
    assert found == [origins[0], None, None]
