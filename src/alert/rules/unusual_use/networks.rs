//! From which networks a key is usually used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::builder::Settings;
use crate::audit::Text;

/// Days after which an old one counts for little in how often a key has a new network.
const MEMORY: f64 = 60.0;
/// A key that has a new network more often than on one of fifteen days is one that travels: its new networks say nothing.
const TRAVELS: f64 = 1.0 / 15.0;

/// The networks of one key.
#[derive(Debug, Default)]
pub(super) struct Networks {
    known: Vec<Known>,
    day: Option<i64>,
    /// Days with requests.
    days: u32,
    /// Of those after half the learning, older ones fading: how many there were, and how many had a new network.
    counted: f64,
    with_news: f64,
    news_today: bool,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    network: Network,
    last: i64,
    days: u32,
}

/// What one customer of a provider usually gets: an IPv4 /24 (the smallest that is routed), an IPv6 /48 (what RFC 6177 calls a
/// site).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Network {
    V4([u8; 3]),
    V6([u16; 3]),
}

impl Networks {
    /// Takes note of a request from this address on this day (since 1970). Returns the network if it is news.
    pub(super) fn look(&mut self, address: IpAddr, day: i64, settings: &Settings) -> Option<Text> {
        self.go_to(day, settings);
        let network = Network::of(address);
        if let Some(known) = self.known.iter_mut().find(|it| it.network == network) {
            known.used_on(day);
            return None;
        }
        self.add(network, day, settings);
        let learnt = self.days >= u32::from(settings.learning_days);
        let is_news = learnt && self.chance_of_news() <= TRAVELS;
        self.news_today |= self.is_counted(settings);
        is_news.then(|| network.text())
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.known.len()
    }

    /// On how many of its days the key has a new network: the mean of a Beta distribution, from no opinion.
    fn chance_of_news(&self) -> f64 {
        (self.with_news + 0.5) / (self.counted + 1.0)
    }

    /// The first networks of a key are all new: that says nothing about the later ones.
    fn is_counted(&self, settings: &Settings) -> bool {
        self.days >= u32::from(settings.learning_days / 2)
    }

    fn go_to(&mut self, day: i64, settings: &Settings) {
        // Threads write a little out of order, also at midnight.
        if let Some(now) = self.day
            && (day == now || day == now.saturating_sub(1))
        {
            return;
        }
        if self.day.is_some() {
            self.close(settings);
        }
        self.day = Some(day);
        let kept = |it: &Known| day.saturating_sub(it.last) <= settings.networks_kept;
        self.known.retain(kept);
    }

    fn close(&mut self, settings: &Settings) {
        if self.is_counted(settings) {
            let keep = 1.0 - 1.0 / MEMORY;
            let news = if self.news_today { 1.0 } else { 0.0 };
            self.counted = self.counted * keep + 1.0;
            self.with_news = self.with_news * keep + news;
        }
        self.days = self.days.saturating_add(1);
        self.news_today = false;
    }

    /// SECURITY: what makes room is a network of the fewest days, so that somebody who comes from many does not push out
    /// where the key is at home.
    fn add(&mut self, network: Network, day: i64, settings: &Settings) {
        if self.known.len() >= settings.networks.get() {
            let seldom = self.known.iter().enumerate();
            let seldom = seldom.min_by_key(|(_, it)| (it.days, it.last));
            if let Some((at, _)) = seldom {
                self.known.swap_remove(at);
            }
        }
        self.known.push(Known {
            network,
            last: day,
            days: 1,
        });
    }
}

impl Known {
    fn used_on(&mut self, day: i64) {
        if day > self.last {
            self.days = self.days.saturating_add(1);
        }
        // Also backwards, or a clock that was ahead would keep it for ever.
        self.last = day;
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                Self::V6([a, b, c])
            }
        }
    }

    fn text(self) -> Text {
        match self {
            Self::V4([a, b, c]) => format!("{}/24", Ipv4Addr::new(a, b, c, 0)),
            Self::V6([a, b, c]) => format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)),
        }
        .into()
    }
}
