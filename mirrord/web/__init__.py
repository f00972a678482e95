"""What mirrord serves over HTTP: status page, API, metrics and health."""
