"""Every field of the schema has a behaviour that a test shows, or stands in NOT_YET and is refused.

Whoever deletes a row of NOT_YET adds the field here, with the test that would fail if the field did nothing. `*` is a
field of mirrors and of folders.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

from mirrord.manifest.schema.not_yet import every_field, row_of

ROOT = Path(__file__).parents[4]
EXPAND = "tests/unit/planning/items/test_expand.py"
SESSION = "tests/unit/s3/test_s3_session.py"
STORE = "tests/contract/test_s3_store.py"
OBJECTS = "tests/contract/test_object_store.py"
CUSTOMER_KEYS = (
    "tests/unit/planning/items/test_customer_keys.py::"
    "test_every_kind_of_item_has_the_key_in_its_options_and_in_its_address"
)
ARGUMENTS = "tests/unit/s3/test_s3_arguments.py"
CHANGING = "tests/fault/test_changing_source.py"
HTTP = "tests/contract/test_http_source.py"
HTTP_CONNECTIONS = "tests/contract/test_http_connections.py"
SETTINGS = "tests/integration/test_store_settings.py"
LIFECYCLE = "tests/integration/test_run_lifecycle.py"
SCHEDULE = "tests/unit/planning/timing/test_schedule.py"
ARRIVALS = "tests/unit/folders/test_intake.py"
DELETIONS = "tests/unit/folders/test_pruning.py"
LOOKS = "tests/unit/folders/test_loop.py"
SYNC = "tests/integration/test_sync.py"
SETTLE = "tests/unit/sources/folder/test_settle.py"
CUT = "tests/unit/planning/transfers/test_parts.py::test_cut"
NOTIFY = "tests/integration/test_run_notifications.py"
STALE = "tests/unit/planning/notifications/test_staleness.py"
OPTIONS = f"{OBJECTS}::test_every_option_reaches_the_store"
DECIDE = "tests/unit/planning/decisions/test_decide.py::test_decision"

PROXIES = "tests/contract/test_http_proxies.py"
STORE_NETWORK = "tests/contract/test_s3_environment.py"
LOCK = "tests/integration/test_object_lock.py::test_objects_are_locked_and_a_lock_is_extended_and_never_shortened"
REQUESTS = "tests/integration/test_request_rate.py"
PRUNE = "tests/integration/test_prune.py"

BEHAVIOUR = {
    "*.prune.max": f"{PRUNE}::test_a_list_prunes_when_it_is_whole_and_within_the_guard",
    "version": "tests/unit/manifest/test_manifest_errors.py::test_each_class_of_error_has_its_position_and_message",
    "daemon.state": "tests/unit/test_settings.py::test_a_state_may_be_named_by_url_file_or_directory",
    "daemon.transfers": f"{SETTINGS}::test_transfers_bounds_what_runs_at_once",
    "daemon.memory_limit": f"{SYNC}::test_more_than_the_bound_by_url_and_by_file_in_bounded_memory",
    "daemon.log.format": "tests/unit/telemetry/test_log_setup.py::test_the_format_follows_the_terminal_unless_told",
    "daemon.log.level": "tests/unit/telemetry/test_log_setup.py::test_at_error_level_libraries_warnings_are_left_out",
    "daemon.bandwidth": "tests/integration/test_bandwidth.py::test_all_reads_together_keep_to_the_rate",
    "daemon.per_host.connections": f"{HTTP_CONNECTIONS}::test_connections_to_one_host_are_bounded",
    "daemon.per_host.requests_per_second": f"{REQUESTS}::test_no_second_has_more_requests_than_the_rate",
    "daemon.listen": f"{LIFECYCLE}::test_it_may_listen_nowhere",
    "mirrors.http.proxy": f"{PROXIES}::test_bytes_pass_each_kind_of_proxy",
    "mirrors.http.ca_file": f"{PROXIES}::test_a_ca_file_is_trusted",
    "mirrors.http.client_cert": f"{PROXIES}::test_a_client_certificate_is_for_the_own_origin",
    "mirrors.http.tls_min": f"{PROXIES}::test_an_older_tls_than_the_minimum_is_refused",
    "stores.proxy": f"{STORE_NETWORK}::test_a_declared_proxy_wins_and_none_is_none",
    "stores.client_cert": f"{STORE_NETWORK}::test_client_certificate_and_tls_minimum",
    "stores.tls_min": f"{STORE_NETWORK}::test_client_certificate_and_tls_minimum",
    "daemon.network.allow": "tests/contract/test_network_policy.py::test_a_listed_network_is_exempt",
    "daemon.file_roots": "tests/integration/test_file_roots.py::test_only_what_is_below_a_root_is_uploaded",
    "daemon.api_token": "tests/integration/test_status.py::test_a_token_is_needed_and_must_be_right",
    "daemon.read_token": "tests/integration/test_unix_listen.py::test_a_daemon_with_a_token_for_reading",
    "daemon.hosts": "tests/integration/test_web_hosts.py::test_names_of_the_manifest_flag_and_variable_are_answered",
    "daemon.shutdown_grace": "tests/integration/test_run_stop.py::test_a_store_that_answers_nothing_holds_up_no_end",
    "daemon.notify.url": f"{NOTIFY}::test_a_receiver_gets_signed_cloud_events_of_an_item",
    "daemon.notify.events": f"{NOTIFY}::test_a_receiver_gets_signed_cloud_events_of_an_item",
    "daemon.notify.headers": f"{NOTIFY}::test_a_receiver_gets_signed_cloud_events_of_an_item",
    "daemon.notify.secret": f"{NOTIFY}::test_a_receiver_gets_signed_cloud_events_of_an_item",
    "daemon.notify.heartbeat": f"{NOTIFY}::test_a_heartbeat_is_requested_while_every_store_answers",
    "daemon.notify.every": f"{NOTIFY}::test_a_heartbeat_is_requested_while_every_store_answers",
    "*.stale_after": f"{STALE}::test_the_value_of_the_entry_counts",
    "stores.provider": f"{SESSION}::test_a_declared_checksum_replaces_that_of_the_provider",
    "stores.endpoint_url": f"{STORE}::test_the_aws_chain_signs_when_nothing_is_declared",
    "stores.account_id": "tests/unit/providers/test_endpoints.py::test_the_minimal_manifest_of_a_provider",
    "stores.region": f"{SETTINGS}::test_the_region_is_signed_and_a_session_token_is_sent",
    "stores.credentials.session_token": f"{SETTINGS}::test_the_region_is_signed_and_a_session_token_is_sent",
    "stores.buckets.region": f"{SETTINGS}::test_a_declared_bucket_is_created_in_its_region",
    "stores.addressing": f"{SESSION}::test_addressing_is_as_declared",
    "stores.credentials.access_key_id": f"{STORE}::test_wrong_credentials_are_denied",
    "stores.credentials.secret_access_key": f"{STORE}::test_wrong_credentials_are_denied",
    "stores.credentials.profile": f"{STORE}::test_the_error_of_a_store_that_cannot_be_opened_has_the_reason",
    "stores.credentials.anonymous": f"{STORE}::test_an_anonymous_call_is_not_signed",
    "stores.ca_file": f"{STORE}::test_the_error_of_a_store_that_cannot_be_opened_has_the_reason",
    "stores.checksum": f"{SESSION}::test_a_declared_checksum_replaces_that_of_the_provider",
    "stores.payload_signing": f"{SESSION}::test_the_signing_of_bodies_may_be_chosen",
    "stores.wire": f"{SETTINGS}::test_wire_chooses_the_client",
    "stores.buckets.create": f"{OBJECTS}::test_a_bucket_is_created_once",
    "stores.buckets.lock.mode": f"{LOCK}",
    "stores.buckets.lock.retain": f"{LOCK}",
    "*.object.lock.mode": f"{LOCK}",
    "*.object.lock.retain": f"{LOCK}",
    "*.object.lock.legal_hold": "tests/integration/test_legal_hold.py::test_a_hold_is_set_kept_and_released",
    "stores.dual_stack": "tests/contract/test_aws_settings.py::test_dual_stack_of_the_manifest",
    "stores.requester_pays": "tests/contract/test_aws_settings.py::test_the_requester_agrees_to_pay",
    "stores.buckets.versioning": f"{OBJECTS}::test_a_versioned_bucket_gives_version_ids",
    "*.store": f"{EXPAND}::test_values_of_entries_override_the_defaults",
    "*.to": f"{EXPAND}::test_the_destination_of_an_object",
    "*.name": f"{EXPAND}::test_names_are_unique_over_all_files",
    "*.max_size": "tests/unit/transfer/test_copy.py::test_refused_before_any_read",
    "*.object.content_type": OPTIONS,
    "*.object.cache_control": OPTIONS,
    "*.object.content_disposition": OPTIONS,
    "*.object.content_encoding": OPTIONS,
    "*.object.content_language": OPTIONS,
    "*.object.expires": OPTIONS,
    "*.object.metadata": OPTIONS,
    "*.object.tags": OPTIONS,
    "*.object.storage_class": OPTIONS,
    "*.object.acl": f"{ARGUMENTS}::test_options_become_parameters",
    "*.object.encryption.mode": f"{ARGUMENTS}::test_options_become_parameters",
    "*.object.encryption.kms_key_id": f"{ARGUMENTS}::test_options_become_parameters",
    "*.object.encryption.customer_key": CUSTOMER_KEYS,
    "stores.customer_keys": CUSTOMER_KEYS,
    "*.upload.multipart_threshold": CUT,
    "*.upload.part_size": CUT,
    "*.upload.concurrency": CUT,
    "*.overwrite": DECIDE,
    "*.drift": DECIDE,
    "*.adopt": "tests/integration/test_adoption.py::test_adoption_can_be_turned_off",
    "*.verify": "tests/unit/reconcile/test_proof_of_items.py::test_a_good_store_is_read_back_only_when_it_is_asked_for",
    "*.suspend": "tests/unit/reconcile/test_reconciler.py::test_a_suspended_item_is_not_checked",
    "mirrors.url": f"{EXPAND}::test_the_destination_of_an_object",
    "mirrors.from_store": "tests/integration/test_stored_sources.py::test_an_object_of_another_store_is_streamed",
    "mirrors.urls": "tests/integration/test_fallbacks.py::test_run_shows_which_url_serves",
    "mirrors.list": "tests/integration/test_lists.py::test_each_format_by_url_and_by_file",
    "mirrors.matrix": f"{EXPAND}::test_a_matrix_makes_every_combination",
    "mirrors.checksum.digest": "tests/integration/test_trust.py::test_only_bytes_of_a_declared_checksum_are_stored",
    "mirrors.checksum.url": "tests/contract/test_http_checksum_list.py::test_a_declared_checksum_is_read_from_a_list",
    "mirrors.every": f"{SCHEDULE}::test_the_grid_of_every",
    "mirrors.cron": f"{SCHEDULE}::test_the_first_check_by_cron",
    "mirrors.timezone": f"{SCHEDULE}::test_cron",
    "mirrors.http.headers": f"{HTTP_CONNECTIONS}::test_headers_are_sent_to_the_entrys_own_origin_only",
    "mirrors.http.bearer": f"{EXPAND}::test_credentials_of_a_source_become_a_header",
    "mirrors.http.basic.username": f"{EXPAND}::test_credentials_of_a_source_become_a_header",
    "mirrors.http.basic.password": f"{EXPAND}::test_credentials_of_a_source_become_a_header",
    "mirrors.http.connections": f"{CHANGING}::test_pinned_ranges_are_read_in_parallel_up_to_connections",
    "mirrors.http.idle_timeout": f"{HTTP}::test_silence_fails_after_the_idle_timeout",
    "mirrors.http.min_rate": f"{HTTP}::test_a_body_below_the_minimum_rate_fails",
    "mirrors.http.max_redirects": f"{HTTP_CONNECTIONS}::test_redirects_are_counted",
    "mirrors.expect.content_type": "tests/unit/transfer/test_copy.py::test_refused_before_any_read",
    "folders.path": f"{EXPAND}::test_a_folder_is_relative_to_its_manifest",
    "mirrors.include": "tests/unit/sources/stored/test_prefix.py::test_patterns_select_objects",
    "mirrors.exclude": "tests/unit/sources/stored/test_prefix.py::test_patterns_select_objects",
    "folders.include": "tests/contract/test_listing.py::test_patterns_select_files_and_skip_directories",
    "folders.exclude": "tests/contract/test_listing.py::test_patterns_select_files_and_skip_directories",
    "folders.key": f"{EXPAND}::test_the_key_of_a_file",
    "folders.watch": f"{LOOKS}::test_polling_by_setting_asks_for_no_events",
    "folders.poll_interval": f"{LOOKS}::test_without_events_a_folder_is_polled_with_one_warning_until_there_are_events",
    "folders.rescan": "tests/integration/test_folder_loop.py::test_changes_without_events_are_found_by_the_timer",
    "folders.ready": f"{ARRIVALS}::test_a_file_is_submitted_when_its_marker_exists",
    "folders.delete": f"{DELETIONS}::test_the_object_of_a_missing_file_is_deleted_with_delete_mirror",
    "folders.follow_symlinks": "tests/contract/test_listing.py::test_a_link_counts_as_its_target_with_follow_symlinks",
    "folders.after_upload.move": "tests/integration/test_after_upload.py"
    "::test_run_takes_uploaded_files_away_and_their_items_stay_in_sync",
    "folders.settle": f"{SETTLE}::test_what_changes_within_the_settle_may_still_be_growing",
}
"""Field -> the test of what it does."""

PENDING: set[str] = set()
"""Fields that do something which no test shows yet. Must be empty."""

FIELDS = tuple(path for path, _ in every_field())


def shown(path: str) -> str | None:
    section, _, rest = path.partition(".")
    return BEHAVIOUR.get(path) or (BEHAVIOUR.get(f"*.{rest}") if section in ("mirrors", "folders") else None)


@cache
def named_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def refused_whole(path: str) -> bool:
    """In NOT_YET whatever the value, not only for some."""
    row = row_of(tuple(path.split(".")))
    return row is not None and row.whole


def test_every_field_is_shown_to_work_or_refused() -> None:
    silent = [path for path in FIELDS if not shown(path) and not refused_whole(path) and path not in PENDING]
    assert silent == [], "neither in NOT_YET nor in BEHAVIOUR"


def test_no_field_is_pending() -> None:
    assert set() == PENDING, "name the tests that show these fields at work in BEHAVIOUR"


@pytest.mark.parametrize("node", sorted(set(BEHAVIOUR.values())))
def test_each_named_test_exists(node: str) -> None:
    file, _, name = node.partition("::")
    assert name in named_in(file)


def test_each_name_is_a_field() -> None:
    known = {*FIELDS, *(f"*.{path.partition('.')[2]}" for path in FIELDS)}
    assert {*BEHAVIOUR, *PENDING} <= known


def test_no_field_is_both_refused_and_shown() -> None:
    both = [path for path in FIELDS if refused_whole(path) and shown(path)]
    assert both == []


def test_the_check_would_see_a_field_that_does_nothing() -> None:
    assert not shown("mirrors.mirage")
    assert not refused_whole("mirrors.mirage")
