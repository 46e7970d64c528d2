create table ar(id int primary key, a int[], b text[], c int[3], v varchar(3)[], n numeric(5,1)[], j jsonb, x int)
insert into ar values (1, '{1,2,3}', '{{a,b},{c,d}}', array[1,2,3,4], '{abc}', '{1.23}', '{"k":1}', 7), (2, null, null, '{}', null, null, null, null)
update ar set a[2] = 20, a[5] = 50 where id = 1 returning a
update ar set a[1:2] = array[7,8] returning a
update ar set b[1][2] = 'z' where id = 1 returning b
update ar set b[1] = 'z' where id = 1
update ar set b[1][3] = 'z' where id = 1
update ar set b[1][1][1] = 'z' where id = 1
update ar set b[2][3] = 'q' where id = 2 returning b
update ar set a['x'] = 1
update ar set a[null] = 1
update ar set a[1] = null where id = 1 returning a
update ar set a[1] = 'q'
update ar set a[1] = 1.5 returning a
update ar set a[1] = now()
update ar set a[x] = x, x = 8 where id = 1 returning a, x
update ar set a[-1] = -1 where id = 1 returning a
update ar set c[3] = 3 where id = 2 returning c
update ar set c[2:3] = '{5,6}' returning c
update ar set c[2:3] = '{5}'
update ar set c[3:2] = '{5}'
update ar set c[5:6] = '{9,9,9}' where id = 1 returning c
update ar set c[:2] = '{0,0}' where id = 1 returning c
update ar set c[6:] = '{1,1,1}' where id = 1 returning c
update ar set c[:] = '{1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}' where id = 1 returning c
update ar set c[1:2] = null where id = 1 returning c
update ar set c = '{}' where id = 2
update ar set c[1:] = '{1}' where id = 2
update ar set c[4:5] = '{1,2}' where id = 2 returning c
update ar set v[1] = 'abcd' where id = 1
update ar set v[2] = 'xy' where id = 1 returning v
update ar set n[1] = 12.345 where id = 1 returning n
update ar set a[1] = default
update ar set a[1] = 5, a = '{1}'
update ar set a = '{1}', a[1] = 5
update ar set x[1] = 5
update ar set a[1] = (select max(x) from ar) where id = 1 returning a
update ar set a[1] = s.v from (values (77)) s(v) where id = 1 returning a
insert into ar(id, a) values (1, '{9}') on conflict (id) do update set a[2] = excluded.a[1] + ar.a[1] returning a
update ar set a[2147483647] = 1 where id = 1
update ar set a[200000000] = 1 where id = 1
select a from ar order by id
