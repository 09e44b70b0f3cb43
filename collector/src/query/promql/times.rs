//! Parts of dates, in UTC.

use time::OffsetDateTime;

pub(super) fn part(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |seconds| of(seconds, |date| date.minute().into()),
        "hour" => |seconds| of(seconds, |date| date.hour().into()),
        "day_of_week" => |seconds| of(seconds, |date| date.weekday().number_days_from_sunday().into()),
        "day_of_month" => |seconds| of(seconds, |date| date.day().into()),
        "day_of_year" => |seconds| of(seconds, |date| date.ordinal().into()),
        "days_in_month" => |seconds| of(seconds, |date| date.month().length(date.year()).into()),
        "month" => |seconds| of(seconds, |date| u8::from(date.month()).into()),
        "year" => |seconds| of(seconds, |date| date.year().into()),
        _ => return None,
    })
}

/// No number beyond the years that the calendar knows.
fn of(seconds: f64, part: impl Fn(OffsetDateTime) -> f64) -> f64 {
    if !seconds.is_finite() {
        return f64::NAN;
    }
    OffsetDateTime::from_unix_timestamp(seconds as i64).map_or(f64::NAN, part)
}
