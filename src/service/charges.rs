//! What one request is charged.

use crate::rate_limit::{Charge, Quota, Subject};

/// As many as a decision keeps without touching the heap.
const FEW: usize = 6;

/// The charges of one request. Up to six are on the stack.
pub(super) struct Charges<'a> {
    cost: u32,
    few: Option<[Charge<'a>; FEW]>,
    /// Used instead of `few` when there are more.
    many: Vec<Charge<'a>>,
    len: usize,
}

impl<'a> Charges<'a> {
    pub(super) const fn of(cost: u32) -> Self {
        Self {
            cost,
            few: None,
            many: Vec::new(),
            len: 0,
        }
    }

    /// Charges the subject under each of the quotas.
    pub(super) fn add(&mut self, subject: Subject<'a>, quotas: &'a [Quota]) {
        for quota in quotas {
            self.push(Charge::new(subject, quota).with_cost(self.cost));
        }
    }

    fn push(&mut self, charge: Charge<'a>) {
        let few = self.few.get_or_insert([charge; FEW]);
        match few.get_mut(self.len) {
            Some(place) => *place = charge,
            None => {
                if self.many.is_empty() {
                    self.many.extend_from_slice(few);
                }
                self.many.push(charge);
            }
        }
        self.len = self.len.saturating_add(1);
    }

    pub(super) fn as_slice(&self) -> &[Charge<'a>] {
        match &self.few {
            Some(few) => few.get(..self.len).unwrap_or(&self.many),
            None => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_charge_in_order_however_many() {
        let quotas: Vec<_> = (1..=9).map(|n| Quota::per_minute(n).unwrap()).collect();
        for count in 0..=quotas.len() {
            let mut charges = Charges::of(2);
            charges.add(Subject::owner("acme"), &quotas[..count]);
            let limits: Vec<_> = charges
                .as_slice()
                .iter()
                .map(|it| it.quota().limit())
                .collect();
            assert_eq!(limits, (1..=9).take(count).collect::<Vec<_>>());
            assert!(charges.as_slice().iter().all(|it| it.cost() == 2));
        }
    }
}
