//! Countries out of a file in the format `MaxMind DB`.

mod error;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use maxminddb::{PathElement, Reader};

use super::{Country, CountryResolver};
use crate::sync::{Mutex, lock};
use crate::time::Timestamp;

pub use self::error::GeoipError;

type Database = Reader<Vec<u8>>;

/// A name in [`GeoipError::NotOfCountries`] is cut here: longer ones are no names.
const LONGEST_NAME: usize = 64;

/// Tells countries from a file in the format `MaxMind DB`: `GeoLite2-Country.mmdb`, or any other whose records have a
/// `country.iso_code` (editions with cities have one too).
///
/// The file is read into memory, six to nine megabytes for a database of countries, and checked from end to end when it is
/// opened. No file comes with the crate. Where a network has no country of its own, the one it is registered in counts.
///
/// Clones share the database, so one can be given to a rule and another kept to [replace](Self::replace) it when there is a new
/// edition. They appear once or twice a week, and addresses move: an old file raises alerts for nothing.
///
/// ```no_run
/// use keyward::alert::MaxMindCountries;
///
/// # fn open() -> Result<(), keyward::alert::GeoipError> {
/// let countries = MaxMindCountries::open("/var/lib/GeoIP/GeoLite2-Country.mmdb")?;
/// // … and after the weekly update, on a thread that may block:
/// countries.reload("/var/lib/GeoIP/GeoLite2-Country.mmdb")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MaxMindCountries {
    database: Arc<Mutex<Arc<Database>>>,
}

impl MaxMindCountries {
    /// Reads and checks a file. It blocks, for some tenths of a second with a large one.
    ///
    /// # Errors
    ///
    /// * [`GeoipError::Unreadable`]: the file cannot be read.
    /// * As [`from_bytes`](Self::from_bytes).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GeoipError> {
        Self::from_bytes(read(path.as_ref())?)
    }

    /// Checks a file's content.
    ///
    /// # Errors
    ///
    /// * [`GeoipError::Damaged`]: it is no file of this format, or a part of one.
    /// * [`GeoipError::NotOfCountries`]: it is one about something else.
    pub fn from_bytes(content: Vec<u8>) -> Result<Self, GeoipError> {
        let database = checked(content)?;
        Ok(Self {
            database: Arc::new(Mutex::new(Arc::new(database))),
        })
    }

    /// Reads and checks a file, and takes it in place of the present one. Look-ups go on meanwhile, with the present one, and
    /// go on with it if this fails.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn reload(&self, path: impl AsRef<Path>) -> Result<(), GeoipError> {
        self.replace(read(path.as_ref())?)
    }

    /// As [`reload`](Self::reload), with a file's content.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    pub fn replace(&self, content: Vec<u8>) -> Result<(), GeoipError> {
        let database = Arc::new(checked(content)?);
        let old = std::mem::replace(&mut *lock(&self.database), database);
        // Outside the lock: freeing megabytes takes a while.
        drop(old);
        Ok(())
    }

    /// Returns when the database was made, for an alert of the application's own when it is old.
    #[must_use]
    pub fn built(&self) -> Timestamp {
        let seconds = self.database().metadata().build_epoch;
        Timestamp::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    fn database(&self) -> Arc<Database> {
        Arc::clone(&lock(&self.database))
    }
}

impl CountryResolver for MaxMindCountries {
    fn country(&self, address: IpAddr) -> Option<Country> {
        let database = self.database();
        // An IPv4 address in IPv6's clothes is an IPv4 address.
        let found = database.lookup(address.to_canonical()).ok()?;
        let code = |of: &'static str| {
            let path = [PathElement::Key(of), PathElement::Key("iso_code")];
            let code: Option<&str> = found.decode_path(&path).ok()?;
            code?.parse().ok()
        };
        code("country").or_else(|| code("registered_country"))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, GeoipError> {
    std::fs::read(path).map_err(|source| GeoipError::Unreadable { source })
}

/// SECURITY: every record is walked through here, so that what is damaged is told when it is opened, and not by countries that
/// are unknown from then on: unknown ones raise no alert.
fn checked(content: Vec<u8>) -> Result<Database, GeoipError> {
    let database = Reader::from_source(content).map_err(GeoipError::damaged)?;
    let name = &database.metadata().database_type;
    if !of_countries(name) {
        let end = name.floor_char_boundary(LONGEST_NAME);
        let name = name.get(..end).unwrap_or_default().to_owned();
        return Err(GeoipError::NotOfCountries { name });
    }
    database.verify().map_err(GeoipError::damaged)?;
    Ok(database)
}

/// The inventor's own, and those of others that follow its names.
fn of_countries(name: &str) -> bool {
    ["Country", "City", "Enterprise", "Location", "Insights"]
        .iter()
        .any(|it| name.contains(it))
}

impl fmt::Debug for MaxMindCountries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaxMindCountries")
            .field("database", &self.database().metadata().database_type)
            .field("built", &self.built())
            .finish_non_exhaustive()
    }
}
