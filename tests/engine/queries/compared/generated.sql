create table al(a int primary key, b text)
insert into al values (1,'x'),(2,'y')
alter table al add column i int generated always as (a*2) stored
select * from al order by a
update al set b = 'z' where a = 1
update al set i = default where a = 2
select * from al order by a
update al set a = 5, i = default where a = 2
select * from al order by a
create table fs(b text, f serial)
alter table fs alter column f drop default
insert into fs values ('k')
alter table fs alter column f add generated always as identity
insert into fs values ('k') returning f
alter table fs alter column f drop identity
insert into fs values ('k') returning f
truncate fs
truncate fs restart identity
insert into fs(b) values ('k') returning f
create table gg(a int, b int, s int generated always as (a + b) stored, check (s < 100))
insert into gg values (1,2)
update gg set a = 50 returning *
update gg set b = 90
alter table gg alter column a type bigint
alter table gg drop column a
alter table gg drop column a cascade
select * from gg
create table al(a int)
