create table ch(a char(5), b varchar(3), c char, d text)
insert into ch values ('ab','abc','x','t')
insert into ch values ('abcdef','abc','x','t')
insert into ch values ('abcde    ','abc   ','x  ','t')
insert into ch values ('ab','abcd','x','t')
insert into ch values ('ab','abc','xy','t')
select a, b, c, length(a), octet_length(a), a||'|', a = 'ab', a like 'ab', a like 'ab%', a::text||'|' from ch
select * from ch where a = 'ab   ' or a = b
select a || b, upper(a), concat(a,b), a::varchar(2), cast(a as char(2)) from ch
select max(a), min(b) from ch
select 'a'::char(3) < 'a ', 'a '::char = 'a'::text, 'a '::char(2) = 'a'::text, 'a '::varchar = 'a'::text
select ''::char(2) = ' ', ''::char = ' '
select 'abc'::char(0)
select 'abc'::varchar(0)
select 'x'::bpchar || 'y', pg_typeof('x'::bpchar || 'y')
select interval '1 year 2 months 3 days 4:05:06.789', interval '-1 day', interval '1.5 days', interval '90 minutes', interval 'P1Y2M3DT4H5M6S'
select interval '1' year, interval '1-2' year to month, interval '1 2' day to hour, interval '1:30' minute to second, interval '5.678' second(1), interval(2) '1.23456 sec'
select interval '1 month' = interval '30 days', interval '1 day' = interval '24 hours', interval '1 month' > interval '29 days'
select interval '1 day' * 1.5, interval '1 month' / 3, interval '1 year' * 0.1, -interval '1 day 2 hours', interval '1 day' + interval '3 hours'
select date '2020-01-31' + interval '1 month', date '2020-01-31' + 1, date '2020-03-01' - date '2020-02-01', date '2020-01-01' - 1, timestamp '2020-03-31' - interval '1 month'
select timestamp '2020-01-01 10:00' - timestamp '2019-12-31', age(timestamp '2020-03-01', timestamp '2019-01-31'), age(date '2000-01-01', date '1999-12-31')
select date '2020-01-01' + time '10:00', time '10:00' + interval '20 hours', time '10:00' - time '11:00', time '10:00' - interval '11 hours'
select date 'infinity', timestamp '-infinity', date 'epoch', timestamp 'epoch', date 'infinity' - date '2020-01-01'
select date '2020-02-30'
select date '2020-13-01'
select date 'x'
select timestamp '2020-01-01 25:00'
select timestamp '2020-01-01 24:00'
select time '24:00:00', time '23:59:60', time '10:00 pm', time '12 am'
select timestamptz '2020-06-01 12:00+02', timestamptz '2020-06-01 12:00 Europe/Berlin', timestamp '2020-06-01 12:00' at time zone 'America/New_York', timestamptz '2020-06-01 12:00Z' at time zone 'Asia/Tokyo'
select timestamptz '2020-06-01 12:00 Nope/Zone'
set timezone = 'Europe/Berlin'
select timestamptz '2020-03-29 02:30', timestamptz '2020-10-25 02:30', timestamptz '2020-06-01', timestamp '2020-06-01'::timestamptz, timestamptz '2020-03-28 12:00' + interval '1 day', timestamptz '2020-03-28 12:00' + interval '24 hours'
reset timezone
select extract(epoch from interval '1 day 1 sec'), extract(dow from date '2020-01-01'), extract(week from date '2021-01-01'), extract(isoyear from date '2021-01-01'), extract(quarter from date '2021-05-01'), extract(microseconds from time '1:2:3.456'), extract(julian from date '2000-01-01')
select extract(nope from now())
select extract(hour from date '2020-01-01')
select date_part('hour', timestamp '2020-01-01 10:30'), date_trunc('week', timestamp '2020-01-01 10:30'), date_trunc('quarter', date '2020-05-05'), date_trunc('hour', interval '1 day 2:30')
select date_trunc('nope', now())
select make_date(2020,2,30)
select make_date(-1,1,1), make_time(1,2,3.5), make_interval(days=>3, hours=>2), make_timestamp(2020,1,2,3,4,5.5)
select to_char(timestamp '2020-01-05 15:06:07.89', 'YYYY-MM-DD HH24:MI:SS.MS Day Mon DDD IW Q AM TZ FMDay FMDD'), to_date('05 Jan 2020','DD Mon YYYY'), to_timestamp('2020-01-05 15','YYYY-MM-DD HH24')
select to_date('2020-02-30','YYYY-MM-DD')
select to_timestamp(1.5), to_timestamp('infinity'::float8)
select (date '2020-01-01', date '2020-02-01') overlaps (date '2020-01-15', interval '1 day')
select generate_series(date '2020-01-01', date '2020-01-03', interval '1 day')
select generate_series(1,10,0)
select * from generate_series(1.0, 2.0, 0.5) g
select justify_interval(interval '35 days 25 hours'), justify_days(interval '35 days'), isfinite(date 'infinity')
select '1 foo'::interval
select '1:2:3:4'::interval
select interval '1 year' + date '2020-02-29', date '2020-02-29' + interval '1 year', timestamp '2020-01-01' + 1
select now() - now(), current_date - current_date, localtime = localtime, pg_typeof(current_time), pg_typeof(localtimestamp)
select array[1,2,3], array[[1,2],[3,4]], '{1,2}'::int[], array[]::int[], '{}'::text[], array['a b','c"d','e\f',null,'null','']
select array[]
select array[1,'x']
select array[1,2.5]
select (array[1,2,3])[2], (array[1,2,3])[0], (array[1,2,3])[1:2], (array[1,2,3])[2:], (array[[1,2],[3,4]])[2][1], (array[[1,2],[3,4]])[2]
select array[1,2] || 3, 0 || array[1,2], array[1,2] || array[3], array[1,2] || null, array[[1,2]] || array[3,4]
select array[1,2] || 'x'
select array[1,2] @> array[1], array[1,2] <@ array[1,2,3], array[1,2] && array[2,3], array[1,2] = array[1,2], array[1,2] < array[1,3]
select 1 = any(array[1,2]), 1 = all(array[1,1]), 3 <> any(array[1,2]), 1 = any('{1,2}'), 1 = any(null::int[])
select array_length(array[1,2],1), array_upper(array[1,2],1), cardinality(array[[1,2],[3,4]]), array_dims(array[[1,2],[3,4]]), array_ndims(array[1]), array_length('{}'::int[],1)
select array_append(array[1],2), array_prepend(0,array[1]), array_cat(array[1],array[2]), array_remove(array[1,2,1],1), array_replace(array[1,2],1,9), array_position(array[1,2],2), array_positions(array[1,2,1],1)
select array_to_string(array[1,null,3],',','*'), string_to_array('a,b,,c',','), string_to_array('abc',null), array_fill(7,array[2,2]), trim_array(array[1,2,3],1)
select '{1,2'::int[]
select '{1,a}'::int[]
select '[2:3]={1,2}'::int[], ('[2:3]={1,2}'::int[])[2]
select '{{1,2},{3}}'::int[]
select unnest(array[1,2]), unnest(array['a','b','c'])
select * from unnest(array[1,2], array['a','b','c']) u(x,y)
select array_agg(x order by x desc) from unnest(array[3,1,2]) x
select array_agg(array[1,2])
create table ar(a int[], b text[][], c int[3])
insert into ar values ('{1,2,3}','{{a,b},{c,d}}',array[1,2,3,4])
select '{"a":1,"b":{"c":[1,2,3]}}'::json->'b'->'c'->>1, '{"a":1}'::jsonb->>'a', '[1,2]'::jsonb->-1, '{"a":{"b":2}}'::jsonb#>'{a,b}', '{"a":{"b":2}}'::jsonb#>>'{a,b}'
select '{"a":1,"a":2}'::json, '{"a":1,"a":2}'::jsonb, '{"b":1,"aa":2,"c":[1.0,1e2]}'::jsonb
select '{"a":1}'::jsonb @> '{"a":1}', '{"a":1}'::jsonb ? 'a', '{"a":1}'::jsonb ?| array['b','a'], '{"a":1}'::jsonb ?& array['b','a'], '{"a":1}'::jsonb || '{"b":2}', '{"a":1}'::jsonb - 'a', '[1,2]'::jsonb - 0, '{"a":{"b":1}}'::jsonb #- '{a,b}', '{"a":1,"b":2}'::jsonb - array['a']
select '{a}'::json
select '{"a":1'::jsonb
select '"\u0000"'::jsonb
select '{"a":1}'::json = '{"a":1}'::json
select '{"a":1}'::jsonb = '{"a": 1}'::jsonb, '1'::jsonb < '2'::jsonb, '[]'::jsonb < '{}'::jsonb
select jsonb_set('{"a":1}','{b}','2'), jsonb_insert('[1,2]','{0}','0'), jsonb_typeof('null'), jsonb_array_length('[1,2]'), jsonb_strip_nulls('{"a":null}'), jsonb_pretty('{"a":[1]}')
select jsonb_array_length('{}')
select * from jsonb_each('{"a":1,"b":"x"}'), jsonb_array_elements_text('["q"]')
select * from json_each_text('{"a":1,"b":"x"}')
select json_build_object('a',1,'b',null,'c',array[1,2],'d',row(1,'x')), jsonb_build_array(1,'a',true,null), json_build_object('a')
select json_build_object(null,1)
select to_json('x'::text), to_jsonb(1.50), to_json(now()-now()), row_to_json(row(1,'a')), to_json(array[row(1,2)])
select json_agg(x order by x), jsonb_object_agg(x, x*2), json_object_agg('k'||x, null) from generate_series(1,3) x
select json_object('{a,1,b,2}'), json_object('{a,b}','{1,2}')
select ('{"a":5}'::jsonb)['a'], ('{"a":[5,6]}'::jsonb)['a'][1]
select '1'::jsonb::int, '1.7'::jsonb::int, 'true'::jsonb::bool, '"x"'::jsonb::text
select '"x"'::jsonb::int
select '\xDEADbeef'::bytea, 'abc'::bytea, '\\x'::bytea, E'\\000'::bytea, length('\x00ff'::bytea), get_byte('\x01ff',1), substring('\x010203'::bytea from 2 for 1), '\x01'::bytea || '\x02', encode('\x0102','base64'), decode('zz','hex')
select '\xabc'::bytea
select 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{A0EEBC99-9c0b4ef8bb6d6bb9bd380a11}'::uuid
select 'zz'::uuid
select uuid '00000000-0000-0000-0000-000000000001' < uuid '00000000-0000-0000-0000-000000000002', pg_typeof(gen_random_uuid())
select 'abc' like 'a_c', 'a%c' like 'a\%c', 'abc' ilike 'A%', 'abc' not like 'x%', 'abc' similar to '(a|b)%', 'abc' ~ '^a', 'ABC' ~* 'b', 'a' !~ 'b', 'a\c' like 'a\\c', 'abc' like 'abc\'
select 'abc' like 'a%' escape 'xx'
select substring('hello' from 2 for 3), substring('hello' from 'l+'), position('l' in 'hello'), overlay('hello' placing 'XX' from 2 for 1), trim(both 'x' from 'xxaxx'), ltrim('  a'), rtrim('a  '), btrim('xay','xy'), lpad('a',3,'xy'), rpad('a',3), repeat('a',3), reverse('abc'), left('abc',-1), right('abc',2), split_part('a,b,c',',',2), split_part('a,b,c',',',-1), strpos('abc','c'), initcap('hello world'), translate('abc','ab','x'), ascii('a'), chr(97), md5('a'), replace('aaa','a','b'), concat_ws(',','a',null,'b'), quote_ident('A b'), quote_literal('a''b'), quote_nullable(null), to_hex(255), starts_with('abc','ab'), char_length('héé'), octet_length('héé'), bit_length('a'), format('%s %I %L %%', 'a', 'B c', null), format('%2$s %1$s', 'a','b')
select substring('abc' from -1 for 1)
select substring('abc' from 1 for -1)
select chr(0)
select repeat('a', -1), lpad('abc', 2), left('abc', 0), split_part('abc','',1)
select split_part('abc',',',0)
select format('%s')
select format('%d', 1)
select regexp_replace('foobar','o+','X','g'), regexp_matches('foobar','(o)(b)'), regexp_split_to_array('a1b2c','\d'), regexp_match('abc','x')
select 'a' ~ '['
select 'a' ~ '('
select 'a' 'b'
select 1 as "select", 2 as order
select 1 as "Select"
select 1 select
select 1 x, 2 "y z", 3 as int
select "a" from t
select * from pg_nope
select * from nope.t
select * from postgres.public.nope
select * from other.public.nope
select a.b.c.d.e from x
create table dup(a int, a int)
create table nopetype(a nope)
create table nope.x(a int)
create table ch(a int)
create table if not exists ch(a int)
drop table nope
drop table if exists nope
drop table ch, nope
drop view ch
drop index ch
drop schema public
drop schema nope
create table bad2(a int default b, b int)
create table bad3(a int check (nope > 1))
create table bad4(a int references nope)
create table bad5(a int references ch)
create table bad6(a int references ch(a))
create table bad7(a int default (select 1))
create table bad8(a int check (a > (select 1)))
create table bad12(a int check (a))
create table bad13(a int check (sum(a)>1))
create table bad14(a int, b int generated always as (a+c) stored)
create table bad15(a int, b int generated always as (random()) stored)
create table bad16(a int, b int generated always as (b) stored)
create table bad19(a serial, b bigserial, c smallserial, d int generated by default as identity (start 10 increment 5))
insert into bad19 default values returning *
insert into bad19(d) values (3) returning d
create table bad20(a int generated always as identity, b int)
insert into bad20 values (1,2)
insert into bad20 overriding system value values (1,2) returning *
insert into bad20 overriding user value values (100,2) returning *
update bad20 set a = 5
update bad20 set a = default where b=2 returning a
create table bad22(a varchar(-1))
create table bad23(a varchar(10485761))
create table bad24(a int(3))
create table bad25(a timestamp(9))
create table bad26(a numeric(3,2,1))
create table bad27()
insert into bad27 default values
select * from bad27
select count(*) from bad27
create table bad29 (like ch including all)
create table bad31 as select 1 as a, 'x' as b, null as c
select * from bad31
create table bad32(x, y) as select 1
create table bad33(x, y) as select 1, 2 with no data
select * from bad33
create table bad34 as select 1 as a, 2 as a
select 1 as a into bad35
create table bad36(ctid int)
create table bad38(a int[] default '{}', b jsonb default '{}'::jsonb, c timestamptz default now(), d text default 'a' || 'b', e bool default true)
insert into bad38 default values returning a,b,d,e
