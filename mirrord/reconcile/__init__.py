"""Making observed equal to desired, one item at a time, and recording what came of it."""
