"""What other configurations may say: Dovecot's keys that Roost has not, older spellings, and renamed sections.

Three literal tables. Nothing in them is a setting of Roost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Renamed(NamedTuple):
    """An older spelling whose meaning is unchanged: the new key and how its value is written there."""

    key: str
    convert: Callable[[str], str] | None = None


def _unlimited_for_zero(text: str) -> str:
    return "unlimited" if text == "0" else text


def _inverted(text: str) -> str:
    return {"yes": "no", "no": "yes"}.get(text.lower(), text)


def _server_or_client(text: str) -> str:
    return {"yes": "server", "no": "client"}.get(text.lower(), text)


RENAMED: dict[str, Renamed] = {
    "auth_default_realm": Renamed("auth_default_domain"),
    "default_idle_kill": Renamed("default_idle_kill_interval"),
    "disable_plaintext_auth": Renamed("auth_allow_cleartext", _inverted),
    "inet_listener_address": Renamed("inet_listener_listen"),
    "quota_max_mail_size": Renamed("quota_mail_size"),
    "service_idle_kill": Renamed("service_idle_kill_interval"),
    "service_service_count": Renamed("service_restart_request_count", _unlimited_for_zero),
    "ssl_ca": Renamed("ssl_server_ca_file"),
    "ssl_cert": Renamed("ssl_server_cert_file"),
    "ssl_cert_username_field": Renamed("ssl_server_cert_username_field"),
    "ssl_dh": Renamed("ssl_server_dh_file"),
    "ssl_key": Renamed("ssl_server_key_file"),
    "ssl_key_password": Renamed("ssl_server_key_password"),
    "ssl_prefer_server_ciphers": Renamed("ssl_server_prefer_ciphers", _server_or_client),
    "ssl_require_crl": Renamed("ssl_server_require_crl"),
    "ssl_verify_client_cert": Renamed("ssl_server_request_client_cert"),
}

LOGIN_SERVICES: dict[str, str] = {"imap-login": "imap"}
"""Dovecot's login service → Roost's service, whose processes do the login too: its inet listeners are taken over."""

DOVECOT_SERVICES = _words(
    """
    aggregator config dict dict-async dict-expire director dns-client dns_client doveadm health-check
    imap-hibernate imap-urlauth imap-urlauth-login imap-urlauth-worker indexer indexer-worker ipc log managesieve
    managesieve-login old-stats pop3 pop3-login replicator ssl-params stats submission submission-login tcpwrap
    """
)
"""Dovecot's services without a counterpart here: their sections are passed over with a warning."""

DOVECOT_SECTIONS = _words(
    """
    acl dict_map dict_server doveadm_server event_exporter execute fs ldap lua
    metric metric_group_by mysql notify_status plugin push_notification quota
    quota_over_status quota_warning sieve_script ssl_client stats_server
    """
)
"""Dovecot's sections that Roost does not have."""

IGNORED: dict[str, str] = {
    "auth_cache_verify_password_with_worker": "slow password hashes are always verified beside other logins",
    "default_login_user": "the imap processes do the login",
    "first_valid_gid": "mail belongs to the user that the services run as",
    "last_valid_gid": "mail belongs to the user that the services run as",
    "libexec_dir": "the services are part of the program",
    "mail_access_groups": "mail belongs to the user that the services run as",
    "mail_privileged_group": "mail belongs to the user that the services run as",
}
"""Dovecot's settings that change nothing here: accepted with a warning."""

INSTEAD: dict[str, str] = {
    "mail_location": "write mail_driver and mail_path",
    "plugin": "its settings are global settings; write those that Roost has at top level",
    "passdb_args": "write the driver's own setting: passwd_file_path or static_password",
    "userdb_args": "write the driver's own setting: passwd_file_path, or fields { … }",
    "userdb_default_fields": "write fields { … }",
    "userdb_override_fields": "write fields { … }",
    "passdb_default_fields": "write fields { … }",
    "passdb_override_fields": "write fields { … }",
    "ssl_protocols": "write ssl_min_protocol",
    "verbose_ssl": "write log_debug = ssl",
    "mail_plugins": "Roost has no plugins; what they add is built in or missing; remove the line",
    "mail_uid": "set user in service imap and service lmtp",
    "mail_gid": "set group in service imap and service lmtp",
}
"""What to do about the most common ones."""

