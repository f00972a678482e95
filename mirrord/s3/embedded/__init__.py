"""The embedded store: one SeaweedFS process with generated credentials, and its life."""
