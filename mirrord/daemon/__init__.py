"""The running daemon: startup, main loop, shutdown; the manifests in force, and the state that page and API show."""
