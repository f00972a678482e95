"""The docstrings below the fields of sections: the descriptions of the JSON Schema.

They are read from the source when the schema is printed. pydantic would read them each time the classes are imported
(`use_attribute_docstrings`), a quarter of the time of `mirrord validate`.
"""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from textwrap import dedent

from mirrord.manifest.schema.section import Section


def descriptions(section: type[Section]) -> dict[str, str]:
    """The descriptions of the fields, also of inherited ones, by the names of the fields; each is one line."""
    classes = (one for one in reversed(section.__mro__) if issubclass(one, Section))
    return {name: text for one in classes for name, text in _documented(one)}


def _documented(section: type[Section]) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(dedent(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    for statement, below in pairwise(definition.body):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
