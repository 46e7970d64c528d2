create table al(a int primary key, b text, c numeric default 5)
insert into al values (1,'x'),(2,'y')
alter table al add column d int not null
alter table al add column d int not null default 7
alter table al add column d int
alter table al add column if not exists d int
alter table al add column e text check (e <> 'bad') default 'ok'
alter table al add column f serial
alter table al add column g int unique
alter table al add column h int references al
alter table al add column i int generated always as (a*2) stored
select * from al order by a
alter table al drop column nope
alter table al drop column if exists nope
alter table al drop column a
alter table al drop column a cascade
select * from al order by b
alter table al add primary key (b)
alter table al alter column b drop not null
alter table al alter column c type int
alter table al alter column c type text using c::text || '!'
alter table al alter column c type int
alter table al alter column c type int using c::int
alter table al alter column c set default 'zz'
alter table al alter column d set default 'q'
alter table al alter column d drop default
alter table al alter column d set not null
alter table al alter column g set not null
alter table al alter column nope set not null
alter table al alter column d drop not null
alter table al rename column d to dd
alter table al rename column nope to x
alter table al rename column dd to e
alter table al rename to al2
alter table al2 rename to al
alter table nope rename to x
alter table al add constraint c1 check (dd > 100)
alter table al add constraint c1 check (dd > 1)
alter table al add constraint c1 check (dd > 1)
alter table al drop constraint c1
alter table al drop constraint c1
alter table al drop constraint if exists c1
alter table al add constraint fk foreign key (dd) references nope
alter table al add constraint fk foreign key (dd) references al(g)
alter table al add constraint fk2 foreign key (dd) references al(e)
alter table al rename constraint fk to fk3
alter table al drop constraint fk3
alter table al add constraint u1 unique (e)
alter table al add constraint u2 unique (f, dd)
alter table al add constraint u3 unique (nope)
alter table al alter column f add generated always as identity
alter table al alter column f drop default
alter table al alter column f add generated always as identity
alter table al alter column f drop identity
alter table al alter column f drop identity
alter table al alter column i drop expression
alter table al set schema nope
create schema s1
alter table al set schema s1
select * from al
select * from s1.al order by b
alter table s1.al set schema public
alter table al owner to nope
alter table al owner to postgres
alter table al set (fillfactor = 70)
alter table al reset (fillfactor)
alter table al alter column b set statistics 100
alter table al alter column b set storage external
alter table al, al2 add column z int
alter table al add column z1 int, add column z2 int, drop column z1
alter table al add column a1 int, alter column a1 set default 3, alter column a1 set not null
alter table if exists nope add column x int
alter table only al add column oo int
truncate al
insert into al(b, e) values ('k','l') returning *
truncate nope
truncate al restart identity
insert into al(b) values ('k') returning f
create index on al (b)
create index ix1 on al (b, e desc nulls last)
create index ix1 on al (b)
create index if not exists ix1 on al (b)
create unique index ix2 on al (e)
create index on al (nope)
create index on nope (a)
create index ix4 on al using nope (b)
create index concurrently ix8 on al (b)
create index ix9 on al (b text_pattern_ops)
create index ix10 on al (b nope_ops)
alter index ix1 rename to ix11
drop index ix11
drop index ix11
drop index if exists ix11
drop index al_pkey
reindex table al
reindex index ix2
create sequence s1 start 5 increment 2 maxvalue 9
select nextval('s1'), nextval('s1'), nextval('s1')
select nextval('s1')
select currval('s1'), lastval()
create sequence s2 minvalue 1 maxvalue 2 cycle
select nextval('s2'), nextval('s2'), nextval('s2')
create sequence s3 increment -1 minvalue -2
select nextval('s3'), nextval('s3')
select nextval('s3')
select setval('s1', 7), setval('s1', 5, false), nextval('s1')
select setval('s1', 100)
select setval('s1', 0)
select currval('s2x')
create sequence s4
select currval('s4')
alter sequence s1 restart
select nextval('s1')
alter sequence s1 restart with 9 maxvalue 20
select nextval('s1'), nextval('s1')
alter sequence s1 increment by 0
alter sequence s1 minvalue 100
create sequence s5 start 0 minvalue 1
create sequence s6 minvalue 5 maxvalue 4
create sequence s7 as smallint maxvalue 100000
create sequence s8 cache 0
create sequence s1
select * from s4
select last_value, is_called from s1
alter sequence s4 owned by al.b
alter sequence s4 owned by nope.b
drop table al
select nextval('s4')
create view v1 as select 1 as a, 'x'::text as b
create or replace view v1 as select 1 as a
create or replace view v1 as select 1 as a, 'y'::text as b, 3 as c
create or replace view v1 as select 'q' as a, 'y'::text as b, 3 as c
select * from v1
create view v1 as select 2
create view v2(x,y) as select 1
create view v2(x) as select 1, 2
select * from v2
create view v3 as select a, a from v1
create view v4 as select * from nope
drop view v1
drop table v1
drop view if exists nope
create table base(id int primary key, t text, n int)
insert into base values (1,'a',1),(2,'b',2),(3,null,3)
create view vb as select id, upper(t) as u from base where n > 1
select * from vb order by id
drop table base
drop table base cascade
select * from vb
create temp table tt(a int) on commit drop
create temporary table tt2(a int)
select * from tt2
create table public.tt2(a int)
drop table tt2
drop table tt2
comment on table nope is 'x'
create table cm(a int)
comment on table cm is 'hello'
comment on column cm.a is 'col'
select obj_description('cm'::regclass), col_description('cm'::regclass, 1)
select 'nope'::regclass
select 'cm'::regclass::text, 'int4'::regtype, 'integer'::regtype::oid, 'pg_catalog'::regnamespace, to_regclass('nope'), to_regtype('nope')
select 'nope'::regtype
select 'sum(int)'::regprocedure
select 'sum'::regproc
select 'now'::regproc
create role r1
create role r1
drop role r1
drop role r1
drop role if exists r1
create user u1 password 'x'
alter user u1 nosuperuser createdb
drop user u1
grant select on cm to public
revoke all on cm from public
grant select on cm to nope
lock table cm
begin
lock table cm in share mode
lock nope
rollback
begin
savepoint a
insert into cm values (1)
rollback to a
select * from cm
release a
release a
rollback
set nope = 1
set nope.x = 1
show nope.x
show nope
set work_mem = 'x'
set work_mem = '1GB'
show work_mem
set work_mem to default
set work_mem = 1
set search_path = nope, public
show search_path
reset search_path
set statement_timeout = '1s'
show statement_timeout
reset all
set timezone = 'Nope/X'
set time zone 5
show timezone
set time zone local
set datestyle = 'nope'
set transaction read only
show server_version_num
show all_nope
discard all
explain (costs off) select 1
explain (nope) select 1
explain analyze nope
vacuum nope
vacuum cm
analyze cm
analyze cm (nope)
begin
vacuum cm
rollback
copy nope to stdout
copy cm (nope) to stdout
declare c cursor for select 1
begin
declare c cursor for select g from generate_series(1,5) g
fetch 2 from c
fetch all from c
fetch backward 1 from c
move 1 in c
close c
close c
commit
begin
declare c scroll cursor for select g from generate_series(1,5) g
fetch last from c
fetch prior from c
fetch absolute 2 from c
fetch relative -1 from c
fetch first from c
fetch 0 from c
commit
listen x
notify x, 'y'
unlisten *
checkpoint
prepare p1(int) as select $1 + 1
execute p1(2)
prepare p1 as select 1
execute p1
explain (costs off) execute p1(1)
deallocate all
select pg_sleep(0)
select version() like 'PostgreSQL 15%'
select current_user, session_user, current_database(), current_catalog, user
select txid_current() > 0, pg_current_xact_id() is not null
select current_setting('nope')
select pg_size_pretty(1024::bigint), pg_size_pretty(10240000::bigint), pg_size_bytes('1 MB')
select has_table_privilege('cm','select'), has_schema_privilege('public','usage')
select has_any_column_privilege(10, 'cm'::regclass::oid, 'select'), has_any_column_privilege('postgres', 'cm', 'insert')
select has_language_privilege('postgres', 'internal', 'usage'), has_type_privilege('postgres', 'int4', 'usage'), has_tablespace_privilege(10, 1663, 'create')
select has_function_privilege(10, 'lower(text)', 'execute'), has_function_privilege(10, 'lower(text)'::regprocedure::oid, 'execute')
select pg_get_viewdef('pg_tables'::regclass) is not null
select format_type(1043, 14), format_type(1700, 655366), format_type(23, null), format_type(99999, null)
select count(*) > 0 from pg_timezone_names
select count(*) from pg_stat_get_activity(null) where pid = pg_backend_pid()
select generate_series(1,3), generate_series(1,2)
select * from generate_series(1,3) with ordinality
select * from rows from (generate_series(1,3), generate_series(1,2)) x(a,b)
select unnest('{1,2}'::int[]) + 1 as x
select case when true then generate_series(1,2) end
select coalesce(generate_series(1,2), 0)
select 1 where generate_series(1,2) = 1
select * from unnest(array[1,2]) x where x > 1
select x from unnest(array[1,2]) as t(x)
select string_agg(x, ',' order by x desc) from unnest(array['a','b']) x
select count(distinct x), sum(distinct x) from unnest(array[1,1,2]) x
select array_agg(distinct x order by x desc) from unnest(array[1,1,2]) x
select percentile_cont(0.5) within group (order by x) from generate_series(1,4) x
select mode() within group (order by x) from unnest(array[1,1,2]) x
select every(x > 0), bool_or(x > 3), bit_and(x), bit_or(x) from generate_series(1,4) x
select stddev(x), variance(x), corr(x, x*2), regr_slope(x, x*2) from generate_series(1,4) x
select avg(x), avg(x::numeric), avg(x::float8), sum(x::int2), sum(x::int8), min(x::text) from generate_series(1,4) x
select sum(x) from (values ('1 day'::interval), ('2 hours')) v(x)
select max(array[x, 1]) from generate_series(1,4) x
select row_number() over (order by x), lag(x) over (order by x), lead(x, 2, 0) over (order by x), first_value(x) over (order by x), last_value(x) over (order by x), nth_value(x,2) over (order by x), ntile(2) over (order by x), cume_dist() over (order by x), percent_rank() over (order by x), dense_rank() over (order by x) from generate_series(1,4) x order by x
select sum(x) over (order by x rows between 1 preceding and 1 following), sum(x) over (partition by x%2 order by x range between unbounded preceding and current row) from generate_series(1,4) x order by x
select sum(x) over w, count(*) over (w order by x) from generate_series(1,4) x window w as (partition by x % 2) order by 1,2
select sum(x) over (order by x range between 1 preceding and '1' following) from generate_series(1,4) x order by x
select sum(x) over (order by x rows between -1 preceding and current row) from generate_series(1,4) x
select lag(x, 'a') over () from generate_series(1,4) x
select row_number() from generate_series(1,4) x
select x, row_number() over (partition by nope) from generate_series(1,4) x
select relname, relkind from pg_class where relname like 'pg_stat%' and relkind = 'v' and relname = 'pg_stat_all_tables'
