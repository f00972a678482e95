"""What HEADs have shown of a store's answers to CompleteMultipartUpload: whether they name the ETag that HEAD shows.

Owns what was learned, in this process only. `rclone serve s3` answers with another ETag than its HEAD shows, and Ceph
RGW 16 with none; where such a thing was seen once, no answer is believed again.
"""

from mirrord.model import Destination


class Answers:
    """One for all uploads of a process. Buckets of one store may be encrypted or compressed, so each is known apart."""

    def __init__(self) -> None:
        self._agree: dict[tuple[str, str], bool] = {}

    def agree(self, at: Destination) -> bool:
        """Whether every HEAD after such an answer showed its ETag, and there was one."""
        return self._agree.get((at.endpoint, at.bucket), False)

    def learn(self, at: Destination, *, agrees: bool) -> None:
        place = at.endpoint, at.bucket
        self._agree[place] = agrees and self._agree.get(place, True)
