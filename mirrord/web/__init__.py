"""The HTTP server: status page, API, metrics and health."""
