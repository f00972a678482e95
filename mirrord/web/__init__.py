"""What mirrord serves over HTTP: today the sample origin of the demo."""
