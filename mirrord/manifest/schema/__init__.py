"""What a manifest may say: sections and fields, their types and sentences, JSON Schema, NOT_YET, hints for names."""
