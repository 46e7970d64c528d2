create table tree(id int primary key, par int, name text)
insert into tree values (1,null,'root'),(2,1,'a'),(3,1,'b'),(4,2,'aa'),(5,3,'ba'),(6,2,'ab')
create table edge(f int, t int)
insert into edge values (1,2),(2,3),(3,1),(3,4),(1,4)
with recursive s(id,par) as (select id, par from tree where par is null union all select t.id, t.par from tree t, s where t.par = s.id) search depth first by id set o select * from s order by o
with recursive s(id,par) as (select id, par from tree where par is null union all select t.id, t.par from tree t, s where t.par = s.id) search breadth first by id set o select * from s order by o
with recursive s as (select id, par, name from tree where par is null union all select t.* from s join tree t on t.par = s.id) search depth first by name, id set path select id, path from s order by path desc
with recursive s as (select * from tree where id = 1 union all select t.* from s join tree t on t.par = s.id) search breadth first by name set o select s.*, count(*) over () from s order by o
with recursive s(f,t) as (select * from edge where f = 1 union all select e.* from edge e, s where e.f = s.t) cycle f, t set is_cycle using path select * from s order by path
with recursive s(f,t) as (select f, t from edge where f = 1 union all select e.f, e.t from edge e, s x where e.f = x.t) cycle f set c to 'Y' default 'N' using p select f, t, c, p from s order by p, t
with recursive s(f,t) as (select f, t from edge union select e.f, e.t from edge e, s where e.f = s.t) cycle f, t set c to true default false using p select count(*), count(*) filter (where c) from s
with recursive s(f,t) as (select * from edge where f = 1 union all select e.* from edge e, s where e.f = s.t) search depth first by f, t set o cycle f, t set is_cycle using path select * from s order by o
with recursive s(f,t) as (select * from edge where f = 1 union all select e.* from edge e, s where e.f = s.t) search breadth first by f, t set o cycle f, t set is_cycle using path select * from s order by o
with recursive s(f,t) as (select * from edge where f = 1 union all select e.* from edge e, s where e.f = s.t and not s.is_cycle) cycle f set is_cycle using path select * from s
with recursive s(n) as (select 1 union all select n + 1 from s where n < 3) search depth first by n set o select array_agg(n order by o), (select o from s limit 1) from s
with recursive s(n) as (values (1) union all select n + 1 from s where n < 3) search depth first by n set o select * from s
with recursive s(n) as (select 1 union all (select n + 1 from s where n < 3 union all select 5 where false)) search depth first by n set o select * from s
with recursive s(n) as (select 1 union all select n from (select n + 1 as n from s where n < 3) q) search depth first by n set o select * from s
with recursive s(n) as (select 1 union all select n + 1 from s where n < 3) search depth first by m set o select * from s
with recursive s(n) as (select 1 union all select n + 1 from s where n < 3) search depth first by n, n set o select * from s
with recursive s(n) as (select 1 union all select n + 1 from s where n < 3) cycle m set c using p select * from s
with recursive s(n) as (select 1 union all select n + 1 from s where n < 3) cycle n set c using c select * from s
with recursive s(n) as (select 1) search depth first by n set o select * from s
with s(n) as (select 1) cycle n set c using p select * from s
create view cyclic as with recursive s(f,t) as (select f, t from edge where f = 1 union all select e.f, e.t from edge e, s where e.f = s.t) cycle f, t set c using p select f, t, c from s
select * from cyclic order by f, t, c
