create table t (a int primary key, b text, c numeric(10,2), d timestamptz, e int[], f varchar(20), g char(5), h bool default true, j jsonb);
create table s (x int, y text, z float8);
create table p (id int primary key, v int check (v > 0), name text not null);
create table ch (id int generated always as identity primary key, pid int references p, q int default 5, gg int generated always as (q * 2) stored);
create table big (i2 smallint, i4 int, i8 bigint, f4 real, f8 float8, n numeric, tx text, vc varchar, bp char(3), dt date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid, by bytea, js json, jb jsonb, bo boolean, ia int[], ta text[]);
create table node (id int primary key, parent int references node on delete cascade on update cascade, tag text unique);
create table leaf (node int references node on delete set null, other int default 0 references node on delete set default, a int, b int);
create view v as select a, b from t where a > 1;
create sequence t_seq;
create index s_x_y on s (x, y);
create index leaf_node on leaf (node);
create index leaf_a_b on leaf (a, b desc)
