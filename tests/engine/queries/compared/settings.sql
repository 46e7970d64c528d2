select 'today'::date = current_date, 'now'::timestamptz = now(), date 'tomorrow' - current_date, timestamp 'now' = localtimestamp
create table ttz(a timestamptz default '2020-01-01', b date default 'today')
set timezone='Asia/Tokyo'
insert into ttz values ('2020-06-01 12:00')
insert into ttz values (timestamptz '2020-06-01 12:00')
insert into ttz default values
select * from ttz where a = '2020-06-01 12:00'
select * from ttz where a > '2020-06-01 11:00' and a < '2020-06-01 13:00'
select a from ttz order by a
set datestyle = 'SQL, DMY'
select date '01/02/2020', '01/02/2020'::date, '01/02/2020'::timestamptz
set datestyle = 'ISO, MDY'
select date '01/02/2020', '01/02/2020'::date, '01/02/2020'::timestamptz
set intervalstyle = 'sql_standard'
select interval '-1 2:03', interval '1-2 3 4:05:06'
reset intervalstyle
select interval '-1 2:03'
reset timezone
select '2020-06-01 12:00'::timestamptz, timestamptz '2020-06-01 12:00'
set datestyle = 'German'
show datestyle
select date '02/03/2024'
set datestyle = 'SQL'
show datestyle
set datestyle = 'MDY, German'
show datestyle
set datestyle = 'YMD'
show datestyle
select set_config('datestyle', 'ISO', false)
set datestyle = default
show datestyle
