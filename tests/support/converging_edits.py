"""The edits and faults of the property test, as hypothesis strategies. Each edit calls a method of the machine."""

from typing import Any

from hypothesis import strategies as st

from tests.support.converging import SOURCES, Fault
from tests.support.converging_manifests import FILES, LIST

KEYS = [f"m/k{number}" for number in range(3)]
ROWS = [f"r{number}" for number in range(3)]
MORE_ROWS = [f"r{number}" for number in range(3, 12)]
"""With these, more than ten objects may leave at once."""
LIST_KEYS = [f"l/{row}" for row in (*ROWS, *MORE_ROWS)]
NAMES = [f"f{number}" for number in range(3)]
URLS = [f"http://h{number % 2}/u{number}" for number in range(4)]
STORED = f"s3://{SOURCES}/u4"
CONTENTS = [b"", b"one", b"two", b"a longer text of more than sixteen bytes", b"x" * (6 << 20)]


def _edit(method: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """A call of this method of `Convergence`."""
    return st.tuples(st.just(method), st.fixed_dictionaries(arguments))


EDITS = st.one_of(
    _edit(
        "add",
        key=st.sampled_from(KEYS),
        urls=st.lists(st.sampled_from(URLS), min_size=1, max_size=2, unique=True) | st.just([STORED]),
        file=st.sampled_from(FILES),
        prune=st.sampled_from([True, True, False]),
        overwrite=st.sampled_from(["always", "always", "owned", "never"]),
        drift=st.sampled_from(["repair", "repair", "report", "ignore"]),
    ),
    _edit("remove", key=st.sampled_from(KEYS)),
    _edit("replace_and_remove", key=st.sampled_from(KEYS), same=st.booleans()),
    _edit("move_to_another_key", keys=st.lists(st.sampled_from(KEYS), min_size=2, max_size=2, unique=True)),
    _edit("rename", key=st.sampled_from(KEYS), number=st.integers(0, 1)),
    _edit("move_to_another_file", key=st.sampled_from(KEYS), file=st.sampled_from(FILES)),
    _edit("change_options", key=st.sampled_from(KEYS), value=st.sampled_from([None, "no-store"])),
    _edit("suspend", key=st.sampled_from(KEYS), suspend=st.booleans()),
    _edit("change_prune", key=st.sampled_from(KEYS), prune=st.booleans()),
    _edit(
        "change_list",
        rows=st.none() | st.sets(st.sampled_from(ROWS)),
        more=st.booleans(),
        prune=st.sampled_from([True, True, False]),
        local=st.booleans(),
        bad=st.sampled_from([False, False, True]),
    ),
    _edit("cut_list"),
    _edit("break_files", broken=st.sets(st.sampled_from(FILES))),
    _edit("change_folder", delete=st.sampled_from([None, "keep", "mirror", "mirror"])),
    _edit("change_file", name=st.sampled_from(NAMES), content=st.none() | st.sampled_from(CONTENTS)),
    _edit("rename_file", names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=2, unique=True)),
    _edit("change_source", url=st.sampled_from([*URLS, STORED]), content=st.none() | st.sampled_from(CONTENTS)),
    _edit("source_fails", url=st.sampled_from([*URLS, LIST])),
    _edit("source_breaks_off", url=st.sampled_from(URLS)),
    _edit("sources_are_well"),
    _edit(
        "another_program_writes",
        key=st.sampled_from([*KEYS, "l/r0", "f/f0"]),
        content=st.none() | st.sampled_from(CONTENTS[:3]),
    ),
)
FAULTS = st.builds(
    Fault,
    st.sampled_from(["503", "403", "lost", "lost", "kill before", "kill after", "theirs", "theirs", "edit"]),
    st.integers(0, 12),
)
