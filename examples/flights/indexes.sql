-- Made after the load, as one would.
CREATE INDEX flights_tailnum ON flights (tailnum);
CREATE INDEX flights_by_day ON flights (month, day DESC, carrier);
CREATE UNIQUE INDEX weather_by_hour ON weather (origin, time_hour, hour, day);
ANALYZE;
