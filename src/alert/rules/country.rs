use std::collections::BTreeSet;

use super::nearest::Nearest;
use crate::alert::{AlertKind, AlertRule, Country, CountryResolver, Finding, InvalidRule};
use crate::audit::{AuditEvent, AuditKind};

const NAME: &str = "unexpected_country";

/// A key that is used from a country where it is not expected: [`AlertKind::UnexpectedCountry`].
///
/// It looks at `authentication_succeeded` events. What is expected of the key itself counts before what is expected of its
/// owner, that before its tenant, and that before what is expected of all; of whom nothing is expected, nothing is found. An
/// address whose country is not known never is reason for an alert.
///
/// ```
/// use std::net::IpAddr;
/// use keyward::alert::{Country, CountryResolver, rules::UnexpectedCountry};
///
/// # #[derive(Debug)]
/// # struct Resolver;
/// # impl CountryResolver for Resolver {
/// #     fn country(&self, _: IpAddr) -> Option<Country> { None }
/// # }
/// let rule = UnexpectedCountry::builder(Resolver)
///     .expect(["DE".parse()?, "AT".parse()?])
///     .expect_of_tenant("acme", ["US".parse()?])
///     .build()?;
/// # let _ = rule;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UnexpectedCountry {
    resolver: Box<dyn CountryResolver>,
    expected: Nearest<Countries>,
}

/// The settings of [`UnexpectedCountry`].
#[derive(Debug)]
#[must_use]
pub struct UnexpectedCountryBuilder {
    resolver: Box<dyn CountryResolver>,
    expected: Nearest<Countries>,
}

type Countries = BTreeSet<Country>;

impl UnexpectedCountry {
    /// Returns settings that expect nothing yet.
    pub fn builder(resolver: impl CountryResolver) -> UnexpectedCountryBuilder {
        UnexpectedCountryBuilder {
            resolver: Box::new(resolver),
            expected: Nearest::new(),
        }
    }
}

impl UnexpectedCountryBuilder {
    /// Expects all keys in these countries; an empty list expects them in none that is known.
    pub fn expect(mut self, countries: impl IntoIterator<Item = Country>) -> Self {
        self.expected.all = Some(countries.into_iter().collect());
        self
    }

    /// Expects the key of that id in these countries, whatever is expected of others.
    pub fn expect_of_key(
        mut self,
        id: impl Into<String>,
        countries: impl IntoIterator<Item = Country>,
    ) -> Self {
        let countries = countries.into_iter().collect();
        self.expected.keys.insert(id.into(), Some(countries));
        self
    }

    /// Expects the key of that id anywhere.
    pub fn exempt_key(mut self, id: impl Into<String>) -> Self {
        self.expected.keys.insert(id.into(), None);
        self
    }

    /// Expects the owner's keys in these countries.
    pub fn expect_of_owner(
        mut self,
        owner: impl Into<String>,
        countries: impl IntoIterator<Item = Country>,
    ) -> Self {
        let countries = countries.into_iter().collect();
        self.expected.owners.insert(owner.into(), countries);
        self
    }

    /// Expects the tenant's keys in these countries.
    pub fn expect_of_tenant(
        mut self,
        tenant: impl Into<String>,
        countries: impl IntoIterator<Item = Country>,
    ) -> Self {
        let countries = countries.into_iter().collect();
        self.expected.tenants.insert(tenant.into(), countries);
        self
    }

    /// Returns the rule.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] if nothing is expected of anybody.
    pub fn build(self) -> Result<UnexpectedCountry, InvalidRule> {
        if self.expected.is_empty() {
            return Err(InvalidRule::new(NAME, "no country is expected of any key"));
        }
        Ok(UnexpectedCountry {
            resolver: self.resolver,
            expected: self.expected,
        })
    }
}

impl AlertRule for UnexpectedCountry {
    fn look(&mut self, event: &AuditEvent, findings: &mut Vec<Finding>) {
        if event.kind() != AuditKind::AuthenticationSucceeded {
            return;
        }
        let (Some(expected), Some(client)) = (self.expected.of(event), event.client_ip()) else {
            return;
        };
        let Some(country) = self.resolver.country(client) else {
            return;
        };
        if !expected.contains(&country) {
            let finding = Finding::of_key(AlertKind::UnexpectedCountry, event);
            findings.extend(finding.map(|it| it.with_detail("country", country.as_str())));
        }
    }
}
