"""The embedded store: one SeaweedFS process with generated credentials, from start to stop."""
