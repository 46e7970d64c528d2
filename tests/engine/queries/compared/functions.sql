select count(*) > 0 from pg_timezone_names()
select * from pg_timezone_abbrevs() where false
select * from pg_prepared_statement() where false
select * from pg_cursor() where false
select * from pg_listening_channels()
select count(*) from pg_get_keywords()
select * from pg_options_to_table(array['a=b'])
select * from pg_show_all_settings() where false
select count(*) > 200 from pg_show_all_settings()
select * from pg_partition_tree('pg_class') where false
select * from pg_available_extensions() where false
select * from pg_hba_file_rules() where false
select * from aclexplode('{postgres=r/postgres}'::aclitem[]) where false
select * from aclexplode(null) where false
select * from pg_stat_get_wal_senders() where false
select * from pg_ls_dir('.') where false
select * from pg_get_publication_tables('x') where false
select * from pg_sequence_parameters('x'::regclass)
select pg_stat_get_live_tuples('pg_class'::regclass) >= 0
select * from pg_stat_get_wal() where false
select * from regexp_matches('abab', 'a', 'g')
select * from string_to_table('a,b', ',')
select * from jsonb_array_elements('[1,2]')
select * from jsonb_object_keys('{"a":1}')
select * from regexp_split_to_table('a b', ' ')
select * from pg_tablespace_databases(1663) where false
select * from pg_input_is_valid('1','int4')
select * from unnest(null::int[])
select * from generate_subscripts(array[1,2], 1)
select * from pg_locks where false
select pg_get_userbyid(10), pg_get_userbyid(9), pg_encoding_to_char(6), pg_char_to_encoding('utf8'), getdatabaseencoding(), pg_client_encoding()
select pg_get_constraintdef(0), pg_get_indexdef(0), pg_get_viewdef(0), pg_get_ruledef(0), pg_get_triggerdef(0), pg_get_expr(null, 0), pg_get_functiondef(0)
select pg_get_serial_sequence('nope', 'a')
select obj_description(0, 'pg_class'), shobj_description(0, 'pg_database'), col_description(0, 1)
select pg_relation_size(0), pg_total_relation_size('nope'::regclass)
select pg_advisory_lock(1), pg_try_advisory_lock(1), pg_advisory_unlock(1), pg_advisory_unlock(1), pg_advisory_unlock(1)
select current_setting('server_version_num')::int / 10000, current_setting('is_superuser'), current_setting('integer_datetimes')
select row(1,2) = row(1,2), row(1,null) = row(1,2), row(1,2) < row(1,3), (1,2) in ((1,2)), row(1,null) is null, row(null,null) is null, row(1,1) is not null
select row(1,2) = row(1,2,3)
select row(1,'a b',null,''), row(), row(row(1,2)), array[row(1,2)]
select 'x'::"char", 'abc'::name, '1'::oid, '0/1'::pg_lsn, '(0,1)'::tid, '5'::xid, '5'::xid8
select '(0'::tid
select '-1'::oid, 4294967295::oid
select '4294967296'::oid
select 1::oid = 1, 'a'::name = 'a'::text, 'a'::"char" = 'a'
select interval '1 day' > all (array[interval '1 hour'])
select date '2020-01-01' between '2019-01-01' and '2021-01-01'
select '2020-01-01'::date = '2020-01-01 00:00'::timestamp, '2020-01-01'::timestamptz > '2019-01-01'::date
select timestamp '2020-01-01 00:00:00.1234567', time '10:00:00.9999999', timestamp(3) '2020-01-01 00:00:00.12345', '2020-01-01'::timestamp(0)
select timestamp '4714-11-24 BC', timestamp '294276-12-31', date '5874897-12-31'
select date '5874898-01-01'
select timestamp '294277-01-01'
select date '0000-01-01'
select interval '178000000 years'
select interval '1' hour, interval '100 hours', interval '1 day -1 hour', interval '-1 year -2 mons +3 days -04:05:06.7'
select extract(day from interval '40 days'), extract(hour from interval '50 hours'), extract(century from date '2000-12-31'), extract(millennium from timestamp '2001-01-01'), extract(timezone from timestamptz '2020-01-01 00:00+05'), extract(decade from date '1999-01-01')
select date_bin('15 minutes', timestamp '2020-02-11 15:44:17', timestamp '2001-01-01'), age(timestamp '2020-01-01', timestamp '2021-03-04 05:06')
select to_char(interval '1 day 2:03:04', 'HH24:MI:SS DD'), to_char(-5.5, '9.99'), to_char(1e6, '9EEEE'), to_char(123, '000099'), to_number('1,234.5', '9,999.9')
select '1 2 3'::int2vector, '1 2'::oidvector
select quote_ident('select'), quote_ident('a"b'), quote_literal(E'a\\b'), quote_literal(null)
select trim('  a '), trim(leading 'x' from 'xxa'), substr('abc', 2), substr('abc', 0, 2), substr('abc', -1), substring('abc' for 2), substring('foobar' similar 'f#"oo#"%' escape '#')
select 'a' < 'B', 'a' < 'b', 'Z' < 'a', 'é' > 'z', '' < 'a', 'a' = 'a ', 'abc' collate "C" < 'abd'
select 'a' collate "en_US"
select greatest('a', 'b' collate "C"), max(x collate "C") from (values ('a'),('b')) v(x)
select cast('1' as int), cast(1 as text) || 'x', cast(null as int), cast(1.5 as int), cast('t' as bool), int '5', float8 '1.5', text 'x'
select 1::text::int::numeric::float8::text
select 3 = any('{1,2,3}'), 3 in ('1','3'), 1 in (select 1.0), 'a' in ('a', null)
select null in (1), 1 in (null), null = any(array[1]), 1 = all('{}'::int[]), 1 = any('{}'::int[])
select count(*), count(null), count(1), sum(null::int), avg(null::int), max(null::text), array_agg(null::int), string_agg(null, ',') from (select 1 where false) x
select sum(a), count(*) from (values (1),(null),(3)) v(a)
select a, count(*) from (values (1),(null),(1),(null)) v(a) group by a order by a
select a from (values (2),(null),(1)) v(a) order by a desc nulls last
select a from (values (2),(null),(1)) v(a) order by a nulls first
select distinct a from (values (2),(null),(1),(null)) v(a) order by 1
select a from (values (1),(null)) v(a) union select null order by 1
select x.a, y.a from (values (1),(null)) x(a) join (values (1),(null)) y(a) on x.a = y.a
select x.a, y.a from (values (1),(null)) x(a) join (values (1),(null)) y(a) on x.a is not distinct from y.a order by 1
select * from (values (1),(null)) x(a) where a not in (select null::int)
select * from (values (1),(2)) x(a) where not exists (select 1 from (values (1)) y(b) where y.b = x.a)
select * from (values (1),(2)) x(a) where a not in (select b from (values (1)) y(b))
select a, (select count(*) from (values (1),(2),(3)) y(b) where y.b < x.a) c, exists (select 1 from (values (3)) y(b) where b = x.a) e from (values (1),(3)) x(a) order by (select -x.a)
select a from (values (1),(3)) x(a) group by a having a > (select 1) order by a
select a from (values (1),(3)) x(a) order by case when a = 1 then (select 5) else 2 end
select sum((select x.a)) from (values (1),(3)) x(a)
select (select sum(x.a)) from (values (1),(3)) x(a)
select (select array_agg(y.b) from (values (1)) y(b) where x.a = 1) from (values (1),(3)) x(a) order by x.a
select a from (values (1),(3)) x(a) limit (select 1)
select * from (values (1),(3)) x(a), lateral (select a * 2 union all select a * 3) y(b) order by 1,2
select * from (values (1),(3)) x(a) left join lateral (select 1 where x.a = 1) y(b) on y.b = 1 order by 1
select * from (select 1 as a) x natural join (select 1 as a, 2 as b) y natural full join (select 1 as a, 3 as c) z
select * from (values (1)) x(a) full join (values (2)) y(a) using (a) order by a
select coalesce(x.a, y.a), a from (values (1)) x(a) full join (values (2)) y(a) using (a) order by a
select * from (values (1,2)) x(a,b) join (values (1,3)) y(a,c) using (a) join (values (1,4)) z(a,d) using (a)
select x.*, y.* from (values (1,2)) x(a,b) cross join (values (1,3)) y(a,c)
select * from (values (1,2)) x(a,b) join (values (2,3)) y(b,c) using (b) where x.b = 2 and y.b = 2 and b = 2
select 1 as a, 2 as a order by a
select a from (select 1 as a, 2 as a) x
select count(*) from (select) x
select x from (select 1 as a, 'q' as b) x
select (x).b from (select 1 as a, 'q' as b) x
select (x).* from (select 1 as a, 'q' as b) x
select row_to_json(x) from (select 1 as a, 'q' as b) x
select json_agg(x) from (select 1 as a, 'q' as b) x
select to_jsonb(x) - 'a' from (select 1 as a, 'q' as b) x
select jsonb_build_object('x', x) from (select 1 as a, 'q' as b) x
select x = x from (select 1 as a, 'q' as b) x
select count(x) from (select 1 as a) x
select x is null from (select null as a) x
select array_agg(x) from (values (1,2)) x(a,b)
select unnest(array_agg(x)) from (values (1,2)) x(a,b)
select concat(variadic array[1,null,2]), concat_ws(',', variadic array['a',null,'b']), concat_ws(null, variadic array['a']), concat('x', variadic '{}'::text[]) || 'y'
select concat(variadic array[]::int[]) || 'x', concat(variadic null::text[])
select format('%s-%s', variadic array[1,2]), format('%2$s', variadic array[date '2020-01-01', null]) || 'x', format('x', variadic null::int[])
select format('%s', variadic null::int[])
select json_build_array(variadic array[1,null]), jsonb_build_array(variadic array['a']), json_build_array(variadic null::int[])
select json_build_object(variadic array[['a','b'],['c','d']]), jsonb_build_object(variadic array['a','b'])
select json_build_object(variadic array['a'])
select num_nulls(variadic array[1,null]), num_nonnulls(variadic array[1,null]), num_nulls(variadic null::int[])
select concat(variadic 'a')
select concat('x', variadic array[1])
select g, concat(variadic array_agg(g) over (order by g)) from generate_series(1, 4) g
select concat(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)
select concat(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)
