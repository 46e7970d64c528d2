select row_to_json(q) from (select a, b from t1 where a < 3) q
select jsonb_agg(t1 order by a) from t1 where a < 3
select to_jsonb(t2) from t2 where a = 4
select json_build_object('r', t1) from t1 where a = 1
select (t1).a, (t1).b from t1 where a = 2
select (q).a from (select a from t1 where a = 2) q
select t1::text from t1 where a = 1
select t1 is null, t1 is not null from t1 where a < 4
select count(t1) from t1
select jsonb_each('{"a":1,"b":2}')
select (jsonb_each('{"a":1,"b":2}')).*
select (jsonb_each('{"a":1,"b":2}')).key, a from t1 where a < 3
select generate_series(1,3), generate_series(1,2)
select generate_series(1, a) from t1 where a < 4
select generate_series(1, a) + 1, a from t1 where a < 4
select unnest(array[1,2]) * 2, unnest(array['a','b','c'])
select generate_series(1, generate_series(1,3))
select a, generate_series(1,2) from t1 where a < 3 order by a desc, 2 desc
select distinct generate_series(1,3) from t1
select count(*), generate_series(1,2) from t1
select b, generate_series(1,2), count(*) from t1 group by b order by 1, 2
select (information_schema._pg_expandarray(array[5,6])).n, information_schema._pg_expandarray(array[5,6])
select * from information_schema._pg_expandarray(array[5,6,7])
select * from unnest(array[1,2]) with ordinality
select x, y from unnest(array[1,2], array['a','b']) as u(x, y)
select * from generate_series(1,3) g, generate_series(1, g) h
select a, x from t1, unnest(array[a, a+1]) x where a < 3
select * from rows from (generate_series(1,2), unnest(array['a','b','c'])) as r(m, n)
select * from json_each('{"a":1}')
select '{int,int8}'::regtype[]
select 't1'::regclass, 't1'::regclass::text, 'int4'::regtype
select sum(x) over w, count(*) over w, first_value(x) over w, last_value(x) over w, nth_value(x, 2) over w from t2 window w as (partition by b order by x, a nulls first)
select a, x, rank() over (order by x), dense_rank() over (order by x), percent_rank() over (order by x), cume_dist() over (order by x), ntile(3) over (order by x, a) from t2 order by x, a
select a, sum(a) over (order by a range between 2 preceding and 2 following) from t1 order by a
select a, sum(a) over (order by a groups between 1 preceding and 1 following exclude current row) from t1 order by a
select d, count(*) filter (where a > 5) over (partition by d) from t1 order by d, a
select b, array_agg(d order by d desc nulls last), string_agg(distinct b, ',') from t1 group by b order by b
select percentile_cont(0.5) within group (order by a), percentile_disc(0.25) within group (order by a), mode() within group (order by b) from t1
select stddev(a), variance(a), avg(c), corr(a, d) from t1
select avg(a)::numeric(10,4), sum(c) from t1
select exists(select 1 from t1 where a = 1) and exists (select 1 from t2 where a = 4)
select case when exists (select 1 from t2 where t2.a = t1.a) then 'y' else 'n' end from t1 order by a
select a from t1 where (select count(*) from t2 where t2.a = t1.a) > 1
select a from t1 where (a, d) in (select a, x from t2) or d = (select max(d) from t1)
select a from t1 where a = any (array(select a from t2))
select (select array_agg(x order by x) from t2 where t2.a = t1.a) from t1 where a < 6 order by a
select * from (select a, row_number() over (partition by b order by a desc) rn from t1) q where rn = 1 order by a
with a as (select 1 as n), b as (select n + 1 as n from a), c as (select n + 1 as n from b) select * from a union all select * from b union all select * from c
with recursive f(n, a, b) as (select 1, 0::bigint, 1::bigint union all select n + 1, b, a + b from f where n < 50) select max(b) from f
with recursive g(a, path) as (select a, array[a] from t1 where a = 1 union all select t1.a, path || t1.a from t1 join g on t1.d = g.a where not t1.a = any(path) and array_length(path, 1) < 3) select * from g order by path
select a from t1 where a in (with q as (select a from t2) select a from q)
with q as (select a, (select count(*) from t2 where t2.a = t1.a) c from t1) select * from q where c > 0 order by a
select * from t1 left join t2 using (a) where t2.a is null order by a
select count(*) from t1 full join t2 on t1.a = t2.a and t1.b = t2.b
select t1.a, t2.a from t1 full join t2 on t1.a = t2.a where t1.a is null or t2.a is null
select coalesce(t1.a, t2.a) as k, count(*) from t1 full join t2 using (a) group by 1 order by 1
select b, count(*) from (select b from t1 union all select b from t2) q group by b order by b
(select a from t1 intersect select a from t2) except select x from t3 order by 1
select a from t1 order by b nulls first, c desc limit 3 offset 1
select a from t1 order by a % 3, a limit 5
select a, a % 3 as m from t1 order by m desc, a limit 5
select b as a from t1 order by a limit 3
select upper(b) u from t1 group by upper(b) order by u
select a % 3, count(*) from t1 group by a % 3 having count(*) > 6 order by 1
select 1 from t1 group by () having count(*) > 1
select sum(a) from t1 group by b order by max(d) nulls last, 1
select b, sum(a) as s from t1 group by b having sum(a) > (select avg(a) from t1) order by s
select max(t2.x) from t1 left join t2 on t1.a = t2.a group by t1.b order by 1
select t1.a, t1.b, count(t2.x) from t1 left join t2 on t1.a = t2.a group by t1.a order by t1.a
select least(a, d), greatest(a, d, 3) from t1 order by a
select a from t1 where b is distinct from 'b1' order by a
select a from t1 where a not between 3 and 18 order by a
select a from t1 where b in ('b1', null) order by a
select a from t1 where b not in ('b1', 'b2') order by a
select a from t1 where b not in ('b1', null) order by a
select a::text || ':' || coalesce(b, '-') from t1 order by a limit 4
select date '2020-01-31' + interval '1 month', timestamp '2020-01-01 10:00' - timestamp '2019-12-31', age(timestamp '2020-03-01', timestamp '2020-01-15')
select 7 / 2, 7 % 2, -7 / 2, -7 % 2, 7.0 / 2, 2 ^ 10, 10::numeric / 3, 1e10::float8, 0.1::real
select 1::int2 / 0
select 2147483647 + 1
select 9223372036854775807 + 1
select substring('hello' from 2 for 3), position('l' in 'hello'), 'a' || null, concat('a', null, 1), lpad('x', 3, '*'), trim('  x '), replace('abc', 'b', 'd'), split_part('a,b,c', ',', 2)
select '[1,2,3]'::jsonb -> 1, '{"a":{"b":2}}'::jsonb #>> '{a,b}', '{"a":1}'::jsonb @> '{"a":1}', jsonb_array_length('[1,2]')
select array[1,2,3] @> array[2], 2 = any(array[1,2]), array_position(array['a','b'], 'b'), array_remove(array[1,2,1], 1), cardinality(array[[1,2],[3,4]])
select string_to_array('a,b', ','), array_to_string(array[1,null,3], ',', '*'), regexp_replace('abc', 'b', 'x'), 'abc' ~ '^a', regexp_split_to_array('a b', ' ')
select coalesce(null, null), nullif(1, 1), case when null then 1 end
select row(1, 'a'), row(1, null) is null, row(1,2) < row(1,3)
select a, lag(a) over (partition by b order by a), lead(a, 1, -1) over (partition by b order by a) from t1 order by a
