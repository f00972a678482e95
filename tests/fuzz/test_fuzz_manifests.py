"""Manifests of any bytes: a manifest or ManifestError with positions, in bounded time and memory."""

from hypothesis import strategies as st

from mirrord.errors import ManifestError
from mirrord.manifest.manifest import Manifest, join
from mirrord.planning.items.expand import expand
from mirrord.planning.timing.schedule import cron_after
from mirrord.units import format_duration, format_size, parse_duration, parse_rate, parse_size
from tests.support.fuzzing import corpus, explained, fuzz, mutated

ENVIRON = {"TOKEN": "token", "EMPTY": "", "NUMBER": "7"}


def _manifest(content: bytes) -> None:
    try:
        manifest = Manifest.parse("fuzz.yaml", content, ENVIRON)
    except ManifestError as error:
        _positioned(error)
        return
    expand(join([manifest], environ=ENVIRON))


def _positioned(error: ManifestError) -> None:
    assert error.problems
    for one in error.problems:
        assert one.file
        assert one.line >= 1, one
        assert one.column >= 1, one
        assert one.message
        str(one).encode()


def test_manifests() -> None:
    kept = corpus("manifests")
    fuzz(mutated(kept), _manifest, kept=kept, target="manifests")


_NUMBER = st.one_of(
    st.sampled_from(["0", "1", "9" * 18, "9" * 400, "9" * 5000, "1.5", "0." + "0" * 400 + "1", "²", "١"])
)
_UNIT = st.sampled_from(["", "B", "KiB", "TB", "s", "ms", "w", "d", "/s", "MiB/s", " ", "\n", "1h"])
_QUANTITY = st.one_of(st.text(max_size=20), st.builds("".join, st.lists(st.one_of(_NUMBER, _UNIT), max_size=5)))


def _quantity(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_rate):
        try:
            found = parse(text)
        except ValueError as error:
            explained(error, "write a")
            continue
        assert found >= 0
        format_size(found)
        format_duration(found)


def test_sizes_and_durations() -> None:
    fuzz(_QUANTITY, _quantity, examples=200)


_FIELD = st.one_of(
    st.sampled_from(
        ["*", "0", "59", "60", "*/5", "*/0", "1-5", "5-1", "1,2", "L", "MON", "0-59/7", "31", "2#5", "SAT#9", "-1"]
    ),
    st.text(max_size=6),
)
_CRON = st.one_of(st.builds(" ".join, st.lists(_FIELD, min_size=4, max_size=7)), st.text(max_size=30))
_ZONE = st.one_of(
    st.sampled_from(
        [
            None,
            "UTC",
            "Europe/Berlin",
            "Europe",
            "../etc/passwd",
            "/etc/localtime",
            "",
            "posixrules",
            "America/St_Johns",
        ]
    ),
    st.text(max_size=300),
)


def _cron(value: tuple[str, str | None, float]) -> None:
    line, zone, after = value
    try:
        assert cron_after(line, zone, after) > after
    except ValueError as error:
        explained(error)


def test_cron_lines_and_time_zones() -> None:
    fuzz(st.tuples(_CRON, _ZONE, st.floats(0, 4e9)), _cron)
