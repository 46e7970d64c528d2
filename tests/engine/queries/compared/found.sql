create table fo(a int, b int)
insert into fo values (1, 1), (2, null)
select * from fo x left join fo y on x.a = y.b where y.a = all('{}'::int[])
select * from fo x left join fo y on x.a = y.b where not y.a = any('{}'::int[])
select * from fo x left join fo y on x.a = y.b where y.a = any('{1}'::int[])
select * from fo x full join fo y on x.a = y.b where y.a <> all('{7}'::int[])
select * from fo x full join fo y on x.a = y.b where y.a <> all(array[x.a])
select * from fo x full join fo y on x.a = y.b where y.a <> all(array[array_remove(array[x.a], x.a)])
select * from fo x join lateral (select max(x.a) from fo y) z on true
select * from fo x, generate_series(1, max(x.a)) z
select * from fo x, generate_series(1, (select max(x.a))) z
create table rn(id int primary key, b varchar(3), c text)
create index rn_b on rn(b, c)
alter table rn rename id to z
select attrelid::regclass, attname, attnum, format_type(atttypid, atttypmod) from pg_attribute where attrelid in ('rn_pkey'::regclass,'rn_b'::regclass) order by attrelid::regclass::text, 3
alter table rn alter z type bigint
select attrelid::regclass, attname, attnum, format_type(atttypid, atttypmod) from pg_attribute where attrelid in ('rn_pkey'::regclass,'rn_b'::regclass) order by attrelid::regclass::text, 3
alter table rn rename b to bb
alter table rn alter bb type varchar(10)
select attrelid::regclass, attname, attnum, format_type(atttypid, atttypmod) from pg_attribute where attrelid in ('rn_pkey'::regclass,'rn_b'::regclass) order by attrelid::regclass::text, 3
alter table rn alter bb type text
select attrelid::regclass, attname, attnum, format_type(atttypid, atttypmod), attlen, attalign, attstorage, attcollation from pg_attribute where attrelid in ('rn_pkey'::regclass,'rn_b'::regclass) order by attrelid::regclass::text, 3
alter table rn alter bb type date using null
select attrelid::regclass, attname, attnum, format_type(atttypid, atttypmod), attlen, attalign, attstorage, attcollation from pg_attribute where attrelid in ('rn_pkey'::regclass,'rn_b'::regclass) order by attrelid::regclass::text, 3
create unique index rn_c on rn(c)
alter table rn rename c to cc
alter table rn add constraint rn_u unique using index rn_c
select attrelid::regclass, attname, attnum, format_type(atttypid, atttypmod), attlen, attalign, attstorage, attcollation from pg_attribute where attrelid in ('rn_pkey'::regclass,'rn_b'::regclass) order by attrelid::regclass::text, 3
drop table rn
create table ga(a int generated always as identity, b int generated always as (a+1) stored, c int)
insert into ga(a) values ('x')
insert into ga(b) values ('x')
insert into ga(b) values (1)
insert into ga(a,b) values (1,2)
insert into ga(a,b) values (default,2)
insert into ga(b,a) values (2, 1)
insert into ga values (1),('x')
insert into ga(c) select 1 returning nope
insert into ga(a) select 1 returning nope
update ga set a = 'x'
update ga set c = 'x' where nope
update ga set nope = 1 where c = 'x'
update ga set nope = nope2
update ga set c = 'x' returning nope
update ga set c = 1, c = 'x'
update ga set c = 1, c = 2
update ga set c = 1, c = 2, a = 1
update ga set a = 2, nope = 1
update ga set (a, b) = (1, 'x')
update ga set (a, c) = (1, 2)
update ga set (c, c) = (1, 2)
update ga set (c, b) = (select 1, 'x')
update ga set (c, b) = (select 1, 2)
update ga set (c, nope) = (select 1, 2)
update ga set (c, b) = (select 1)
update ga set (c, b) = (1, default)
update ga set a = default, b = default
with w as (update ga set nope = 1 where nope2 = 1 returning *) select * from w
insert into ga(c) values (1) on conflict (c) do update set c = 'x' where nope
insert into ga(c) values (1) on conflict do nothing returning nope
alter table ga alter c type numeric(6,2) using c::date
alter table ga add d date
alter table ga alter d type numeric(6,2)
alter table ga alter d add generated always as identity
alter table ga alter d set default now()
alter table ga alter d add generated always as identity
alter table ga add constraint ga_u unique (c)
alter table ga add constraint ga_u unique (d)
alter table ga add constraint ga unique (d)
alter table ga add constraint ck check (c > 0)
alter table ga add constraint ck unique (d)
alter table ga add constraint ga_u check (d > now())
drop table ga
select num_nulls(variadic 1), concat(variadic 'x'::text)
select (-1)::int4::oid, '-1'::int4::oid, oid(-1), (-1)::int2::oid
select x::oid, x::oid > 5, x::oid::int8, x::regclass from (values (-1),(5)) v(x)
select x::int4, x::int4 + 1, x::int8, x::int4::int8 from (values ('4294967295'::oid),('1259'::oid)) v(x)
select 4294967295::oid::int4, 3000000000::oid::regclass::int4
select array[1,2]::oid[], array[-1]::oid[]
select regr_syy(y, x), regr_sxx(y, x), regr_sxy(y, x) from (values (1.5, 2), (0.5, 'infinity'), (2, 3)) v(y, x)
select regr_r2(y, x) from (values (1e308::float8, 2::float8), (-1e308, 5)) v(y, x)
select power('-infinity'::float8, 0.5), 1
select degrees(1e308), 1
select radians(5e-324), 1
select asinh(1.7e308), acosh(1.7e308), asinh(-2.5), acosh(1.5), asinh(0.1), asinh(-0.0)
select regexp_count('ABC', 'a', 1, 'a')
select array_agg(x) from (values ('{1}'::int[]), ('{}')) v(x)
select array_agg(x) from (values ('{}'::int[]), ('{1}')) v(x)
select 1e23::float8, 1.5e10::float4, 100663296::float4, 2::float8^70, '9007199254740993'::float8
create table us(a int, b text, c varchar(5))
alter table us alter a type date using b
alter table us alter a type date using nope
alter table us alter a type date using '2020-01-01'
alter table us alter a type text using b || c
alter table us alter b type int using max(c)
alter table us alter b type int using (select 1)
alter table us alter b type int using c
alter table us alter b type int using c::int
insert into us values ('x', 7, 'abcde')
alter table us alter b type varchar(3) using 'abcdef'::text
alter table us alter c type varchar(3)
alter table us alter c type varchar(3) using c::varchar(3)
select * from us
alter table us add check (nope > 0)
alter table us add check (a > 0)
alter table us add constraint x check (a)
alter table us add d int check (nope > 0)
alter table us add d int default nope
alter table us add d int default 'x'
alter table us add d int default 1.5
alter table us add d nope
alter table us alter a set default nope
alter table us alter a set default 1
alter table us alter b set default 'x'
alter table us add e int generated always as (nope) stored
alter table us add e int generated always as (a) stored
alter table us add unique (nope)
alter table us add foreign key (nope) references us
alter table us add foreign key (b) references us
alter table us add f int references nope
alter table us add f int not null null
alter table us add f int default 1 default 2
alter table us add a int
alter table us alter nope type int
alter table us drop nope
alter table us rename nope to x
drop table us
select '{"a":1, "b":x, "c":2}'::json
select '[1,2,3'::jsonb
create sequence gs
create table gn(id int generated always as identity, v int default nextval('gs'), g int generated always as (id * 10 + v) stored, t timestamptz default clock_timestamp(), h boolean generated always as (t = t) stored, check (g = id * 10 + v), n text)
insert into gn(n) values ('a') returning id, v, g
insert into gn(n) values ('b'), ('c') returning id, v, g
insert into gn(n) select 'd' from generate_series(1, 2) returning id, v, g
insert into gn(v) values (nextval('gs')) returning id, v, g
insert into gn(v) select nextval('gs') from generate_series(1, 2) returning id, v, g
insert into gn default values returning id, v, g
update gn set v = nextval('gs') where id < 4 returning id, v, g
update gn set v = v + nextval('gs')::int * 2, n = 'x' where id < 3 returning id, v, g
update gn set v = y.b + nextval('gs')::int from (values (1, 100), (2, 200)) y(a, b) where id = a returning id, v, g, b
update gn set v = default where id = 1 returning id, v, g
update gn set v = (select nextval('gs')) where id in (4, 5) returning id, v, g
select id, v, g, n from gn order by id
select nextval('gs'), count(*) from gn
drop table gn
drop sequence gs
create table ra(id int, b int, g int generated always as (coalesce(id, 7)) stored, check (coalesce(id, 8) > 0))
alter table ra rename id to other
create table rb(id int, b int, g int generated always as (coalesce(id, 7)) stored, check (coalesce(id, 8) > 0))
insert into rb(id) values (3) returning *
insert into ra(other) values (4) returning *
create index rb_bb on rb(id, id, b, id)
select attname from pg_attribute where attrelid = 'rb_bb'::regclass order by attnum
begin
create table if not exists rb(id serial)
insert into rb(id) values (5) returning *
select count(*) from rb
create index if not exists rb_bb on rb(b)
select sum(b) from rb
create schema if not exists public
select sum(id) from rb
create sequence if not exists rb_s
create sequence if not exists rb_s
select max(id) from rb
alter table if exists nope add a int
select min(id) from rb
alter table rb add column if not exists b int
select count(b) from rb
drop view if exists nope
select count(id) from rb
create or replace view rv as select 1 as a
create or replace view rv as select 1 as a
select * from rv
rollback
select count(*) from rb
insert into rb(id, g) values (1, 1) on conflict (id) do update set g = 5
insert into rb(id) values (1) on conflict (id) do update set g = 5
alter table rb alter g add generated always as identity
drop table ra, rb
create table td(a int default 5, b text default 'x', c int default length('abc'), d varchar(5) default 'y', e bool default true)
alter table td alter a type uuid using null
alter table td alter a type text
alter table td alter a type numeric(5,1) using 1
alter table td alter b type int using 1
alter table td alter c type date using null
alter table td alter c type bigint
alter table td alter d type int using 1
alter table td alter e type text
alter table td alter e type int using 1
insert into td default values returning *
drop table td
create schema "select"
create table "select"."order"("user" int primary key check ("user" > 0), "end" int unique default 5, "Mixed" text, "group" int references "select"."order"("user"), "offset" int generated always as ("end" * 2) stored, "select" varchar(3) default 'x', unique ("user", "end"), "timestamp" timestamp, "between" int, "coalesce" int check (coalesce("coalesce", "between") > 1), "int" int, "abs" int)
create index "table" on "select"."order"("group", "Mixed" desc)
create view "select"."limit" as select "user", "end" as "from", o."group" from "select"."order" o where "user" > 1 order by "end"
create sequence "select"."all"
select pg_get_indexdef(indexrelid) from pg_index where indrelid = '"select"."order"'::regclass order by indexrelid::regclass::text
select pg_get_constraintdef(oid) from pg_constraint where conrelid = '"select"."order"'::regclass order by pg_get_constraintdef(oid)
select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = '"select"."order"'::regclass order by adnum
select '"select"."order"'::regclass, '"select"."order"'::regtype, pg_typeof(o) from (select 1) x left join "select"."order" o on true
select format_type(2276, null), format_type(18, null), quote_ident('order'), quote_ident('between'), quote_ident('abs'), quote_ident('timestamp'), format('%I', 'user')
insert into "select"."order"("user", "group") values (1, 1) returning *
update "select"."order" set "end" = 7 returning *
alter table "select"."order" rename "end" to "when"
select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = '"select"."order"'::regclass order by adnum
alter table "select"."order" alter "user" type bigint
alter table "select"."order" set schema public
drop table "order" cascade
drop schema "select" cascade
