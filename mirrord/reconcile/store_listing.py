"""One listing of a prefix, compared with the journal page by page: what it shows of each item.

Owns the comparison: an item is as recorded if key, size and ETag equal its record. Keys may come in any order, because
the result is kept by item ids: 8 bytes for each listed object. `store_listings` decides when a listing is made.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

from mirrord.model import ItemIds, ListedObject, RecordedETag
from mirrord.planning.decisions.listed import Verdict
from mirrord.planning.items.prefixes import KeyPrefix

MOST_SHOWN = 50_000
"""ETags of listings that are kept to be recorded: about 10 MB."""
_SHARD_BITS = 8
"""The first bits of an id, which is a part of a SHA-256, select one of 256 arrays of about the same length."""


class StoreListing:
    """What one listing of `prefix`, begun at `began` (monotonic) and `since` (epoch), shows.

    `complete`: it was read to its end. While it is read, pages are added; then `verdict` is asked.
    """

    def __init__(self, prefix: KeyPrefix, began: float, since: float) -> None:
        self.prefix, self.began, self.since = prefix, began, since
        self.complete = False
        self.pages = 0
        self.objects = 0
        self._ids = ItemIds(prefix.endpoint, prefix.bucket)
        self._recorded, self._other = _Ids(), _Ids()
        self._shown: dict[str, str] = {}
        self._first_shown, self._varied = "", False

    def item_ids(self, page: Sequence[ListedObject]) -> list[str]:
        """The ids of the items whose objects these are: see `Destination.item_id`."""
        return [self._ids.of(one.key) for one in page]

    def add(self, page: Sequence[ListedObject], item_ids: Sequence[str], records: Mapping[str, RecordedETag]) -> None:
        """Compare one page with the records of its items."""
        self.pages += 1
        self.objects += len(page)
        for one, item_id in zip(page, item_ids, strict=True):
            record = records.get(item_id)
            same = is_as_recorded(one, record)
            (self._recorded if same else self._other).add(int(item_id, 16))
            if not same and record is not None and record.size == one.size and len(self._shown) < MOST_SHOWN:
                self._show(item_id, one.etag)

    def verdict(self, item_id: str) -> Verdict:
        """What the listing shows of the item's object. If it was listed twice, with other values, it is OTHER."""
        number = int(item_id, 16)
        if number in self._other:
            return Verdict.OTHER
        if number in self._recorded:
            return Verdict.AS_RECORDED
        return Verdict.ABSENT if self.complete else Verdict.UNKNOWN

    def shown_etag(self, item_id: str) -> str | None:
        """The ETag of an object of the recorded size that is not the recorded one. Some stores show two ETags of an
        object. None also if all of these are equal: such an ETag identifies nothing."""
        return self._shown.get(item_id) if self._varied else None

    def _show(self, item_id: str, etag: str) -> None:
        if bare := etag.strip('"'):
            self._shown[item_id] = etag
            self._varied = self._varied or self._first_shown not in ("", bare)
            self._first_shown = bare


def is_as_recorded(listed: ListedObject, record: RecordedETag | None) -> bool:
    """Whether a listed object is the recorded one. Some stores write the ETags of listings without quotes."""
    if record is None or record.size != listed.size:
        return False
    etag = listed.etag.strip('"')
    return bool(etag) and etag in (_bare(record.etag), _bare(record.listed_etag))


def _bare(etag: str | None) -> str:
    return "" if etag is None else etag.strip('"')


class _Ids:
    """A set of numbers of 64 bits, in 8 bytes each. Sorted when it is first asked after an addition."""

    def __init__(self) -> None:
        self._shards: dict[int, array[int]] = defaultdict(lambda: array("Q"))
        self._unsorted = set[int]()

    def add(self, number: int) -> None:
        shard = number >> (64 - _SHARD_BITS)
        self._shards[shard].append(number)
        self._unsorted.add(shard)

    def __contains__(self, number: int) -> bool:
        index = number >> (64 - _SHARD_BITS)
        if index not in self._shards:
            return False
        if index in self._unsorted:
            self._unsorted.discard(index)
            self._shards[index] = array("Q", sorted(self._shards[index]))
        shard = self._shards[index]
        at = bisect_left(shard, number)
        return at < len(shard) and shard[at] == number
