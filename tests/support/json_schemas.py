"""The validator of JSON Schema documents, imported by the test that needs it: that takes a second of CPU.

With the packages that audit and bill of materials need, it also compiles grammars of addresses and dates.
"""

from typing import Any


def validator(schema: Any) -> Any:
    """A validator of the draft that mirrord's schemas declare."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)
