insert into p values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')
insert into p (id, v) values (4, 4) returning *
insert into p values (1, 1, 'x')
insert into p values (9, 0, 'x')
insert into p values (9, 1, null)
insert into p (v) values (1)
insert into c values (1, 1), (2, 2, 7), (3, null, 8) returning *
insert into c values (4, 99)
insert into c (id, pid, q) select id + 10, id, v from p where id < 4 returning id, g
update c set pid = 77 where id = 1
update c set q = q + 1, pid = 3 where id = 1 returning *
update c set pid = null where id = 2 returning *
update p set id = 30 where id = 3
update p set id = 40 where id = 4 returning *
delete from p where id = 3
delete from p where id = 40 returning *
delete from c where id = 3 returning id, pid, q, g
insert into node values (0, null, 'root'), (1, 0, 'a'), (2, 0, 'b'), (3, 1, 'c'), (4, 3, 'd')
insert into leaf values (1, 2, 1, 1), (3, 4, 2, 2), (4, 1, 3, 3)
insert into leaf (n, a) values (2, 9) returning *
update node set id = 100 where id = 1
select * from node order by id
select * from leaf order by a
delete from node where id = 100
select * from node order by id
select * from leaf order by a
update node set id = id + 1
select * from node order by id
insert into k2 values (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)
insert into c2 values (1, 'x', 1), (2, 'y', 2), (null, 'q', 3), (7, null, 4)
insert into c2 values (1, 'y', 1)
insert into c3 values (1, 'x'), (null, null)
insert into c3 values (1, null)
update k2 set a = 5 where a = 1
update k2 set a = 6 where a = 2
select * from c2 order by z
delete from k2 where a = 1
delete from k2 where a = 6
delete from k2 where a = 3
insert into u values (1, 1, 'a', 1), (2, 2, 'b', 2)
insert into u values (1, 5, 'z', 1) on conflict do nothing returning *
insert into u values (1, 5, 'z', 1) on conflict (a) do nothing
insert into u values (1, 5, 'z', 1) on conflict (a) do update set c = excluded.c || u.c, d = u.d + 1 returning *
insert into u values (7, 2, 'z', 1) on conflict (b) do update set c = 'conf' where u.d > 100 returning *
insert into u values (7, 2, 'z', 1) on conflict (b) do update set c = 'conf', a = u.a + 10 returning *
insert into u values (9, 2, 'z', 1) on conflict (a) do nothing
insert into u values (20, 20, 'm', 3), (20, 21, 'm', 3) on conflict (a) do update set c = 'twice'
insert into u select a + 100, b + 100, c, d from u returning a, b
select * from u order by a
update u set b = b + 1
update u set b = b + 1 where a > 1000
update u set d = d * 2, c = c || '!' from p where p.id = u.a returning u.a, p.name, u.d
update u set (c, d) = (select name, v from p where p.id = u.a) where a < 3 returning *
update u set (c, b) = ('row', 77) where a = 1 returning *
update u set c = (select max(name) from p) where a = 12 returning *
update u set d = 1000 where a = 1
update u set d = null, c = default where a = 1 returning *
delete from u using p where p.id = u.a returning u.a, p.id
delete from u where a in (select a from u where a > 100) returning a
delete from u where exists (select 1 from p where p.id = u.b)
select * from u order by a
insert into w values (1, 2, 3, 1.5, 2.5, 3.456, 'text', 'abc', 'ab', true, '2020-01-01', '{1,2}') returning *
insert into w (v) values ('toolong')
insert into w (ch) values ('toolong')
insert into w (v) values ('abc     ') returning v
insert into w (n) values (12345.6)
insert into w (s) values (40000)
insert into w (s) values (1.5), (2.5), ('3') returning s
insert into w (i) values (3000000000)
insert into w (t) values (5)
insert into w (t, v) select 5::text, 'x' returning t, v
insert into w (l, f, n) select i, i, i from w where i is not null returning l, f, n
insert into w (ar) values (array[1,2,3]), ('{}'), (null) returning ar
update w set i = i + 1, l = i, s = s + 1 where i = 2 returning i, l, s
insert into w (dt) values (date '2020-02-02') returning dt
insert into w default values returning *
with x as (insert into p values (50, 5, 'cte') returning id, v) select * from x
with d as (delete from p where id = 50 returning *) select count(*) from d
with up as (update p set v = v + 100 where id = 1 returning v) insert into u select 500, v, 'w', 1 from up returning *
with a as (select id from p where v > 1) update p set name = 'upd' from a where a.id = p.id returning p.id
with a as (select id from p where v > 2) delete from c using a where a.id = c.pid returning c.id
select * from p order by id
select * from c order by id
select id from p where id = 1 for update
select p.id, c.id from p join c on c.pid = p.id order by 2 for update of c
select id from p order by v desc limit 1 for update
update p set v = -1 where id = 1
update p set name = null where id = 1
update p set v = v where v is not null returning id
insert into p values (60, 1, 'z'), (61, 0, 'z')
select count(*) from p where id >= 60
delete from c
delete from p where v > 1 returning id
