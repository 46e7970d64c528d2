select * from t1
select a, b from t1 where a = 5
select a, b from t1 where a in (1, 5, 7, 99)
select a, b from t1 where a = any(array[3,4])
select a from t1 where a between 3 and 8 and b is not null
select a from t1 where a > 15 or a < 3
select a from t1 where b = 'b1' and c > 2
select a from t1 where d is null
select a from t1 where d < 5
select a from t1 where d > 5
select a, d from t1 order by d, a
select a, d from t1 order by d desc, a limit 5
select a, d from t1 order by d nulls first, a limit 5
select a from t1 order by a desc limit 3 offset 2
select a from t1 where d = 3 order by a
select d, count(*) from t1 group by d order by d
select b, d, count(*), sum(a), min(c), max(c), avg(a) from t1 group by b, d order by 1, 2
select b, count(*) from t1 group by b having count(*) > 3 order by 2, 1
select count(*), sum(a), avg(c) from t1 where false
select count(*) from t1 where a > 100
select max(a), min(a), max(d), min(d) from t1
select max(d) from t1 where a < 5
select min(a) + max(a) from t1
select distinct b from t1 order by b
select distinct b, d from t1
select distinct on (b) b, a from t1 order by b, a desc
select a, (select count(*) from t2 where t2.a = t1.a) from t1 order by a
select a from t1 where exists (select 1 from t2 where t2.a = t1.a)
select a from t1 where not exists (select 1 from t2 where t2.a = t1.a)
select a from t1 where a in (select a from t2)
select a from t1 where a not in (select a from t2 where a is not null)
select a from t1 where a not in (select a from t2)
select a from t1 where d in (select d from t2 where t2.b = t1.b)
select a from t1 where a > all (select a from t2 where b = 'b1')
select a from t1 where a > any (select a from t2 where b = 'b1')
select a from t1 where a = (select max(a) from t2)
select a from t1 where (a, b) in (select a, b from t2)
select a, a in (select a from t2) from t1 order by a
select a, d in (select d from t2) from t1 order by a
select a, exists (select 1 from t2 where t2.a = t1.a) as e from t1 order by a
select a, array(select t2.a from t2 where t2.b = t1.b order by 1) from t1 order by a
select t1.a, t2.x from t1 join t2 on t1.a = t2.a
select t1.a, t2.x from t1 left join t2 on t1.a = t2.a
select t1.a, t2.x from t1 right join t2 on t1.a = t2.a
select t1.a, t2.x from t1 full join t2 on t1.a = t2.a
select t1.a, t2.x from t1 left join t2 on t1.a = t2.a and t2.x > 5
select t1.a, t2.x from t1 left join t2 on t1.a = t2.a where t2.x is null
select t1.a, t2.x from t1 left join t2 on t1.a = t2.a where t2.x > 5
select t1.a, t2.x from t1 left join t2 on t1.a = t2.a and t1.b = 'b1'
select t1.a, t2.x, t3.y from t1 join t2 using (a) join t3 on t3.x = t2.x
select t1.a, t2.x, t3.y from t1 left join t2 using (a) left join t3 on t3.x = t2.x
select t1.a, t2.x, t3.y from t1 left join (t2 join t3 on t3.x = t2.x) on t1.a = t2.a
select * from t1 natural join t2
select a from t1 full join t2 using (a) order by 1
select t1.a, t2.a from t1 cross join t2 where t1.a + t2.a = 10
select t1.a, t2.a from t1, t2 where t1.a < t2.a and t1.b = t2.b
select x.a, y.a from t1 x, t1 y where x.d = y.d and x.a < y.a
select t1.a, l.s from t1, lateral (select sum(x) as s from t2 where t2.a = t1.a) l
select t1.a, l.x from t1 left join lateral (select x from t2 where t2.a = t1.a order by x limit 1) l on true
select t1.a, l.m from t1 join lateral (select max(x) as m from t2 where t2.b = t1.b and t2.a < t1.a) l on l.m > 3
select q.b, q.n from (select b, count(*) as n from t1 group by b) q where q.n > 3
select q.a, t2.x from (select a, b from t1 where d > 2) q left join t2 on q.a = t2.a
select * from (select a, b from t1 limit 3) q
select v1.a from v1 where v1.b = 'b2'
select v1.a, t2.x from v1 join t2 on v1.a = t2.a
select t2.a, v1.b from t2 left join v1 on v1.a = t2.a
with q as (select a, b from t1 where a < 10) select * from q where b = 'b1'
with q as (select a, b from t1 where a < 10) select x.a, y.a from q x join q y on x.b = y.b and x.a < y.a
with q as materialized (select a from t1) select count(*) from q
with recursive r(n) as (select 1 union all select n + 1 from r where n < 10) select sum(n) from r
with recursive r(n) as (select 1 union select (n * 2) % 7 from r) select n from r
with recursive tree as (select a, d, 0 as lvl from t1 where a = 1 union all select t1.a, t1.d, lvl + 1 from t1 join tree on t1.d = tree.a where lvl < 4) select * from tree
select a from t1 union select a from t2
select a from t1 union all select a from t2
select a from t1 intersect select a from t2
select a from t1 except select a from t2
select b from t1 intersect all select b from t2
select b from t1 except all select b from t2
select a from t1 where a < 4 union all select x from t2 where x < 4 order by 1 desc limit 3
(select a from t1 order by a limit 2) union all (select a from t2 order by a desc limit 2)
select a::text from t1 where a < 3 union select b from t2
select 1 union select 2.5 union select null
values (1, 'a'), (2, null)
select * from (values (1, 'a'), (2, 'b')) v(n, s) join t1 on t1.a = v.n
select a, case when d is null then 'null' when d > 5 then 'big' else 'small' end from t1 order by a
select case b when 'b1' then 1 when 'b2' then 2 end from t1 order by a
select coalesce(d, a), nullif(d, 3), greatest(a, d), least(a, d) from t1 order by a
select a, d is distinct from 3, d is not distinct from null from t1 order by a
select a from t1 where (a, b) < (5, 'b2') order by a
select a from t1 where (d > 3) is not true order by a
select a from t1 where not (d > 3) order by a
select a, b like 'b%', b like '_1', b not like 'b1', b ilike 'B1' from t1 order by a
select a from t1 where b like 'b1%' order by a
select a, row_number() over (order by a), rank() over (partition by b order by d), sum(a) over (partition by b) from t1 order by a
select a, sum(a) over (order by a rows between 1 preceding and 1 following), lag(a) over (order by a), lead(a, 2, 0) over (order by a) from t1 order by a
select a, count(*) over () from t1 where a < 4
select b, sum(sum(a)) over (order by b) from t1 group by b order by b
select b, d, count(*) from t1 group by rollup (b, d) order by 1, 2
select b, d, count(*), grouping(b, d) from t1 group by cube (b, d) order by 1, 2, 4
select b, count(distinct d), sum(distinct d), count(*) filter (where d > 3) from t1 group by b order by b
select string_agg(b, ',' order by a) from t1 where a < 5
select array_agg(a order by a desc) from t1 where a < 5
select bool_and(a > 0), bool_or(a > 10), every(d > 0) from t1
select array[a, d], a || 'x', b || a from t1 where a < 4 order by a
select (array[1,2,3])[2], (array[1,2,3])[2:3], array_length(array[1,2], 1)
select lower(b), upper(b), length(b), substring(b from 1 for 1), b || b from t1 where a < 4 order by a
select a + 1, a - 1, a * 2, a / 2, a % 3, -a, abs(-a), a::numeric / 3, a::float8 / 4 from t1 where a < 6 order by a
select a from t1 where a::text = '5'
select a from t1 where c = 5
select a from t1 where c::int = 5
select a from t1 where a = 5.0
select a from t1 where a = 5::int8
select a from t1 where a = 5000000000
select a from t1 where a < 5000000000 and a > 17::int2
select t1.a from t1 join t4 on t1.a = t4.k
select t1.a from t1 join t4 on t4.k = t1.a where t1.a < 10
select t4.k from t4 where k = 7
select t4.k from t4 where k = 7::int2
select i from t5 where i = 3 and j = 2
select i, j from t5 where i = 3 order by j
select i, j from t5 where i = 3 and j > 2 order by j desc
select i, j from t5 where i = 3 and j in (1, 3)
select i, j from t5 order by i, j desc limit 4
select i, j from t5 order by i desc, j limit 4
select i, j from t5 where i > 2 order by i, j desc limit 4
select i, j from t5 where i is null
select i, j from t5 where i is null order by j desc
select i, j from t5 where i >= 3
select i, j from t5 where i <= 3
select i, j from t5 where i = 2 and j is null
select i, max(j), min(j) from t5 group by i order by i
select max(j) from t5 where i = 2
select k from t6 where k = 'k3'
select k from t6 where k like 'k1%' order by k
select k from t6 where k > 'k2' order by k limit 3
select k from t6 where k >= 'k2' and k < 'k4' order by k desc
select t1.a from t1 where t1.a = (select min(t2.a) from t2 where t2.b = t1.b)
select t1.b, (select max(t2.x) from t2 where t2.b = t1.b) from t1 group by t1.b order by 1
select b, (select count(*) from t2 where t2.b = t1.b) as n from t1 group by b having (select count(*) from t2 where t2.b = t1.b) > 2 order by 1
select a from t1 order by (select count(*) from t2 where t2.a = t1.a), a
select count(*) from t1 a1, t1 a2, t1 a3 where a1.a = a2.d and a2.a = a3.d
select count(*) from t1 a1 join t1 a2 on a1.a = a2.d join t1 a3 on a2.a = a3.d join t2 on t2.a = a3.a join t3 on t3.x = t2.x join t4 on t4.k = a1.a
select t1.a from t1 where exists (select 1 from t2 where t2.a = t1.a and exists (select 1 from t3 where t3.x = t2.x))
select t1.a from t1 where exists (select 1 from t2 join t3 using (x) where t2.a = t1.a)
select t1.a from t1 where a in (select t2.a from t2 join t3 using (x)) and a not in (select y from t3 where y is not null)
select t1.a from t1 where a in (select max(a) from t2 group by b)
select t1.a from t1 where a in (select a from t2 union select y from t3)
select a from t1 where a in (select a from t2 limit 3) or d = 5
select a, b from t1 where b in ('b1', 'b3') and a in (1, 2, 3, 4)
select a from t1 where a <> all (array[1,2,3]) and a < 6
select sum(n) from (select count(*) as n from t1 group by b union all select count(*) from t2 group by b) q
select * from t1 where null
select 1 where exists (select 1 from t1 where a = 1)
select 1 where not exists (select 1 from t1 where a = 100)
select (select a from t1 where a = 1), (select a from t1 where a = 1000)
select count(*) from t1 where a = 1 and a = 2
select t1.a, t2.a from t1 left join t2 on false where t1.a < 3
select t1.a, t2.a from t1 left join t2 on true where t1.a < 3
select t1.a from t1 inner join t2 on t1.a = t2.a inner join t2 z on z.a = t1.a where t1.a = 4
select q.a, q.n from (select t1.a, 5 as n from t1) q left join t2 on t2.a = q.a where q.a < 5
select t2.a, q.n from t2 left join (select t1.a, 5 as n from t1) q on t2.a = q.a
select t2.a, q.n from t2 left join (select t1.a, coalesce(t1.d, 0) as n from t1) q on t2.a = q.a
select x.b, x.n, y.n from (select b, count(*) n from t1 group by b) x full join (select b, count(*) n from t2 group by b) y on x.b = y.b
select a from t1 limit 0
select count(*) from (select 1 from t1 limit 5) q
select a from t1 order by b desc, a limit 4
select a from t1 order by a fetch first 2 rows with ties
select d from t1 where d is not null order by d fetch first 2 rows with ties
select b, (select count(*) from t2 where t2.x > count(t1.a)) from t1 group by b order by b
select b, sum(a), (select max(t2.x) from t2 where t2.a < max(t1.d)) from t1 group by b having (select count(*) from t2 where t2.x < count(t1.a)) > 2 order by b
select (select count(t1.a)) from t1
select (select sum(t1.a) + x from t2 order by x limit 1) from t1
select b, (select array_agg(x order by x) from (select x from t2 where t2.b = t1.b and x > min(t1.a)) q) from t1 group by b order by 1
