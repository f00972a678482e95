"""Subscribers of events: logs, metrics, progress bars, terminal lines. One file each; the core imports none of them."""
