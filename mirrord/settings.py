"""What a process is told from outside its manifests: the state directory, and the environment's answers.

Owns defaults that come from the environment. Hands on plain values; the manifest's `daemon:` block overrides them.
"""

import os
from collections.abc import Mapping
from pathlib import Path

DEFAULT_CONFIG = "/etc/mirrord"


def default_state(environ: Mapping[str, str] = os.environ) -> str:
    """The state URL used when nothing names one: $STATE_DIRECTORY (systemd), else $XDG_STATE_HOME/mirrord."""
    if directory := environ.get("STATE_DIRECTORY"):
        return f"sqlite://{Path(directory.split(':')[0]).absolute() / 'state.db'}"
    base = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".local" / "state"
    return f"sqlite://{Path(base) / 'mirrord' / 'state.db'}"


def default_config(environ: Mapping[str, str] = os.environ) -> str:
    """The PATH used when none is given: $MIRRORD_CONFIG, else /etc/mirrord."""
    return environ.get("MIRRORD_CONFIG") or DEFAULT_CONFIG
