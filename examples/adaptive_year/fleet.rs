//! Made-up keys of a made-up year: how many requests in which hour, and from where.

use std::net::{IpAddr, Ipv4Addr};

use crate::chance::Chance;

pub(crate) const DAYS: usize = 365;
const GROWTH_A_MONTH: f64 = 1.03;
const HOURS_A_MONTH: f64 = 730.0;

/// What uses the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    /// People at work, on some evenings and weekends too; they have holidays.
    Office,
    /// The same, with four times as much on the last day of the month.
    MonthEnd,
    /// A service that others use day and night.
    Service,
    /// A job at night, late on some days.
    NightJob,
    /// A job once a week.
    WeeklyJob,
    /// A poller, which catches up after an outage.
    Poller,
    /// A developer: sessions of very different size, also from the phone.
    Developer,
    /// Somebody who uses it now and then, and travels.
    Traveller,
    /// Functions in a cloud, each from another address.
    Serverless,
}

impl Use {
    pub(crate) const ALL: [Self; 9] = [
        Self::Office,
        Self::MonthEnd,
        Self::Service,
        Self::NightJob,
        Self::WeeklyJob,
        Self::Poller,
        Self::Developer,
        Self::Traveller,
        Self::Serverless,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Office => "office",
            Self::MonthEnd => "office, month end",
            Self::Service => "service",
            Self::NightJob => "night job",
            Self::WeeklyJob => "weekly job",
            Self::Poller => "poller",
            Self::Developer => "developer",
            Self::Traveller => "traveller",
            Self::Serverless => "serverless",
        }
    }

    /// Requests in a busy hour: the least, and how many times that the most.
    const fn size(self) -> (f64, f64) {
        match self {
            Self::Office | Self::MonthEnd => (10.0, 20.0),
            Self::Service => (20.0, 15.0),
            Self::NightJob | Self::WeeklyJob => (200.0, 10.0),
            Self::Poller => (12.0, 1.0),
            Self::Developer => (5.0, 10.0),
            Self::Traveller => (5.0, 6.0),
            Self::Serverless => (20.0, 5.0),
        }
    }

    const fn is_of_people(self) -> bool {
        matches!(
            self,
            Self::Office | Self::MonthEnd | Self::Developer | Self::Traveller
        )
    }
}

/// One hour of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hour {
    pub(crate) requests: u32,
    pub(crate) from: Origin,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    Address(IpAddr),
    /// Each request from another of so many networks.
    Pool(u16),
}

/// A year of one key, from a Monday, in UTC.
#[derive(Debug)]
pub(crate) struct Year {
    pub(crate) hours: Vec<Hour>,
    /// Hours ahead of UTC, in winter.
    pub(crate) zone: i64,
}

/// Its life, day by day.
struct Life {
    of: Use,
    size: f64,
    holidays: [bool; DAYS + 2],
    job_hour: i64,
    job_day: i64,
    today: Today,
    session: Session,
    backlog: f64,
    places: Places,
}

#[derive(Default)]
struct Today {
    factor: f64,
    evening: bool,
    weekend: bool,
    job_at: i64,
    job_size: f64,
    abroad: bool,
}

#[derive(Default)]
struct Session {
    left: u32,
    size: f64,
}

/// The networks it comes from.
struct Places {
    home: u32,
    work: u32,
    now: u32,
    next: u32,
    /// Days left of a journey.
    journey: u32,
}

impl Year {
    /// The same year for the same seed. `scale` makes all keys larger or smaller.
    pub(crate) fn of(what: Use, seed: u64, scale: f64) -> Self {
        let mut chance = Chance::new(seed);
        let zone = *[-8, -5, 0, 1, 1, 2, 5, 9]
            .get(chance.below(8))
            .unwrap_or(&0);
        let mut life = Life::new(what, scale, &mut chance);
        let hours = (0..DAYS * 24).map(|hour| {
            let summer = zone <= 2 && (86..297).contains(&(hour / 24));
            let local = hour as i64 + zone + i64::from(summer);
            let growth = GROWTH_A_MONTH.powf(hour as f64 / HOURS_A_MONTH);
            life.hour(local, growth, &mut chance)
        });
        Self {
            hours: hours.collect(),
            zone,
        }
    }

    /// From which address its requests of this hour come, or its neighbours'.
    pub(crate) fn own_address(&self, hour: usize) -> IpAddr {
        match self.hours.get(hour).map(|it| it.from) {
            Some(Origin::Address(address)) => address,
            _ => address(1),
        }
    }
}

impl Life {
    fn new(of: Use, scale: f64, chance: &mut Chance) -> Self {
        let (least, times) = of.size();
        let mut holidays = [false; DAYS + 2];
        if of.is_of_people() {
            for _ in 0..10 {
                holidays[chance.below(DAYS)] = true;
            }
            for _ in 0..2 {
                let first = chance.below(DAYS - 12);
                holidays[first..first + 12].fill(true);
            }
        }
        Self {
            of,
            size: scale * least * times.powf(chance.unit()),
            holidays,
            job_hour: chance.below(5) as i64,
            job_day: chance.below(7) as i64,
            today: Today::default(),
            session: Session::default(),
            backlog: 0.0,
            places: Places {
                home: 1,
                work: 2,
                now: 2,
                next: 3,
                journey: 0,
            },
        }
    }

