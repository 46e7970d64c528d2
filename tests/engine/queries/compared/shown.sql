create schema s1
create table s1.par(id int generated always as identity primary key, n numeric(8,2) default 1.5 check (n>0), t text not null, u uuid unique, constraint big check (id + 2 * 3 > 4 and (t <> 'x' or t is null) and not (id = 5)))
create table s1.kid(id serial primary key, pid int references s1.par, g int generated always as ((pid*2 - 1) * 3) stored, h text generated always as (lower(v || 'x')) stored, v text default 'ab' check (v in ('ab','cd') or length(v) > 3), c float8 check (c between 1 and 2 or c is distinct from 5), d date check (d > '2020-01-01' and coalesce(d, '2021-01-01') < '2030-01-01'), e boolean check ((e is true) = (e is not null)), check (pid - (id - 1) > 0), check (- id < 0), check ((id > 0 or pid > 0) and (id < 9 or (pid < 9 and c > 1))), check (v like 'a%' and (id % 2) * 3 = 3))
select conname, pg_get_constraintdef(oid, true), pg_get_constraintdef(oid) from pg_constraint where connamespace = 's1'::regnamespace order by conname
select a.attname, pg_get_expr(d.adbin, d.adrelid, true), pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum where d.adrelid in ('s1.par'::regclass, 's1.kid'::regclass) order by a.attname, 2
create view s1.v as select id from s1.kid
create sequence s1.sq
drop table s1.par
drop schema s1
drop schema s1 cascade
create schema s1
create table s1.a(id int primary key, s serial)
create table s1.b(id int references s1.a)
drop table s1.a
drop table s1.a cascade
drop schema s1 cascade
