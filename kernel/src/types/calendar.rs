//! The proleptic Gregorian calendar: days from 2000-01-01, broken-down times, and the ranges of dates and timestamps.

pub const USECS_PER_SEC: i64 = 1_000_000;
pub const USECS_PER_MINUTE: i64 = 60_000_000;
pub const USECS_PER_HOUR: i64 = 3_600_000_000;
pub const USECS_PER_DAY: i64 = 86_400_000_000;

/// Julian day number of 2000-01-01.
pub const JULIAN_2000: i64 = 2_451_545;
/// Unix seconds of 2000-01-01.
pub const UNIX_2000: i64 = 946_684_800;

/// 4713-11-24 BC.
pub const MIN_DATE: i64 = -JULIAN_2000;
/// The day after 5874897-12-31.
pub const END_DATE: i64 = 2_145_031_949;
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// 294277-01-01.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;

/// ±infinity of dates.
pub const DATE_LATE: i64 = i32::MAX as i64;
pub const DATE_EARLY: i64 = i32::MIN as i64;
/// ±infinity of timestamps.
pub const LATE: i64 = i64::MAX;
pub const EARLY: i64 = i64::MIN;

/// Year 0 is 1 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
}

impl Fields {
    pub fn time(&self) -> i64 {
        ((self.hour * 60 + self.minute) * 60 + self.second) * USECS_PER_SEC + self.micros
    }

    pub fn set_time(&mut self, time: i64) {
        self.hour = time / USECS_PER_HOUR;
        self.minute = time / USECS_PER_MINUTE % 60;
        self.second = time / USECS_PER_SEC % 60;
        self.micros = time % USECS_PER_SEC;
    }

    pub fn date(days: i64) -> Fields {
        let (year, month, day) = from_days(days);
        Fields {
            year,
            month,
            day,
            ..Fields::default()
        }
    }
}

/// Days from 2000-01-01. Months outside 1…12 carry into years.
pub fn to_days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (
        year + (month - 1).div_euclid(12),
        (month - 1).rem_euclid(12) + 1,
    );
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 730_425
}

/// (year, month, day).
pub fn from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 730_425;
    let era = z.div_euclid(146_097);
    let day = z.rem_euclid(146_097);
    let of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// 0 is Sunday.
pub fn weekday(days: i64) -> i64 {
    (days + 6).rem_euclid(7)
}

pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub fn day_of_year(days: i64) -> i64 {
    days - to_days(from_days(days).0, 1, 1) + 1
}

/// The Monday that ISO week 1 of an ISO year begins with.
pub fn iso_year_start(year: i64) -> i64 {
    let fourth = to_days(year, 1, 4);
    fourth - (weekday(fourth) + 6) % 7
}

/// (ISO year, ISO week).
pub fn iso_week(days: i64) -> (i64, i64) {
    let year = from_days(days).0;
    let year = if days >= iso_year_start(year + 1) {
        year + 1
    } else if days < iso_year_start(year) {
        year - 1
    } else {
        year
    };
    (year, (days - iso_year_start(year)) / 7 + 1)
}

/// Of a finite timestamp, in its own (local) time.
pub fn timestamp_fields(micros: i64) -> Fields {
    let mut fields = Fields::date(micros.div_euclid(USECS_PER_DAY));
    fields.set_time(micros.rem_euclid(USECS_PER_DAY));
    fields
}

/// `None` when out of a timestamp's range.
pub fn timestamp(days: i64, time: i64) -> Option<i64> {
    let micros = days.checked_mul(USECS_PER_DAY)?.checked_add(time)?;
    in_range(micros).then_some(micros)
}

pub fn in_range(micros: i64) -> bool {
    (MIN_TIMESTAMP..END_TIMESTAMP).contains(&micros)
}

pub fn date_in_range(days: i64) -> bool {
    (MIN_DATE..END_DATE).contains(&days)
}

pub fn is_infinite(micros: i64) -> bool {
    micros == LATE || micros == EARLY
}

pub fn date_is_infinite(days: i64) -> bool {
    days == DATE_LATE || days == DATE_EARLY
}

pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse_over_the_whole_range() {
        assert_eq!(to_days(2000, 1, 1), 0);
        assert_eq!(to_days(-4713, 11, 24), MIN_DATE);
        assert_eq!(to_days(5_874_898, 1, 1), END_DATE);
        let mut days = MIN_DATE;
        while days < END_DATE {
            let (y, m, d) = from_days(days);
            assert_eq!(to_days(y, m, d), days);
            days += 99_991;
        }
        assert_eq!(to_days(294_277, 1, 1) * USECS_PER_DAY, END_TIMESTAMP);
        assert_eq!(MIN_DATE * USECS_PER_DAY, MIN_TIMESTAMP);
    }

    #[test]
    fn weeks() {
        assert_eq!(weekday(0), 6);
        assert_eq!(iso_week(to_days(2021, 1, 3)), (2020, 53));
        assert_eq!(iso_week(to_days(2024, 12, 30)), (2025, 1));
    }
}