    fn hour(&mut self, local: i64, growth: f64, chance: &mut Chance) -> Hour {
        let (day, of_day) = (local.div_euclid(24), local.rem_euclid(24));
        let weekday = day.rem_euclid(7);
        if of_day == 0 {
            self.begin_day(weekday, growth, chance);
        }
        let holiday = usize::try_from(day).is_ok_and(|it| self.holidays.get(it) == Some(&true));
        let at_work = weekday < 5 && !holiday;
        let mean = match self.of {
            Use::Office => self.office(of_day, at_work, chance) * growth,
            Use::MonthEnd => {
                let end = if day % 30 == 29 { 4.0 } else { 1.0 };
                self.office(of_day, at_work, chance) * growth * end
            }
            Use::Service | Use::Serverless => self.service(of_day, weekday, chance) * growth,
            Use::NightJob => self.job(of_day),
            Use::WeeklyJob if weekday == self.job_day => self.job(of_day),
            Use::WeeklyJob => 0.0,
            Use::Poller => self.poll(chance),
            Use::Developer => self.develop(of_day, at_work, chance) * growth,
            Use::Traveller => self.now_and_then(of_day, at_work, chance) * growth,
        };
        let requests = if self.of == Use::Poller {
            mean.round() as u32
        } else {
            chance.poisson(mean)
        };
        Hour {
            requests,
            from: self.origin(chance),
        }
    }

    fn begin_day(&mut self, weekday: i64, growth: f64, chance: &mut Chance) {
        let mut job_at = self.job_hour;
        if chance.happens(0.05) {
            job_at += 1 + chance.below(4) as i64;
        }
        self.today = Today {
            factor: chance.log_normal(0.3),
            evening: chance.happens(0.06),
            weekend: weekday >= 5 && chance.happens(0.06),
            job_at,
            job_size: self.size * growth * chance.log_normal(0.15),
            abroad: false,
        };
        self.move_about(chance);
    }

    /// Where it is today.
    fn move_about(&mut self, chance: &mut Chance) {
        let places = &mut self.places;
        // Another provider at home, another exit of the cloud, on some day of the year.
        if chance.happens(1.0 / 365.0) {
            places.home = places.another();
        }
        if chance.happens(1.0 / 365.0) {
            places.work = places.another();
        }
        if self.of == Use::Traveller {
            if places.journey == 0 && chance.happens(8.0 / 365.0) {
                places.journey = 2 + chance.below(5) as u32;
            }
            if places.journey > 0 {
                places.journey -= 1;
                self.today.abroad = true;
                // Two nights in each hotel.
                if places.journey.is_multiple_of(2) || places.now <= 2 {
                    places.now = places.another();
                }
                return;
            }
        }
        let phone = self.of == Use::Developer && chance.happens(0.03);
        places.now = if phone {
            1000 + chance.below(30) as u32
        } else if self.of.is_of_people() && chance.happens(0.3) {
            places.home
        } else {
            places.work
        };
    }

    fn origin(&self, chance: &mut Chance) -> Origin {
        match self.of {
            Use::Serverless => Origin::Pool(400),
            // Two exits.
            Use::Service if chance.happens(0.5) => Origin::Address(address(self.places.home)),
            _ => Origin::Address(address(self.places.now)),
        }
    }

    fn office(&self, of_day: i64, at_work: bool, chance: &mut Chance) -> f64 {
        let shape = match of_day {
            9..=11 | 13..=16 => 1.0,
            12 | 17 => 0.6,
            8 => 0.5,
            18 => 0.2,
            19..=22 if self.today.evening => 0.4,
            _ => 0.0,
        };
        let share = if at_work {
            shape
        } else if self.today.weekend && (10..16).contains(&of_day) {
            0.4
        } else {
            0.0
        };
        self.size * share * self.today.factor * chance.log_normal(0.4)
    }

    fn service(&self, of_day: i64, weekday: i64, chance: &mut Chance) -> f64 {
        let turn = (of_day as f64 - 14.0) / 24.0 * std::f64::consts::TAU;
        let weekend = if weekday >= 5 { 0.7 } else { 1.0 };
        // A retry storm, some four times a year.
        let storm = if chance.happens(0.0005) { 3.0 } else { 1.0 };
        self.size * (1.0 + 0.6 * turn.cos()) * weekend * storm * chance.log_normal(0.15)
    }

    fn job(&self, of_day: i64) -> f64 {
        match of_day - self.today.job_at {
            0 => 0.8 * self.today.job_size,
            1 => 0.2 * self.today.job_size,
            _ => 0.0,
        }
    }

    fn poll(&mut self, chance: &mut Chance) -> f64 {
        if chance.happens(0.001) {
            self.backlog += 5.0 * self.size;
            return 0.0;
        }
        let more = self.backlog.min(2.0 * self.size);
        self.backlog -= more;
        self.size + more
    }

    fn develop(&mut self, of_day: i64, at_work: bool, chance: &mut Chance) -> f64 {
        let session = &mut self.session;
        if session.left == 0 && at_work && (9..18).contains(&of_day) && chance.happens(0.12) {
            session.left = 1 + chance.below(4) as u32;
            session.size = self.size * chance.log_normal(1.0);
        }
        if session.left == 0 {
            return 0.0;
        }
        session.left -= 1;
        session.size * chance.log_normal(0.4)
    }

    fn now_and_then(&self, of_day: i64, at_work: bool, chance: &mut Chance) -> f64 {
        let likely = if at_work && (8..19).contains(&of_day) {
            0.3
        } else if self.today.abroad && (8..22).contains(&of_day) {
            0.2
        } else {
            0.004
        };
        if chance.happens(likely) {
            self.size * chance.log_normal(0.7)
        } else {
            0.0
        }
    }
}

impl Places {
    fn another(&mut self) -> u32 {
        self.next += 1;
        self.next
    }
}

/// An address in a network of this number.
pub(crate) fn address(network: u32) -> IpAddr {
    let [_, a, b, c] = network.to_be_bytes();
    Ipv4Addr::new(11_u8.wrapping_add(a), b, c, 7).into()
}
