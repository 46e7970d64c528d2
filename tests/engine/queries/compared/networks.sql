select '10.1.2.3'::inet, '10.1.2.3/8'::inet, '10.1/16'::inet, '::1'::inet, 'fe80::1/64'::inet, '::ffff:1.2.3.4'::inet, '2001:DB8::/32'::inet, '0.0.0.0/0'::inet
select '10.1.2.0/24'::cidr, '10'::cidr, '10.1'::cidr, '192.168.1'::cidr, '172.16'::cidr, '10/16'::cidr, '224.0.0.0'::cidr, '250.1'::cidr, '192.168.1.5'::cidr, '::1'::cidr, 'fe80::/10'::cidr
select '10.1'::inet
select '10.1/24'::inet
select '256.1.1.1'::inet
select '1.2.3.4/33'::inet
select '1.2.3.4.5'::inet
select ''::inet
select 'x'::cidr
select '::g'::inet
select '10.0.0.1/8'::cidr
select 'fe80::1/10'::cidr
select '1.2.3.4/'::inet
select ' 1.2.3.4'::inet
create table hosts(a inet primary key, n cidr, m inet[])
insert into hosts values ('10.0.0.2','10.0.0.0/8','{10.0.0.1,::1}'),('10.0.0.1','10.0.0.0/24',null),('9.255.0.1/16','9.0.0.0/8','{}'),('::1','::/0',null),('10.0.0.1/24','10.0.0.0/16',null),('2001:db8::5/64','2001:db8::/48',null)
insert into hosts values ('10.0.0.1/32','10.0.0.0/24',null)
select * from hosts order by a
select n from hosts order by n desc
select a from hosts where a = '10.0.0.1'
select a from hosts where a > '9.0.0.0/8' and a < '11.0.0.0' order by a
select a from hosts where a << '10.0.0.0/8' order by a
select a from hosts where a <<= n order by a
select a, n, a >> n, a >>= n, n >>= a, a && n, a <> n, a < n, a <= n from hosts order by a
select min(a), max(a), count(distinct n) from hosts
select host(a), text(a), family(a), masklen(a), network(a), broadcast(a), netmask(a), hostmask(a), set_masklen(a, 16), inet_same_family(a, '1.2.3.4'), a::cidr, a::text, a::varchar(8) from hosts order by a
select set_masklen('10.0.0.1'::inet, 40)
select set_masklen('10.1.2.0/24'::cidr, 8), set_masklen('10.1.2.3/24'::inet, -1)
select m[1], '10.0.0.1' = any(m), array['1.2.3.4'::inet, '::1'] from hosts where m is not null order by a
select n::inet, n::text, '10.0.0.1'::text::inet, inet '1.2.3.4' = cidr '1.2.3.4/32' from hosts order by n
select to_json(a), jsonb_build_object('a', a), row(a, n) from hosts order by a limit 1
select h.a from hosts h join hosts g on h.a = g.a order by 1 limit 2
select n, count(*) from hosts group by n order by n
alter table hosts alter a type text
select a from hosts order by a
alter table hosts alter a type inet using a::inet
select a from hosts order by a limit 3
select pg_typeof(a), pg_typeof(n) from hosts limit 1
