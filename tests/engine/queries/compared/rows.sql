select (select sum(x.a)) from (values (1),(3)) x(a)
select (select sum(x.a) + y.b from (values (1)) y(b)) from (values (1),(3)) x(a)
select x.g, (select sum(x.a) + y.b from (values (1)) y(b)) from (values (1,1),(3,1)) x(a,g) group by x.g
select x.g, (select max(y.b) filter (where y.b < count(*)) from (values (1)) y(b)) from (values (1,1),(3,1)) x(a,g) group by x.g
select x.g from (values (1,1),(3,1)) x(a,g) group by x.g having exists (select 1 where sum(x.a) > 3)
select x.g from (values (1,1),(3,1)) x(a,g) group by x.g order by (select sum(x.a))
select (select count(x.a) from (values (1)) y(b) where y.b = sum(x.a)) from (values (1),(3)) x(a)
select (select sum(x.a + y.b) from (values (1)) y(b)) from (values (1),(3)) x(a)
select row(1,null) = row(1,2), row('1','x') = row(1,'x'), (1,'2020-01-01') > (1, date '2019-01-01')
select * from (values (1, date '2020-01-01')) v(a,b) where (a,b) >= ('1','2020-01-01')
select * from (values (1, date '2020-01-01')) v(a,b) where (a,b) in (('1','2020-01-01'), (2, null))
select row_to_json(row(1,'x')), row(1,'x'), row(1,null)::text, pg_typeof(row(1,'x')), array[row(1,'x')], to_jsonb(row('a',null,1.5))
select row('x') is null, count(row(1,'x')), row(1,'x') in (row(1,'x'))
select coalesce(row(1,'a'), row(2,'b')), case when true then row(1,'a') else row(2,'b') end
select row(1,'a') union select row(2,'b') order by 1
select * from (values (row(1,'a')), (row(2,'b'))) v(r) order by r desc
select row(1,'a') is distinct from row(1,null)
insert into nope select row(1,'x')
select string_agg('x', ','), array_agg('x'), json_agg('x'), json_build_object('a','b'), concat('x', 1), format('%s','x'), greatest('a','b'), array['a','b']
