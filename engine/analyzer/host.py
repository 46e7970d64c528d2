"""Functions that live in Python because they ask the session or the catalogue: known by prosrc, planned as `Host`."""

from __future__ import annotations

# Those that there are, `engine/host/` adds; these are not built: calls say so.
HOST_FUNCTIONS: set[str] = {
    "aclexplode", "makeaclitem", "pg_collation_for", "pg_current_snapshot", "pg_export_snapshot",
    "pg_filenode_relation", "pg_get_acl", "pg_identify_object", "pg_is_in_backup", "pg_is_wal_replay_paused",
    "pg_listening_channels", "pg_sequence_parameters", "pg_stat_get_activity", "pg_stat_get_tuples_deleted",
    "pg_stat_get_tuples_inserted", "pg_stat_get_tuples_updated", "pg_tablespace_databases", "pg_typeof",
    "pg_xact_status", "to_regoper", "to_regoperator",
}  # fmt: skip

# Set-returning functions whose rows Python makes: `HostScan` by this name.
HOST_SETS: set[str] = {
    "pg_get_keywords", "show_all_settings", "pg_lock_status", "pg_stat_get_activity", "pg_options_to_table",
    "pg_partition_ancestors", "pg_partition_tree", "pg_timezone_names", "pg_timezone_abbrevs_abbrevs", "pg_timezone_abbrevs",
    "pg_prepared_statement", "pg_cursor", "pg_available_extensions", "pg_available_extension_versions", "pg_config",
    "pg_show_all_file_settings", "pg_hba_file_rules", "pg_ident_file_mappings", "pg_stat_get_wal_senders",
    "pg_get_replication_slots", "pg_listening_channels", "pg_tablespace_databases", "pg_get_catalog_foreign_keys",
    "aclexplode", "pg_get_publication_tables", "pg_get_multixact_members", "pg_stat_get_subscription", "pg_ls_dir",
    "pg_get_shmem_allocations", "pg_get_backend_memory_contexts", "pg_prepared_xact", "pg_stat_get_progress_info",
    "pg_stat_get_slru", "pg_stat_get_archiver", "pg_stat_get_wal", "pg_sequence_parameters",
}  # fmt: skip


def is_host(src: str) -> bool:
    """Does Python answer calls of this function?"""
    return src in HOST_FUNCTIONS
