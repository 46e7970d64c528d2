-- name: how many rows came in
SELECT (SELECT count(*) FROM flights) AS flights, (SELECT count(*) FROM airlines) AS airlines,
       (SELECT count(*) FROM airports) AS airports, (SELECT count(*) FROM planes) AS planes,
       (SELECT count(*) FROM weather) AS weather;

-- name: flights and mean delay by carrier, with the carrier's name
SELECT a.carrier, a.name, count(*) AS flights, round(avg(f.arr_delay), 2) AS delay
FROM flights f JOIN airlines a USING (carrier)
GROUP BY a.carrier, a.name
ORDER BY flights DESC, a.carrier;

-- name: planes joined by an index, seats flown by carrier
SELECT f.carrier, count(*), sum(p.seats), max(p.year), count(DISTINCT p.tailnum)
FROM flights f JOIN planes p ON p.tailnum = f.tailnum
GROUP BY f.carrier
ORDER BY f.carrier;

-- name: planes that flew but are not known
SELECT count(DISTINCT f.tailnum)
FROM flights f
WHERE f.tailnum IS NOT NULL AND NOT EXISTS (SELECT 1 FROM planes p WHERE p.tailnum = f.tailnum);

-- name: the busiest day of each month
SELECT DISTINCT ON (month) month, day, count(*) AS flights
FROM flights
GROUP BY month, day
ORDER BY month, flights DESC, day;

-- name: destinations that no airport row describes, by left join
SELECT f.dest, count(*)
FROM flights f LEFT JOIN airports a ON a.faa = f.dest
WHERE a.faa IS NULL
GROUP BY f.dest
ORDER BY f.dest;

-- name: weather at departure against delay
SELECT CASE WHEN w.precip > 0 THEN 'rain' ELSE 'dry' END AS sky, count(*), round(avg(f.dep_delay), 3)
FROM flights f JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
GROUP BY 1
ORDER BY 1;

-- name: carriers above the mean distance, by a subquery in HAVING
SELECT carrier, avg(distance)::numeric(10, 3)
FROM flights
GROUP BY carrier
HAVING avg(distance) > (SELECT avg(distance) FROM flights)
ORDER BY 2 DESC;

-- name: the ten longest delays
SELECT time_hour, carrier, flight, origin, dest, dep_delay
FROM flights
WHERE dep_delay IS NOT NULL
ORDER BY dep_delay DESC, time_hour, carrier, flight
LIMIT 10;

-- name: where one can fly from JFK and not from LGA
SELECT count(*)
FROM (SELECT dest FROM flights WHERE origin = 'JFK' EXCEPT SELECT dest FROM flights WHERE origin = 'LGA') AS only_jfk;

-- name: a day by its index, newest first
SELECT day, carrier, count(*)
FROM flights
WHERE month = 2 AND day BETWEEN 26 AND 28 AND carrier IN ('AA', 'UA', 'B6')
GROUP BY day, carrier
ORDER BY day DESC, carrier;

-- name: months by a recursive query, with and without flights at midnight
WITH RECURSIVE months (m) AS (SELECT 1 UNION ALL SELECT m + 1 FROM months WHERE m < 12)
SELECT m, count(f.month) FILTER (WHERE f.hour >= 22) AS late, count(f.month) AS flights
FROM months LEFT JOIN flights f ON f.month = months.m
GROUP BY m
ORDER BY m;

-- name: summer temperatures
SELECT origin, month, min(temp), max(temp), round(avg(temp), 4), count(wind_gust)
FROM weather
WHERE month BETWEEN 6 AND 8
GROUP BY origin, month
ORDER BY origin, month;
