"""What mirrord serves over HTTP: status page, API, metrics and health; and the sample origin of the demo."""
