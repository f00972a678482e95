"""The answers of a store, and calls without an answer: results, refusals and transport errors as mirrord's own
types."""