DOVECOT_KEYS = _words(
    """
    auth_debug_passwords auth_gssapi_hostname auth_krb5_keytab auth_master_socket_path auth_proxy_self
    auth_use_winbind auth_winbind_helper_path
    auth_worker_max_count dict_proxy_idle_timeout dict_proxy_name dict_proxy_slow_warn
    dict_proxy_socket_path dns_client_socket_path dotlock_use_excl doveadm_allowed_commands
    doveadm_api_key doveadm_password doveadm_port doveadm_socket_path doveadm_ssl doveadm_username
    doveadm_worker_count dsync_alt_char dsync_commit_msgs_interval dsync_features dsync_hashed_headers
    dsync_remote_cmd
    http_server_max_idle_time http_server_max_pipelined_requests http_server_rawlog_dir
    http_server_request_hdr_max_field_size http_server_request_hdr_max_fields http_server_request_hdr_max_size
    http_server_request_max_payload_size http_server_request_max_target_length imap4rev2_enable
    imap_compress_on_proxy imap_fetch_failure imap_hibernate_timeout imap_id_retain imap_literal_minus imap_metadata
    imap_urlauth_host imap_urlauth_port lda_original_recipient_header
    lmtp_proxy lmtp_proxy_rawlog_dir lmtp_rawlog_dir lmtp_rcpt_check_quota
    lock_method log_core_filter login_plugin_dir login_plugins login_proxy_max_disconnect_delay
    login_proxy_max_reconnects login_proxy_notify_path login_proxy_rawlog_dir login_proxy_timeout login_socket_path
    login_source_ips mail_alt_path mail_attachment_detection_options mail_cache_fields
    mail_cache_max_size mail_cache_min_mail_count mail_cache_path mail_cache_unaccessed_field_drop mail_chroot
    mail_control_path mail_gid mail_inbox_path mail_index_log_rotate_log2_max_age mail_index_log_rotate_max_size
    mail_index_log_rotate_min_age mail_index_log_rotate_min_size mail_index_path mail_location mail_log_cached_only
    mail_log_events mail_log_fields mail_log_prefix mail_max_lock_timeout mail_nfs_index mail_nfs_storage
    mail_plugin_dir mail_plugins mail_temp_dir mail_uid mail_utf8_extensions mail_volatile_path mailbox_autoexpunge
    mailbox_autoexpunge_max_mails mailbox_comment mailbox_directory_name_legacy mailbox_idle_check_interval
    mailbox_list_index mailbox_list_layout mailbox_list_utf8 mailbox_notify_status mmap_disable
    mysql_connect_timeout mysql_connection_limit mysql_dbname mysql_host mysql_password mysql_port
    mysql_read_timeout mysql_ssl mysql_user mysql_write_timeout namespace_alias_for namespace_disabled
    namespace_hidden namespace_ignore_on_failure namespace_list namespace_order namespace_subscriptions
    notify_status_dict notify_status_mailbox notify_status_value
    passdb_args passdb_auth_verbose
    passdb_default_fields passdb_override_fields
    passdb_pass
    postmaster_address process_shutdown_filter push_notification_driver
    push_notification_ox_cache_ttl push_notification_ox_url push_notification_ox_user_from_metadata quota_driver
    quota_enforce quota_exceeded_message quota_hidden quota_ignore quota_mailbox_count quota_mailbox_message_count
    quota_message_count quota_storage_extra quota_storage_grace quota_storage_percentage quota_storage_size
    quota_warning_resource quota_warning_threshold rawlog_dir rejection_reason rejection_subject
    sendmail_path service_privileged_group
    ssl_alt_cert ssl_alt_key
    ssl_client_key_password ssl_crypto_device ssl_options
    ssl_parameters_regenerate ssl_protocols
    ssl_server_alt_cert_file ssl_server_alt_key_file
    stats_writer_socket_path submission_host submission_ssl submission_timeout userdb_args userdb_auth_verbose
    userdb_default_fields userdb_override_fields
    valid_chroot_dirs verbose_ssl
    version_ignore
    """
)
"""Dovecot's settings (2.4, and 2.3's most common) that Roost does not have. A test keeps it apart from the schema."""
