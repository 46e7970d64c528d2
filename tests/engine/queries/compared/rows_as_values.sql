create table pt(a int, b text)
insert into pt values (1,'x'),(2,null)
select row_to_json(pt) from pt order by a
select row_to_json(pt.*) from pt order by a
select (q.k).x, (q.k).n from (select information_schema._pg_expandarray('{5,6}'::int[]) as k) q order by 1
select (q.k).* from (select information_schema._pg_expandarray('{5,6}'::int[]) as k) q order by 1
select (each).value from (select jsonb_each('{"a":1,"b":2}') each) q order by 1
select (q.r).f2 from (select row(1,'x'::text) r) q
select (q.r).b, to_json(q.r) from (select p as r from pt p) q order by 1
select row_to_json(x) from (select p as p, 1 as n from pt p) x
select row_to_json(x) from (select row(1,'a') as p, 1 as n) x
select to_jsonb(q.k) from (select information_schema._pg_expandarray('{5,6}'::int[]) as k) q
with c as (select pt from pt) select row_to_json(pt) from c
select json_build_object('a', p, 'b', (select q from pt q where q.a=p.a)) from pt p order by a
select json_agg(c) from (values (1),(9)) v(k) left join pt c on c.a=v.k
select row_to_json(c), v.k from (values (1),(9)) v(k) left join pt c on c.a=v.k order by k
select row_to_json(row(1,'a')), to_json(row(1,row(2,3)))
select json_agg(row(a,b)) from pt
select jsonb_agg(x) from (select a, (select jsonb_agg(y) from (select b) y) as kids from pt order by a) x
select row_to_json(x) from (select a, array(select b from pt) bs from pt order by a limit 1) x
select json_object_agg(a, p) from pt p
select to_json(p) from pt p order by 1::text
select (pt).zz from pt
select (row(1)).zz
select (5).zz
select (q.r) is null from (select row(null,null) r) q
select c is null, c is not null, count(c) over () from (values (1),(9)) v(k) left join pt c on c.a=v.k order by k
create table jz(a int, b int)
create index jzi on jz(a desc,b)
select indkey, indkey[0], indkey[1],indkey[2], indoption[0], indoption[1], array_lower(indkey,1) from pg_index where indrelid='jz'::regclass
select conkey, conkey[1], array_lower(conkey,1) from pg_constraint where conrelid='jz'::regclass
select count(*) from pg_index i join pg_attribute a on a.attrelid=i.indrelid and a.attnum=any(i.indkey) where i.indrelid='jz'::regclass
prepare q1 as select * from jz
execute q1
alter table jz add c int
execute q1
alter table jz drop c
execute q1
alter table jz rename b to bb
execute q1
alter table jz rename bb to b
prepare q2 as insert into jz values (1,2) returning a
alter table jz add c int
execute q2
alter table jz alter a type bigint
execute q2
create table vv(t text)
insert into vv values ('twenty'),('ab')
alter table vv alter t type varchar(2)
alter table vv alter t type char(2)
alter table vv alter t type varchar(2) using left(t,2)
alter table vv alter t type char(5)
select t||'|' from vv order by 1
alter table vv add n numeric default 1.555
alter table vv alter n type numeric(3,1)
alter table vv alter n type numeric(3,3)
select * from vv order by 1
create table p(a int, b int, c text, primary key (a,b))
create table c1(x int default 0, y int default 0, z int, foreign key (x,y) references p on delete set default on update set default)
insert into p values (0,0,'zero'),(1,1,'one'),(2,2,'two'),(3,3,'three')
insert into c1 values (1,1,1),(2,2,2),(0,0,5)
delete from p where a=0
delete from p where a in (0,1)
update p set a=9 where a=0
update p set a=9 where a=2
delete from p where a=1
select * from c1 order by z
delete from p
select * from p order by 1
select * from json_to_recordset('[{"a":1,"b":"x"},{"a":2}]') as x(a int, b text)
select * from jsonb_to_recordset('[{"a":1,"b":"x","c":null},{"a":2,"c":[1,{"q":2}]}]') as x(a int, b text, c jsonb)
select * from jsonb_to_record('{"a":1,"b":[1,2],"c":{"d":1},"e":["x",null],"f":"2024-01-01","G h":true}') as x(a int, b int[], c jsonb, d text, e text[], f date, "G h" bool)
select * from json_to_record('{"a":"abc","n":1.256}') as x(a char(5), n numeric(4,1))
select x.a from (values ('{"a":5}'::json)) v(j), json_to_record(v.j) as x(a int)
select v.k, x.* from (values (1,'[{"a":5},{"a":6}]'::jsonb),(2,'[]')) v(k,j) left join lateral jsonb_to_recordset(v.j) as x(a int) on true order by 1,2
create table rs(a int, b text[], c numeric(5,2), d jsonb)
insert into rs select * from jsonb_populate_recordset(null::rs, '[{"a":1,"b":["x","y"],"c":1.239,"d":{"z":1}},{"a":2}]')
select * from rs order by a
select * from json_populate_record(null::rs, '{"a":3,"b":["q"],"zz":1}')
select * from jsonb_to_recordset('[]') as x(a int)
select * from jsonb_to_record(null) as x(a int)
select * from jsonb_to_recordset(null) as x(a int)
select * from jsonb_to_record('{"a":"x"}') as x(a int)
select * from json_to_record('{"a":1}')
select to_json((select row(1,'x'::text)))
select to_jsonb((select p from pt p where a=1))
