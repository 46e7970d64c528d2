select c.oid, n.nspname, c.relname from pg_catalog.pg_class c left join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relname operator(pg_catalog.~) '^(nope)$' collate pg_catalog.default and pg_catalog.pg_table_is_visible(c.oid) order by 2, 3
select count(*) from pg_locks where pid is null
select * from pg_stat_statements where false
select * from pg_trigger where false
select * from pg_inherits where false
select * from pg_partitioned_table where false
select * from pg_enum where false
select * from pg_event_trigger where false
select * from pg_collation where collname = 'C'
select * from pg_tablespace order by oid
select * from pg_stat_progress_vacuum where false
select * from pg_stat_progress_create_index where false
select * from pg_stat_progress_copy where false
select * from pg_stat_xact_user_functions where false
select * from pg_stat_replication_slots where false
select * from pg_stat_subscription_stats where false
select * from pg_ident_file_mappings where false
select * from pg_db_role_setting where false
select * from pg_default_acl where false
select * from pg_shdescription where false
select * from pg_ts_config where false
select * from pg_range where false
select * from pg_sequence where false
select * from pg_subscription_rel where false
select * from information_schema.tables where table_name = 'nope'
select * from information_schema.columns where table_name = 'nope'
select * from information_schema.schemata where schema_name = 'nope'
select * from information_schema.table_constraints where false
select * from information_schema.key_column_usage where false
select * from information_schema.referential_constraints where false
select * from information_schema.constraint_column_usage where false
select * from information_schema.check_constraints where false
select * from information_schema.views where false
select * from information_schema.sequences where false
select * from information_schema.routines where false
select * from information_schema.parameters where false
select * from information_schema.triggers where false
select * from information_schema.domains where false
select * from information_schema.element_types where false
select * from information_schema.table_privileges where false
select * from information_schema.column_privileges where false
select * from information_schema.role_table_grants where false
select * from information_schema.enabled_roles where false
select * from information_schema.applicable_roles where false
select * from information_schema.constraint_table_usage where false
select * from information_schema.view_table_usage where false
select * from information_schema.view_column_usage where false
select * from information_schema.user_defined_types where false
select * from information_schema.attributes where false
select * from information_schema.information_schema_catalog_name
select * from information_schema.column_domain_usage where false
select * from information_schema.triggered_update_columns where false
select * from information_schema.foreign_tables where false
select * from information_schema.domain_constraints where false
select * from information_schema.udt_privileges where false
select * from information_schema.transforms where false
select * from information_schema.column_options where false
select proargtypes[0], proargtypes[1], array_lower(proargtypes, 1), pg_typeof(proargtypes) from pg_proc where oid = 1397
select count(*) from pg_proc where proargtypes = '23 23'::oidvector and proname = 'int4pl'
select distinct array_lower(indkey, 1), array_lower(indclass, 1), array_lower(indcollation, 1), array_lower(indoption, 1), pg_typeof(indkey) from pg_index
select format_type(30, null), format_type(22, null), 30::regtype, format_type(1028, null)
select * from pg_statio_all_tables where relname = 'none'
select * from pg_statio_user_tables where relname = 'none'
select * from pg_statio_all_indexes where relname = 'none'
select * from pg_statio_all_sequences where relname = 'none'
select * from pg_stat_xact_all_tables where relname = 'none'
select * from pg_stat_ssl where pid = -1
select * from pg_stat_gssapi where pid = -1
select * from pg_locks where pid = -1
select pg_get_functiondef(1397)
select pg_get_functiondef(p.oid) from pg_proc p where proname in ('now', 'generate_series', 'row_number', 'pg_sleep', 'text_lt') order by oid
select pg_get_functiondef('max(int)'::regprocedure)
select pg_get_functiondef(0)
select oidvectortypes('23 25'::oidvector), oidvectortypes(''::oidvector)
