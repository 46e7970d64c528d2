"""Functions that live in Python because they ask the session or the catalogue: known by prosrc, planned as `Host`."""

from __future__ import annotations

HOST_FUNCTIONS: set[str] = {
    # The session.
    "current_user", "session_user", "current_database", "current_schema", "current_schemas", "pg_backend_pid", "pgsql_version",
    "show_config_by_name", "show_config_by_name_missing_ok", "set_config_by_name", "pg_my_temp_schema",
    "pg_is_other_temp_schema", "pg_postmaster_start_time", "pg_conf_load_time", "inet_client_addr", "inet_client_port",
    "inet_server_addr", "inet_server_port", "pg_current_xact_id", "pg_current_xact_id_if_assigned", "pg_current_snapshot",
    "pg_xact_status", "pg_notify", "pg_listening_channels", "pg_notification_queue_usage", "pg_is_in_recovery",
    "pg_is_in_backup", "pg_current_wal_lsn", "pg_current_wal_flush_lsn", "pg_current_wal_insert_lsn",
    "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp", "pg_is_wal_replay_paused",
    "pg_cancel_backend", "pg_terminate_backend", "pg_reload_conf", "pg_sleep", "pg_stat_get_activity", "pg_blocking_pids",
    "pg_jit_available", "pg_export_snapshot", "row_security_active", "pg_trigger_depth",
    # Advisory locks.
    "pg_advisory_lock_int8", "pg_advisory_xact_lock_int8", "pg_advisory_lock_shared_int8",
    "pg_advisory_xact_lock_shared_int8", "pg_try_advisory_lock_int8", "pg_try_advisory_xact_lock_int8",
    "pg_try_advisory_lock_shared_int8", "pg_try_advisory_xact_lock_shared_int8", "pg_advisory_unlock_int8",
    "pg_advisory_unlock_shared_int8", "pg_advisory_lock_int4", "pg_advisory_xact_lock_int4", "pg_advisory_lock_shared_int4",
    "pg_advisory_xact_lock_shared_int4", "pg_try_advisory_lock_int4", "pg_try_advisory_xact_lock_int4",
    "pg_try_advisory_lock_shared_int4", "pg_try_advisory_xact_lock_shared_int4", "pg_advisory_unlock_int4",
    "pg_advisory_unlock_shared_int4", "pg_advisory_unlock_all",
    # Sequences that are named by text or need the session's last value.

    # The catalogue.
    "format_type", "pg_get_expr", "pg_get_expr_ext", "pg_get_indexdef", "pg_get_indexdef_ext", "pg_get_constraintdef",
    "pg_get_constraintdef_ext", "pg_get_viewdef", "pg_get_viewdef_ext", "pg_get_viewdef_name", "pg_get_viewdef_name_ext",
    "pg_get_viewdef_wrap", "pg_get_ruledef", "pg_get_ruledef_ext", "pg_get_triggerdef", "pg_get_triggerdef_ext",
    "pg_get_userbyid", "pg_get_serial_sequence", "pg_get_functiondef", "oidvectortypes", "pg_get_function_arguments",
    "pg_get_function_identity_arguments", "pg_get_function_result", "pg_get_function_arg_default", "pg_get_function_sqlbody",
    "pg_get_partkeydef", "pg_get_partition_constraintdef", "pg_get_statisticsobjdef", "pg_get_statisticsobjdef_columns",
    "pg_get_statisticsobjdef_expressions", "pg_get_replica_identity_index", "pg_table_is_visible", "pg_type_is_visible",
    "pg_function_is_visible", "pg_operator_is_visible", "pg_opclass_is_visible", "pg_opfamily_is_visible",
    "pg_collation_is_visible", "pg_conversion_is_visible", "pg_statistics_obj_is_visible", "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible", "pg_ts_parser_is_visible", "pg_ts_template_is_visible", "pg_relation_is_publishable",
    "pg_relation_is_updatable", "pg_column_is_updatable", "pg_describe_object", "pg_identify_object",
    "pg_index_column_has_property", "pg_index_has_property", "pg_indexam_has_property", "pg_tablespace_location",
    "pg_tablespace_databases", "pg_database_size_name", "pg_database_size_oid", "pg_stat_get_numscans", "pg_relation_size", "pg_table_size",
    "pg_indexes_size", "pg_total_relation_size", "pg_relation_filenode", "pg_relation_filepath", "pg_filenode_relation",
    "pg_tablespace_size_oid", "pg_tablespace_size_name", "pg_sequence_parameters", "pg_sequence_last_value",
    "pg_stat_get_live_tuples", "pg_stat_get_dead_tuples", "pg_stat_get_tuples_inserted",
    "pg_stat_get_tuples_updated", "pg_stat_get_tuples_deleted", "pg_partition_root",
    "to_regclass", "to_regtype", "to_regproc", "to_regprocedure", "to_regoper", "to_regoperator", "to_regnamespace",
    "to_regrole", "to_regcollation", "text_regclass", "pg_typeof", "pg_collation_for", "pg_char_to_encoding", "PG_char_to_encoding",
    "PG_encoding_to_char", "getdatabaseencoding", "pg_client_encoding", "pg_encoding_max_length_sql",
    "has_table_privilege_name_name", "has_table_privilege_name_id", "has_table_privilege_id_name",
    "has_table_privilege_id_id", "has_table_privilege_name", "has_table_privilege_id", "has_column_privilege_name_name_name",
    "has_any_column_privilege_name", "has_any_column_privilege_id", "has_column_privilege_name_name",
    "has_column_privilege_id_attnum", "has_column_privilege_name_attnum", "has_column_privilege_id_name",
    "has_schema_privilege_name", "has_schema_privilege_id", "has_schema_privilege_name_name", "has_schema_privilege_name_id",
    "has_schema_privilege_id_name", "has_schema_privilege_id_id", "has_database_privilege_name", "has_database_privilege_id",
    "has_database_privilege_name_name", "has_database_privilege_name_id", "has_database_privilege_id_name",
    "has_database_privilege_id_id", "has_function_privilege_name", "has_function_privilege_id",
    "has_function_privilege_name_name", "has_function_privilege_name_id", "has_sequence_privilege_name",
    "has_sequence_privilege_id", "has_sequence_privilege_name_name", "has_sequence_privilege_name_id",
    "has_tablespace_privilege_name", "has_tablespace_privilege_id", "has_type_privilege_name", "has_type_privilege_id",
    "has_language_privilege_name", "has_language_privilege_id", "has_server_privilege_name", "has_server_privilege_id",
    "has_foreign_data_wrapper_privilege_name", "has_foreign_data_wrapper_privilege_id", "pg_has_role_name",
    "pg_has_role_id", "pg_has_role_name_name", "pg_has_role_name_id", "pg_has_role_id_name", "pg_has_role_id_id",
    "acldefault_sql", "aclexplode", "makeaclitem", "pg_get_acl",
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
