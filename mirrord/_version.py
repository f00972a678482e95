"""The version of mirrord, in one place: packaging, `--version` and the User-Agent read it here."""

__version__ = "0.1.0"
