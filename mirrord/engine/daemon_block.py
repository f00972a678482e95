"""The `daemon:` block of the manifests as settings."""

from typing import Any

from mirrord.manifest.schema.document import DaemonSection
from mirrord.model import Secret
from mirrord.settings import state_of

_PLAIN = {
    *("transfers", "memory_limit", "listen", "api_token", "read_token", "hosts", "shutdown_grace", "file_roots"),
}


def daemon_settings(block: DaemonSection) -> dict[str, Any]:
    """The values that the block sets, by the field names of `settings.Settings`."""
    plain = {name: getattr(block, name) for name in block.model_fields_set & _PLAIN}
    log = {f"log_{name}": getattr(block.log, name) for name in block.log.model_fields_set}
    host = {f"per_host_{name}": getattr(block.per_host, name) for name in block.per_host.model_fields_set}
    network = {"network_allow": block.network.allow} if block.network.model_fields_set else {}
    rates = {"bandwidth": block.bandwidth} if block.bandwidth is not None else {}
    given = block.state.reveal() if isinstance(block.state, Secret) else block.state
    state = {"state": state_of(given)} if given else {}
    return {**plain, **log, **host, **network, **rates, **state}
