"""The version of mirrord. Packaging, `--version` and the User-Agent read it here."""

__version__ = "0.1.0"
