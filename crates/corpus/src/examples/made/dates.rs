//! A date as people write it, and the same date as ISO 8601 (`2021-03-12`).
//!
//! Years from 1950 to 2049, so that two digits say which; slashes are month first and dots day first, so that numbers say
//! which is which. Every date is written in one way out of ten, with a weekday now and then; so what is wanted follows
//! from what is given.

use super::{any, choose};
use crate::examples::{Pair, Side};
use crate::random::{Draws, Purpose};

const MONTHS: [&str; 12] = [
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
/// Of 1 January 1950 on: a Sunday.
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const FIRST_YEAR: u32 = 1950;
const YEARS: u32 = 100;
/// Letters of a short month or weekday.
const SHORT: usize = 3;

/// The ways of writing a date, with weights.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// 12 March 2021
    DayMonthYear,
    /// 12 Mar 21
    ShortDayMonthYear,
    /// March 12, 2021
    MonthDayYear,
    /// Mar 12, 21
    ShortMonthDayYear,
    /// 12.3.2021
    Dots,
    /// 12.03.21
    FilledDots,
    /// 3/12/2021
    Slashes,
    /// 12-MAR-2021
    Dashes,
    /// the 12th of March 2021
    InWords,
    /// 2021 March 12
    YearFirst,
}
use Way::*;

const WAYS: [(u32, Way); 10] = [
    (3, DayMonthYear),
    (2, ShortDayMonthYear),
    (3, MonthDayYear),
    (2, ShortMonthDayYear),
    (2, Dots),
    (1, FilledDots),
    (2, Slashes),
    (1, Dashes),
    (2, InWords),
    (1, YearFirst),
];
/// Whether a weekday stands before it: none, short, whole.
const WEEKDAY: [(u32, u32); 3] = [(6, 0), (1, 1), (1, 2)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: u32,
    /// From 1.
    month: u32,
    /// From 1.
    day: u32,
    /// From 0, Sunday.
    weekday: u32,
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A day of a year, each as likely.
fn date(draws: &mut Draws) -> Date {
    let year = FIRST_YEAR + draws.below(YEARS);
    let length = |year| (1..=12).map(|month| days_of(year, month)).sum::<u32>();
    let mut left = draws.below(length(year));
    let weekday = ((FIRST_YEAR..year).map(length).sum::<u32>() + left) % 7;
    let mut month = 1;
    while left >= days_of(year, month) {
        left -= days_of(year, month);
        month += 1;
    }
    Date { year, month, day: left + 1, weekday }
}

fn written(date: Date, way: Way) -> String {
    let Date { year, month, day, .. } = date;
    let two = year % 100;
    let long = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
    let short = long.get(..SHORT).unwrap_or(long);
    match way {
        DayMonthYear => format!("{day} {long} {year}"),
        ShortDayMonthYear => format!("{day} {short} {two:02}"),
        MonthDayYear => format!("{long} {day}, {year}"),
        ShortMonthDayYear => format!("{short} {day}, {two:02}"),
        Dots => format!("{day}.{month}.{year}"),
        FilledDots => format!("{day:02}.{month:02}.{two:02}"),
        Slashes => format!("{month}/{day}/{year}"),
        Dashes => format!("{day:02}-{}-{year}", short.to_uppercase()),
        InWords => {
            let ending = match (day % 10, day / 10) {
                (1, 0 | 2 | 3) => "st",
                (2, 0 | 2) => "nd",
                (3, 0 | 2) => "rd",
                _ => "th",
            };
            format!("the {day}{ending} of {long} {year}")
        }
        YearFirst => format!("{year} {long} {day}"),
    }
}

pub(super) fn pair(seed: u64, k: u64) -> Pair {
    let mut draws = Draws::new(seed, Purpose::Example, k);
    let date = date(&mut draws);
    let mut text = written(date, choose(&mut draws, &WAYS));
    let weekday = WEEKDAYS.get(date.weekday as usize).copied().unwrap_or_default();
    match choose(&mut draws, &WEEKDAY) {
        1 => text = format!("{} {text}", weekday.get(..SHORT).unwrap_or(weekday)),
        2 => text = format!("{weekday}{}{text}", any(&mut draws, &[", ", " "])),
        _ => {}
    }
    let Date { year, month, day, .. } = date;
    Pair { input: Side::Text(text), output: Side::Text(format!("{year}-{month:02}-{day:02}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_people_do() {
        let date = Date { year: 2021, month: 3, day: 12, weekday: 5 };
        let all: Vec<String> = WAYS.iter().map(|&(_, way)| written(date, way)).collect();
        assert_eq!(
            all,
            [
                "12 March 2021",
                "12 Mar 21",
                "March 12, 2021",
                "Mar 12, 21",
                "12.3.2021",
                "12.03.21",
                "3/12/2021",
                "12-MAR-2021",
                "the 12th of March 2021",
                "2021 March 12"
            ]
        );
        let day = |day| written(Date { day, ..date }, InWords);
        assert_eq!(
            [1, 2, 3, 11, 12, 13, 21, 22, 23, 31].map(|d| day(d)[4..].split(' ').next().unwrap().to_owned()),
            ["1st", "2nd", "3rd", "11th", "12th", "13th", "21st", "22nd", "23rd", "31st"]
        );
    }

    /// Every date that is drawn exists, with its weekday, by another calendar's reckoning (Zeller's congruence).
    #[test]
    fn every_date_exists_and_has_its_weekday() {
        let mut leap = false;
        for k in 0..20_000 {
            let Date { year, month, day, weekday } = date(&mut Draws::new(1, Purpose::Example, k));
            assert!(
                (1950..2050).contains(&year) && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day)
            );
            let (y, m) = if month < 3 { (year - 1, month + 12) } else { (year, month) };
            let zeller = (day + 13 * (m + 1) / 5 + y % 100 + y % 100 / 4 + y / 400 + 5 * (y / 100)) % 7;
            assert_eq!((weekday + 1) % 7, zeller, "{year}-{month}-{day}");
            leap |= (month, day) == (2, 29);
        }
        assert!(leap);
    }

    /// What is wanted follows from what is given: no text stands for two dates.
    #[test]
    fn no_text_stands_for_two_dates() {
        let mut seen = std::collections::HashMap::new();
        for k in 0..200_000 {
            let Pair { input: Side::Text(text), output } = pair(1, k) else { panic!("texts") };
            assert_eq!(*seen.entry(text.clone()).or_insert_with(|| output.clone()), output, "{text}");
        }
    }
}
