"""Rules between the fields of a manifest: which fields exclude each other, and which need another one.

The rules read the tree, not the validated model, so that one pass reports their faults together with all wrong values.
"""

from collections.abc import Callable, Iterator

from mirrord.manifest.report import Step
from mirrord.manifest.syntax.nodes import MappingNode, Node, ScalarNode, SequenceNode
from mirrord.model import ProviderName

RuleFault = tuple[tuple[Step, ...], str]
"""A path below the root, and the message."""

Rule = Callable[[MappingNode], Iterator[RuleFault]]

_FOR_ONE_ENTRY = ("url", "urls", "list", "to", "path", "name")
_METADATA_LIMIT = 1536
"""Bytes. AWS stores 2 KiB of user metadata for an object; mirrord's own names and values need the rest."""
_BUILT_IN = ("host", "path", "name")


def faults(root: MappingNode) -> Iterator[RuleFault]:
    """All faults of the document."""
    yield from _each(root, "mirrors", _mirror)
    yield from _each(root, "stores", _store)
    yield from _notify(_child(_child(root, "daemon"), "notify"))
    yield from _defaults(_child(root, "defaults"))


def _each(root: MappingNode, section: str, rule: Rule) -> Iterator[RuleFault]:
    node = _child(root, section)
    children: Iterator[tuple[Step, Node]] = iter(())
    if isinstance(node, SequenceNode):
        children = iter(enumerate(node.items))
    elif isinstance(node, MappingNode):
        children = ((key, value) for key, (_, value) in node.entries.items())
    for step, child in children:
        if isinstance(child, MappingNode):
            for path, message in rule(child):
                yield (section, step, *path), message


def _child(node: Node | None, name: str) -> Node | None:
    return node.entries[name][1] if isinstance(node, MappingNode) and name in node.entries else None


def _nothing(node: Node | None) -> bool:
    """Whether a field is absent or empty; both mean the same."""
    return node is None or (isinstance(node, ScalarNode) and node.value is None)


def _given(node: Node | None, *names: str) -> list[str]:
    """Those of `names` that the mapping has, in the order of the file."""
    return [name for name in node.entries if name in names] if isinstance(node, MappingNode) else []


def _alternatives(node: Node | None, *names: str) -> Iterator[RuleFault]:
    """At most one of `names`."""
    given = _given(node, *names)
    for name in given[1:]:
        yield (name,), f"{given[0]} is given too; keep one of {', '.join(names)}"


def _mirror(node: MappingNode) -> Iterator[RuleFault]:
    if all(_nothing(_child(node, name)) for name in ("url", "urls", "list")):
        yield ("url",), "is missing"
    yield from _alternatives(node, "url", "urls", "list")
    yield from _fetched(node)
    yield from _of_prefixes(node)
    url = _child(node, "url")
    if _given(node, "list") and _given(node, "from_store"):
        yield ("from_store",), "only for an s3:// source"
    if (
        isinstance(url, ScalarNode)
        and not url.unset
        and _given(node, "from_store")
        and not url.text.startswith("s3://")
    ):
        yield ("from_store",), "only for an s3:// source"


def _of_prefixes(node: MappingNode) -> Iterator[RuleFault]:
    url = _child(node, "url")
    text = url.text if isinstance(url, ScalarNode) else ""
    prefix = isinstance(url, ScalarNode) and (url.unset or (text.startswith("s3://") and text.endswith("/")))
    for name in () if prefix else _given(node, "include", "exclude"):
        yield (name,), "only for a folder, or for all objects of a prefix (url: s3://bucket/prefix/)"


def _fetched(node: MappingNode) -> Iterator[RuleFault]:
    yield from _alternatives(node, "every", "cron")
    if _given(node, "timezone") and not _given(node, "cron"):
        yield ("timezone",), "only beside cron"
    yield from _below("http", node, _http)
    yield from _below("object", node, _object)
    yield from _below("checksum", node, lambda one: _alternatives(one, "digest", "url"))
    for name in _given(_child(node, "matrix"), *_BUILT_IN):
        yield ("matrix", name), f"{name} is a placeholder already; choose another name"


def _below(name: str, node: MappingNode, rule: Rule) -> Iterator[RuleFault]:
    child = _child(node, name)
    if isinstance(child, MappingNode):
        for path, message in rule(child):
            yield (name, *path), message


def _http(node: MappingNode) -> Iterator[RuleFault]:
    yield from _alternatives(node, "bearer", "basic")
    headers = _child(node, "headers")
    written = (
        [key for key in headers.entries if key.lower() == "authorization"] if isinstance(headers, MappingNode) else []
    )
    for name in written if _given(node, "bearer", "basic") else []:
        yield ("headers", name), "bearer or basic is given too; keep one"


def _object(node: MappingNode) -> Iterator[RuleFault]:
    yield from _below("encryption", node, _encryption)
    tags = _child(node, "tags")
    if isinstance(tags, MappingNode) and len(tags.entries) > 10:
        yield ("tags",), "more than ten tags, which S3 does not store"
    yield from _below("lock", node, _lock)
    yield from _metadata(_child(node, "metadata"))


