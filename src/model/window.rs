//! Hours in which something may be taken away. Pure: it is told the time.

use std::fmt;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Opening hours in one time zone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Windows {
    /// IANA name.
    pub time_zone: String,
    #[serde(skip)]
    pub zone: TimeZone,
    pub open: Vec<Window>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Days on which it begins; empty is every day.
    pub days: Vec<Day>,
    pub from: Clock,
    /// Not later than `from`: on the next day.
    pub to: Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time of day in minutes, up to and with 24:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(pub u16);

impl Clock {
    pub const MIDNIGHT: Clock = Clock(24 * 60);
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for Clock {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Where a moment lies.
#[derive(Clone, Debug, PartialEq)]
pub enum Hours {
    /// Open until then.
    Open(Timestamp),
    /// Closed; opens then, in the windows' own zone.
    Closed(Option<Zoned>),
}

impl Windows {
    pub fn at(&self, now: Timestamp) -> Hours {
        let today = now.to_zoned(self.zone.clone()).date();
        // A window that began yesterday may still be open; within eight days each has begun once.
        let spans = (-1..=8).filter_map(|days| today.checked_add(days.days()).ok()).flat_map(|date| {
            self.open.iter().filter(move |window| window.begins_on(date)).filter_map(move |window| window.on(date, &self.zone))
        });
        let (mut until, mut next) = (None::<Timestamp>, None::<Zoned>);
        for (begin, end) in spans {
            if begin.timestamp() <= now && now < end.timestamp() {
                until = until.max(Some(end.timestamp()));
            } else if begin.timestamp() > now && next.as_ref().is_none_or(|next| begin < *next) {
                next = Some(begin);
            }
        }
        until.map_or(Hours::Closed(next), Hours::Open)
    }
}

impl Window {
    fn begins_on(&self, date: Date) -> bool {
        self.days.is_empty() || self.days.iter().any(|day| day.is(date.weekday()))
    }

    /// A time that the clocks skip or repeat is taken as jiff does: after the gap, and the first of two.
    fn on(&self, date: Date, zone: &TimeZone) -> Option<(Zoned, Zoned)> {
        let last = if self.to <= self.from { date.tomorrow().ok()? } else { date };
        Some((moment(date, self.from, zone)?, moment(last, self.to, zone)?))
    }
}

fn moment(date: Date, clock: Clock, zone: &TimeZone) -> Option<Zoned> {
    let (date, clock) = if clock == Clock::MIDNIGHT { (date.tomorrow().ok()?, Clock(0)) } else { (date, clock) };
    let time = Time::new(i8::try_from(clock.0 / 60).ok()?, i8::try_from(clock.0 % 60).ok()?, 0, 0).ok()?;
    date.to_datetime(time).to_zoned(zone.clone()).ok()
}

impl Day {
    fn is(self, weekday: Weekday) -> bool {
        let own = match self {
            Day::Mon => Weekday::Monday,
            Day::Tue => Weekday::Tuesday,
            Day::Wed => Weekday::Wednesday,
            Day::Thu => Weekday::Thursday,
            Day::Fri => Weekday::Friday,
            Day::Sat => Weekday::Saturday,
            Day::Sun => Weekday::Sunday,
        };
        own == weekday
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(days: &[Day], from: u16, to: u16) -> Windows {
        let time_zone = "Europe/Copenhagen".to_owned();
        let zone = TimeZone::get(&time_zone).unwrap();
        Windows { time_zone, zone, open: vec![Window { days: days.to_vec(), from: Clock(from * 60), to: Clock(to * 60) }] }
    }

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let nights = windows(&[Day::Mon], 20, 6);
        // Monday 2026-11-23, one hour ahead of UTC.
        assert_eq!(nights.at(utc("2026-11-23T19:00:00Z")), Hours::Open(utc("2026-11-24T05:00:00Z")));
        assert_eq!(nights.at(utc("2026-11-24T04:59:59Z")), Hours::Open(utc("2026-11-24T05:00:00Z")));
        for closed in ["2026-11-23T18:59:59Z", "2026-11-24T05:00:00Z", "2026-11-24T20:00:00Z"] {
            assert!(matches!(nights.at(utc(closed)), Hours::Closed(Some(_))), "{closed}");
        }
        let Hours::Closed(Some(next)) = nights.at(utc("2026-11-24T05:00:00Z")) else { panic!() };
        assert_eq!(next.timestamp(), utc("2026-11-30T19:00:00Z"));
    }

    #[test]
    fn hours_follow_the_clocks_of_the_zone_through_a_change() {
        let nights = windows(&[], 1, 4);
        // The clocks go back on 2026-10-25: three hours on the clock, four in fact.
        assert_eq!(nights.at(utc("2026-10-24T23:00:00Z")), Hours::Open(utc("2026-10-25T03:00:00Z")));
        assert_eq!(nights.at(utc("2026-10-26T00:00:00Z")), Hours::Open(utc("2026-10-26T03:00:00Z")));
    }

    #[test]
    fn a_whole_day_ends_at_24() {
        let sundays = windows(&[Day::Sun], 0, 24);
        assert_eq!(sundays.at(utc("2026-11-22T12:00:00Z")), Hours::Open(utc("2026-11-22T23:00:00Z")));
        assert!(matches!(sundays.at(utc("2026-11-22T23:00:00Z")), Hours::Closed(Some(_))));
    }
}
