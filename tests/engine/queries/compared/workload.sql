create table base(id int primary key, grp text, val int, ts timestamptz default '2020-01-01', arr int[], js jsonb)
insert into base select i, chr(97 + i % 3), i * 10, timestamptz '2020-01-01' + i * interval '1 day', array[i, i+1], jsonb_build_object('k', i, 'n', jsonb_build_object('m', i * 2)) from generate_series(1, 9) i
select grp, count(*), sum(val), array_agg(id order by id desc), string_agg(grp || id, '-' order by id), bool_and(val > 10), min(ts), max(arr), jsonb_agg(js->'k' order by id), avg(val)::numeric(10,2) from base group by grp order by grp
select date_trunc('month', ts) m, count(*) from base group by 1 order by 1
select grp, val, sum(val) over (partition by grp order by val) run, rank() over (order by grp), lag(val, 1, 0) over (partition by grp order by id) from base order by grp, val
select * from (select *, row_number() over (partition by grp order by val desc) rn from base) x where rn = 1 order by id
select b.id, x.* from base b cross join lateral jsonb_each(b.js) x where b.id < 3 order by 1, 2
select id from base where js @> '{"k": 3}' or js->'n'->>'m' = '8' order by id
select id from base where arr && array[3] order by id
select id from base where 3 = any(arr) order by id
select id from base where id = any('{1,2,3}') and grp in ('a','b') order by id
select id from base where (id, grp) in (select id, grp from base where val > 50) order by id
select id from base b where val = (select max(val) from base c where c.grp = b.grp) order by id
select id from base b where exists (select 1 from base c where c.grp = b.grp and c.id > b.id) order by id
select id from base b where not exists (select 1 from base c where c.grp = b.grp and c.id > b.id) order by id
select grp from base group by grp having count(*) = (select max(c) from (select count(*) c from base group by grp) x) order by grp
select a.id, b.id from base a left join base b on a.id = b.id + 5 and b.val > 10 order by 1, 2
select a.id, b.id from base a full join base b on a.id = b.id + 5 where a.id is null or b.id is null order by 1, 2
select count(*) from base a, base b, base c where a.id = b.id and b.id = c.id + 1
select id, case when val > 50 then 'big' when val > 20 then 'mid' else 'small' end sz from base order by id limit 4 offset 2
select distinct on (grp) grp, id from base order by grp, id desc
select grp, id from base order by grp desc nulls last, id limit 3
(select id from base where id < 3 union select id from base where id > 7) order by id desc
select id from base intersect select val / 10 from base where val > 50 order by 1
select id from base except select id from base where grp = 'a' order by 1
with x as (select grp, count(*) c from base group by grp) select b.id, x.c from base b join x using (grp) order by 1 limit 3
with recursive t(id, depth) as (select 1, 0 union all select b.id, depth + 1 from base b join t on b.id = t.id * 2 where depth < 5) select * from t order by 1
with upd as (update base set val = val + 1 where id <= 2 returning id, val) select * from upd order by id
with ins as (insert into base(id, grp) values (100, 'z') returning *), del as (delete from base where id = 9 returning id) select (select id from ins), (select id from del)
select count(*) from base
update base set (grp, val) = (select 'q', max(val) from base) where id = 1 returning id, grp, val
update base b set val = c.val from base c where c.id = b.id + 1 and b.id < 4 returning b.id, b.val
update base set arr = array_append(arr, 99), js = js || '{"z": null}' where id = 2 returning arr, js
update base set js = jsonb_set(js, '{n,m}', '"new"') where id = 3 returning js
delete from base using (values (4), (5)) v(x) where base.id = v.x returning id, v.x
insert into base(id, grp, val) values (1, 'dup', 1) on conflict (id) do update set val = base.val + excluded.val, grp = excluded.grp where base.val > 1000 returning *
insert into base(id, grp, val) values (1, 'dup', 1) on conflict (id) do update set val = base.val + excluded.val returning id, val
insert into base(id) values (1) on conflict (id) where id > 0 do nothing
insert into base(id) values (200), (200) on conflict do nothing
insert into base(id) values (200) on conflict (grp) do nothing
insert into base(id) select 1 from generate_series(1,2) on conflict (id) do update set val = 1
select id, val from base where id >= 200 or id < 3 order by id
select ts::date, ts at time zone 'UTC', extract(year from ts), to_char(ts, 'YYYY"y" Mon DD') from base where id = 2
select ts from base where ts between '2020-01-03' and '2020-01-05' order by 1
select ts from base where ts >= '2020-01-07'::date and ts < '2020-01-07'::date + interval '1 day'
select count(*) from base where ts > now() - interval '100 years'
select sum(val) filter (where grp = 'a'), count(*) filter (where grp = 'b') from base
select grp, sum(val) from base group by rollup (grp) order by grp nulls last
select grp, id % 2 as odd, count(*) from base group by grouping sets ((grp), (odd), ()) order by 1, 2
select coalesce(sum(val), 0), nullif(count(*), 0) from base where id = -1
select abs(val), val % 7, val / 3, val::float / 3, round(val / 3.0, 2), -val, val ^ 2, |/ val, val << 2, val & 12, val # 5, ~val from base where id = 6
select 'x' || null, concat('x', null), coalesce(null, 'd'), 5 || 'a', 'a' || 5.5, 'a' || true, 'a' || array['b'], 'a' || '{b}'::text[]
select length('abc'), substring('abcdef', 2, 3), split_part('a-b-c', '-', 2), regexp_replace('abc', 'b', 'X'), upper('a') || lower('B'), trim('  x '), lpad('1', 3, '0'), left('abc', 2), replace('aXa', 'X', '-'), strpos('abc', 'c')
select id from base where grp like 'a%' or grp similar to '(b|c)' or grp ~ '^q' order by id
select id from base where grp ilike 'A' escape '!' order by id
select id, grp from base where grp is not null and not (val is null) and (val > 10) is true order by id limit 2
create table parent(id int primary key)
create table child(id int primary key, pid int references parent on delete set null on update cascade)
insert into parent values (1), (2)
insert into child values (1, 1), (2, 2), (3, null)
insert into child values (4, 9)
update parent set id = 10 where id = 1
select * from child order by id
delete from parent where id = 2
select * from child order by id
delete from parent
select * from child order by id
alter table child drop constraint child_pid_fkey
insert into child values (5, 77)
alter table child add foreign key (pid) references parent
alter table child add constraint cfk foreign key (pid) references parent not valid
alter table child validate constraint cfk
insert into parent values (77)
alter table child validate constraint cfk
truncate parent
truncate parent cascade
select count(*) from child
drop table parent
drop table parent cascade
create table multi(a int, b int, c int, primary key (a, b), unique (c, a), check (a < b), check (c is null or c > 0))
insert into multi values (1, 2, 3), (1, 3, 4)
insert into multi values (1, 2, 9)
insert into multi values (2, 1, 9)
insert into multi values (2, 3, -1)
insert into multi values (1, 4, 3)
insert into multi values (null, 4, 3)
insert into multi values (3, 4, null), (4, 5, null) returning *
update multi set b = 2 where b = 3
update multi set a = a + 1, b = b + 1
select * from multi order by a, b
create table defs(a int default 1, b text default 'x' || 'y', c timestamptz default now(), d int default nextval('dseq'))
create sequence dseq
create table defs(a int default 1, b text default 'x' || 'y', c date default current_date, d int default nextval('dseq'), e bool default not false, f int[] default '{1,2}', g numeric default 1.50, h interval default '1 day', i text default null, j varchar(3) default 'abcd')
insert into defs(a) values (default)
alter table defs alter j set default 'abc'
insert into defs(a) values (default) returning a, b, c = current_date, d, e, f, g, h, i, j
insert into defs values (2, default, default, default, default, default, default, default, default, default) returning d
drop sequence dseq
drop sequence dseq cascade
insert into defs(a) values (3) returning d
select column_name, column_default, is_nullable, data_type, character_maximum_length, numeric_precision, datetime_precision, udt_name from information_schema.columns where table_name = 'defs' order by ordinal_position
select conname, contype, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'multi'::regclass order by conname
select indexname, indexdef from pg_indexes where tablename = 'multi' order by 1
select attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum where attrelid = 'defs'::regclass and attnum > 0 order by attnum
select tc.constraint_name, tc.constraint_type, kcu.column_name from information_schema.table_constraints tc join information_schema.key_column_usage kcu using (constraint_name, table_name) where table_name = 'multi' order by 1, 3
