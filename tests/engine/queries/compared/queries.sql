create table t1(a int primary key, b text not null, c numeric(10,2) default 1.5, d timestamp, check (a > 0))
create table t2(id serial primary key, t1 int references t1 on delete cascade, j jsonb, arr int[])
insert into t1 values (1,'x',1.234,'2020-01-01'),(2,'y',null,null),(3,'zz',99.99,'2021-05-05 10:11:12.5')
insert into t2(t1,j,arr) values (1,'{"a":1,"b":[1,2,{"c":null}]}','{1,2,3}'),(1,'[1,"x"]','{}'),(2,null,null),(3,'"str"','{5,null}')
insert into t1 values (-1,'q')
insert into t1 values (5,null)
insert into t1(a) values (5)
insert into t1 values (6,'x', 1234567890.12)
insert into t1 values (6,'x', 'abc')
insert into t1 values (1,'dup')
insert into t1 values (1,'dup') on conflict do nothing
insert into t1 values (1,'dup') on conflict (a) do update set b = excluded.b || t1.b returning *
insert into t1 values (1,'dup') on conflict (b) do nothing
insert into t1 values (1,'dup') on conflict on constraint t1_pkey do update set b = 'k' where t1.a > 5 returning *
insert into t1 values (1,'dup') on conflict on constraint nope do nothing
insert into t1 values (7,'a'),(7,'b') on conflict (a) do update set b='z'
insert into t1 values (1,'dup') on conflict (a) do update set b = excluded.nope
insert into t1 values (1,'dup') on conflict (a) do update set nope = 1
insert into t1 values (1,'dup') on conflict do update set b = 'x'
insert into t1 as x values (1,'dup') on conflict (a) do update set b = x.b || '!' returning x.a, x.b
insert into t1 as x values (1,'dup') on conflict (a) do update set b = t1.b
insert into t1 values (1,'dup') on conflict (a) do update set (b, c) = row('row', default) returning *
insert into t1 values (1,'dup') on conflict (a) do update set a = 2
insert into t1 values (20,'a',default,default), (21,'b') 
insert into t1 values (20,'a',default,default), (21,'b',2,now()-now()+'2001-01-01') returning a,b,c,d
insert into t1 (a,b) select 30+g, 'g'||g from generate_series(1,3) g returning a
insert into t1 (a,b,a) values (1,2,3)
insert into t1 (a,nope) values (1,2)
insert into t1 (a,b) values (1)
insert into t1 (a) values (1,2)
insert into t1 default values
insert into nope values (1)
update t1 set b = 'u' where a = 1 returning *, a+1 as plus
update t1 set a = a + 100 where a = 1
select * from t2
update t1 set a = 1 where a = 101
update t1 set b = null where a = 2
update t1 set a = -5 where a = 2
update t1 set (a,b) = (select 1) where a=2
update t1 set (a,b) = (1,2,3) where a=2
update t1 set a=1, a=2
update t1 set t1.b = 'x'
update t1 x set b = y.j->>'a' from t2 y where y.t1 = x.a and x.a = 1 returning x.*, y.id
update t1 set b = default where a=2
update t1 set c = default where a=2 returning c
delete from t1 using t2 where t2.t1 = t1.a and t2.id = 4 returning t1.a, t2.id
delete from t1 where a > 20 returning a
delete from t1 x where exists (select 1 from t2 where t2.t1 = x.a and t2.id=999)
delete from t1 where a = (select 1, 2)
with x as (insert into t1 values (50,'w') returning a) select * from x
with x as (update t1 set b='cte' where a=50 returning *) select count(*), (select b from t1 where a=50) from x
with x as (delete from t1 where a=50 returning *), y as (insert into t1 select a+1, b from x returning a) select * from y
with x as (delete from t1 where a=51) select * from x
with x as (insert into t1 values (60,'p') returning a) insert into t2(t1) select a from x returning t1
with x(q) as (select 1) select * from x, x y
with x as (select 1), x as (select 2) select * from x
with recursive r(n) as (select 1 union all select n+1 from r where n<5) select * from r order by n
with recursive r(n) as (values (1) union select (n*2)%7 from r) select * from r order by n
with recursive r(n) as (select 1 union all select n+1 from r) select * from r limit 3
with recursive r as (select 1 as n union all select n+1.5 from r where n<3) select * from r
with recursive r as (select n from r) select * from r
with recursive r as (select 1 n union all select a.n+1 from r a, r b where a.n<3) select * from r
with recursive r as (select 1 n union all select n+1 from (select * from r) x where n < 3) select * from r
with recursive r as (select 1 n union all (select n+1 from r where n<3 order by n limit 1)) select * from r
with recursive a(n) as (select 1 union all select n+1 from b where n<4), b(n) as (select * from a) select * from a
with recursive t(a,path) as (select 1, array[1] union all select a+1, path||(a+1) from t where a<4) select * from t
with recursive r(n) as (select 1 union all select n+1 from r left join t1 on false where n<3) select * from r
with recursive r(n) as (select 1 union all select t1.a from t1 left join r on true where false) select * from r
with recursive r(n) as (select 1 intersect select n+1 from r) select * from r
select (select max(a) from t1 where t1.a < x.a) from t1 x order by a
select a from t1 where a = any(select t1 from t2) order by a
select a from t1 where a <> all(select t1 from t2 where t1 is not null) order by a
select a from t1 where (a,b) in (select t1, 'x' from t2)
select a from t1 where (a,b) = (select 1,'x')
select a from t1 where (a,b) in ((1,'x'),(2,'y'))
select a, (select array_agg(id order by id) from t2 where t2.t1=t1.a) from t1 order by a
select (select a, b from t1 limit 1)
select (select a from t1)
select 1 where 1 in (select)
select exists(select), exists(select from t1 where false)
select array(select a from t1 order by a desc)
select * from t1 x where a = (select max(a) from t1 y where y.b = x.b) order by a
select x.a, s.* from t1 x, lateral (select id, x.a*10 as k from t2 where t2.t1=x.a) s order by 1,2
select x.a, s.* from t1 x left join lateral (select id from t2 where t2.t1=x.a limit 1) s on true order by 1,2
select * from t1 x, (select x.a) s
select x.a, g from t1 x, generate_series(1,x.a) g where x.a<4 order by 1,2
select x.a, g.* from t1 x cross join lateral unnest(array[x.a, x.a+1]) with ordinality g(v,o) where a<3 order by 1,2
select * from t1 right join lateral (select t1.a) s on true
select * from t1 full join t2 on t1.a=t2.t1 order by 1,5
select t1.a, t2.id from t1 full join t2 on t1.a=t2.t1 and t2.id>2 order by 1,2
select t1.a, t2.id from t1 full join t2 on t1.a<t2.t1 order by 1,2
select a, b from t1 natural join (select 1 as a) s
select * from t1 join (select 1 as a, 'q' as z) s using (a)
select a from t1 join (select 1 as a, 'q' as z) s using (a)
select * from t1 join t1 on true
select * from t1 x join t1 y using (nope)
select * from (t1 x join t2 y on x.a=y.t1) j order by 1,5
select j.a from (t1 x join t2 y on x.a=y.t1) j order by 1
select x.a from (t1 x join t2 y on x.a=y.t1) j order by 1
select x.* from t1 x join t2 using (a)
select j.a from (t1 x join (select 1 a) y using (a) as j)
select a, count(*) from t1 group by rollup(a) order by a
select b, c, grouping(b,c), count(*) from t1 group by grouping sets ((b),(c),()) order by 1,2,3
select b, c, count(*) from t1 group by cube(b,c) order by 1,2,3
select b, sum(c) filter (where a>1) from t1 group by 1 order by 1
select b, a from t1 group by b
select a, b from t1 group by a order by a
select t1.*, count(t2.id) from t1 left join t2 on t1.a=t2.t1 group by t1.a order by 1
select count(*) from t1 having count(*) > 100
select 1 from t1 having true
select sum(count(*)) from t1
select sum(count(*)) over () from t1
select a from t1 where count(*) > 1
select max(a) filter (where max(a)>1) from t1
select rank() over (order by a), a from t1 where rank() over () = 1
select distinct on (b) b, a from t1 order by b, a desc
select distinct on (b) b, a from t1 order by a
select distinct a from t1 order by b
select a from t1 union select id from t2 order by 1
select a from t1 union select id from t2 order by a+1
select a from t1 union all select b from t1
select a,b from t1 union select a from t1
select 1 union select '2' order by 1
select null union select 2 order by 1
select '1' union select '2' order by 1
(select a from t1 order by a limit 1) union all (select a from t1 order by a desc limit 1)
select a from t1 except all select 1 order by 1
select 1 intersect select 1 union select 2 order by 1
select a from t1 order by 5
select a from t1 order by -a
select a as b from t1 order by b
select a as b, b as a from t1 order by a
select a from t1 order by nope
select a from t1 limit -1
select a from t1 limit 1 offset -1
select a from t1 limit a
select a from t1 order by a limit null offset null
select a from t1 order by a fetch first 2 rows with ties
select a from t1 fetch first 2 rows with ties
select a from t1 order by a fetch first row only
select a from t1 for update of nope
select count(*) from t1 for update
select a from t1 union select 1 for update
select distinct a from t1 for update
values (1,'a'),(2,'b') order by 1 desc
values (1),(2,3)
values (1),('x')
select * from (values (1,'a'),(2,null)) v(x,y) order by x
select * from (values (1,'a'),(2,null)) v(x) order by x
select * from (values (1,'a'),(2,null)) v(x,y,z) order by x
table t1
select (t1).b from t1 order by a
select (t1).nope from t1 order by a
select (t1.*) from t1 order by a
select row(t1.*, 1) from t1 order by a
select t1.nope from t1
select nope.a from t1
select x.a from t1
select public.t1.a from t1 order by a
select public.t1.a from t1 x
select nope.t1.a from t1
select a b c from t1
select from t1 where a=1
select *
select * from t1 where
select 1 +
selec 1
select '\x'
select 'abc
select "abc
select $$abc
select $1
select $1 + 1
select * from t1 where a = $1
prepare pq(int, text) as select $1, $2
execute pq(1)
execute pq(1, 2)
execute nope
deallocate pq
deallocate nope
select nope()
select nope(1, 'x')
select abs('x')
select abs(1,2)
select 1 + 'x'
select 1 + true
select 'a' + 'b'
select 'a' || 1
select 1 || 1
select not 1
select 1 and true
select case when 1 then 2 end
select case 1 when 'x' then 2 end
select case when true then 1 else 'x' end
select coalesce(1,'x')
select coalesce(1, now())
select nullif(1,'1')
select greatest(1, 2.5, null), least('a','b')
select 1 is distinct from null, null is not distinct from null
select 1 = null, null = null, 1 <> null
select 1 in (1,null), 2 in (1,null), 2 not in (1,null)
select 5 between 1 and 10, 5 between symmetric 10 and 1, 5 not between 1 and 3
select true is unknown, null::bool is unknown, null is true
select 1::int2::bool
select 1::bool, 'yes'::bool, 'of'::bool
select 'o'::bool
select '12'::int, ' 12 '::int, '1_000'::int
select '12.5'::int
select 12.5::int, 13.5::int, -0.5::int, 2.5::float8::int, 3.5::float8::int
select 2147483648::int
select -2147483648, pg_typeof(-2147483648), pg_typeof(2147483648), pg_typeof(-2147483649)
select - 2147483648, -(2147483648), pg_typeof(- 2147483648)
select -9223372036854775808, pg_typeof(-9223372036854775808), pg_typeof(9223372036854775808)
select 9223372036854775807 + 1
select 2147483647 + 1
select -32768::int2
select (-32768)::int2
select 32767::int2 + 1::int2
select 100000::int * 100000::int
select 1/0, 1%0
select 1.0/0
select 1::float8/0
select (-2147483648)/(-1)
select (-2147483648)::int4/(-1)::int4
select abs((-2147483648)::int4)
select -((-2147483648)::int4)
select 5/2, -5/2, 5%3, -5%3, 5.0/2, 5::float4/2
select 2^10, 2^0.5, (-8)^(1.0/3)
select |/ 25, ||/ 27, @ -5, 5 ! 
select 1e400::float8
select 'nan'::float8 = 'nan'::float8, 'inf'::float8, '-infinity'::float4
select 1e-400::float8
select '1e400'::float8
select 0.1::float4, 0.1::float8, 1/3.0, 1::float8/3
select 1.0::numeric(3,1), 99.95::numeric(3,1)
select 1.5::numeric(3,5)
select 0.00123::numeric(3,5)
select 12345::numeric(5,-2), 12355::numeric(3,-1)
select 1::numeric(0)
select 1::numeric(1001)
select 1.10 + 2.205, 1.10 * 2.20, 1.10 - 1.1, 10 / 3.0, 1e10::numeric, 1.5e-5::numeric
select round(2.5), round(-2.5), round(2.567, 2), round(1234, -2), trunc(-2.7), ceil(2.1), floor(-2.1), round(2.5::float8)
select 'NaN'::numeric > 1e100, 'Infinity'::numeric - 'Infinity'::numeric, 'Infinity'::numeric * 0
select sqrt(-1), ln(0)
select sqrt(-1.0)
select ln(0.0)
select power(0, -1)
select mod(5,0)
select factorial(20), gcd(12,18), lcm(4,6), div(7,2), sign(-3), width_bucket(5,0,10,5)
select to_char(1234.5, '9,999.99'), to_char(-1,'S99'), to_char(0.1,'0.99'), to_char(12,'RN')
select 1.e5, .5, 5., 1e5
select '  x'::char(5) || '|', 'ab'::char(5) = 'ab   ', length('ab  '::char(5)), 'abcdef'::char(3), 'abc   '::char(3)
