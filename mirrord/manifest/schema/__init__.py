"""The fields of a manifest: sections, types, descriptions, JSON Schema, NOT_YET, and suggestions for unknown names."""
