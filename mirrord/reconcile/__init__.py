"""Makes the object of one item equal to its source, and records the result."""