def _encryption(node: MappingNode) -> Iterator[RuleFault]:
    """Each mode has its own kind of key. SSE-C always needs one."""
    mode = _child(node, "mode")
    if not isinstance(mode, ScalarNode) or mode.unset:
        return
    for name, wanted in (("kms_key_id", "aws:kms"), ("customer_key", "SSE-C")):
        if _given(node, name) and mode.text != wanted:
            yield (name,), f"only with mode: {wanted}"
    if mode.text == "SSE-C" and not _given(node, "customer_key"):
        yield ("customer_key",), "is missing; name one of the store's customer_keys"


def _lock(node: MappingNode) -> Iterator[RuleFault]:
    """A retention (`mode` and `retain`), a legal hold, or both."""
    given = _given(node, "mode", "retain")
    for name in ("mode", "retain"):
        if name not in given and (given or not _given(node, "legal_hold")):
            yield (name,), "is missing"


def _metadata(node: Node | None) -> Iterator[RuleFault]:
    """S3 stores metadata as headers: names that differ only in case are one name, and all together have 2 KiB."""
    if not isinstance(node, MappingNode):
        return
    names: dict[str, str] = {}
    for name in node.entries:
        first = names.setdefault(name.lower(), name)
        if first != name:
            yield ("metadata", name), f"the same name as {first} to S3, which ignores case; keep one"
    values = (value.text for _, value in node.entries.values() if isinstance(value, ScalarNode))
    if sum(len(text.encode()) for text in (*node.entries, *values)) > _METADATA_LIMIT:
        yield ("metadata",), "more than S3 keeps; names and values together have at most 1,536 bytes"


def _notify(node: Node | None) -> Iterator[RuleFault]:
    """Each receiver is either a webhook or a heartbeat, and no URL is given twice: it is the identity of a receiver."""
    seen: set[str] = set()
    for index, one in enumerate(node.items if isinstance(node, SequenceNode) else ()):
        for path, message in _receiver(one, seen):
            yield ("daemon", "notify", index, *path), message


def _receiver(node: Node, seen: set[str]) -> Iterator[RuleFault]:
    if isinstance(node, MappingNode) and not _given(node, "url", "heartbeat"):
        yield (), "give url (a webhook) or heartbeat"
    yield from _alternatives(node, "url", "heartbeat")
    kind = next(iter(_given(node, "url", "heartbeat")), "")
    for name in _given(node, *(("every",) if kind == "url" else ("events", "secret") if kind else ())):
        yield (name,), "only beside heartbeat" if kind == "url" else "only beside url"
    address = _child(node, kind)
    if isinstance(address, ScalarNode) and not address.unset:
        if address.text in seen:
            yield (kind,), "this URL is given before; keep one"
        seen.add(address.text)
    events = _child(node, "events")
    if isinstance(events, SequenceNode) and not events.items:
        yield ("events",), "name at least one event, or remove it for item.blocked, item.stale and item.recovered"


def _store(node: MappingNode) -> Iterator[RuleFault]:
    credentials = _child(node, "credentials")
    for path, message in _credentials(credentials):
        yield ("credentials", *path), message
    provider = _child(node, "provider")
    if isinstance(provider, ScalarNode) and provider.text == "embedded":
        for name in _given(node, "endpoint_url", "credentials", "ca_file", "client_cert", "tls_min", "proxy"):
            yield (name,), "an embedded store makes its own; remove it"
    if _is_on(_child(node, "dual_stack")):
        yield from _dual_stack(node, provider)
    if _given(node, "account_id"):
        yield from _account(node, provider)


def _is_on(node: Node | None) -> bool:
    return isinstance(node, ScalarNode) and node.text != "false"


def _dual_stack(node: MappingNode, provider: Node | None) -> Iterator[RuleFault]:
    if isinstance(provider, ScalarNode) and not (provider.unset or provider.text == ProviderName.AWS):
        yield ("dual_stack",), "only for provider aws; the address of another store is endpoint_url"
    elif _given(node, "endpoint_url"):
        yield ("dual_stack",), "endpoint_url is given too; keep one"


def _account(node: MappingNode, provider: Node | None) -> Iterator[RuleFault]:
    if not (isinstance(provider, ScalarNode) and (provider.unset or provider.text == ProviderName.R2)):
        yield ("account_id",), "only for provider r2, whose address has an account in it"
    elif _given(node, "endpoint_url"):
        yield ("account_id",), "endpoint_url is given too; keep one"


def _credentials(node: Node | None) -> Iterator[RuleFault]:
    static = _given(node, "access_key_id", "secret_access_key", "session_token")
    kinds = [*static[:1], *_given(node, "profile"), *_given(node, "anonymous")]
    if isinstance(node, MappingNode) and not kinds:
        yield (), "give access_key_id and secret_access_key, or profile, or anonymous; or remove it for the AWS chain"
    for name in kinds[1:]:
        yield (name,), f"{kinds[0]} is given too; keep one kind of credentials"
    for name in ("access_key_id", "secret_access_key"):
        if static and name not in static:
            yield (name,), "is missing"


def _defaults(node: Node | None) -> Iterator[RuleFault]:
    if not isinstance(node, MappingNode):
        return
    for name in _given(node, *_FOR_ONE_ENTRY):
        yield ("defaults", name), "belongs to one entry; set it there"
    for path, message in _fetched(node):
        yield ("defaults", *path), message
