//! The keys that somebody should look at.

use std::collections::BTreeMap;
use std::time::Duration;

use keyward::BoxError;
use keyward::key::KeyRecord;
use keyward::service::{Actor, KeyService, Review};
use keyward::store::ListKeys;

use crate::text;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct Reviews {
    pub(crate) sections: Vec<Section>,
    /// What people call the keys, by id.
    pub(crate) names: BTreeMap<String, String>,
}

pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) keys: Vec<Row>,
}

/// A key in a table: public facts only.
pub(crate) struct Row {
    pub(crate) hint: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) created: String,
    pub(crate) expires: String,
    pub(crate) last_used: String,
}

impl Reviews {
    pub(crate) async fn read(service: &KeyService, actor: &Actor) -> Result<Self, BoxError> {
        let questions = [
            ("Exposed, and not rotated since", Review::Exposed),
            ("Ending within 30 days", Review::ExpiringWithin(DAY * 30)),
            ("Due for rotation", Review::DueForRotation),
            ("Not used for 30 days", Review::UnusedFor(DAY * 30)),
            ("Never used", Review::NeverUsed),
            ("May manage keys", Review::AdminKeys),
        ];
        let mut sections = Vec::new();
        for (title, review) in questions {
            let keys = all_of(service, actor, &review).await?;
            sections.push(Section { title, keys });
        }
        let mut names = BTreeMap::new();
        let mut query = ListKeys::new();
        loop {
            let page = service.list(actor, query.clone()).await?;
            names.extend(
                page.records
                    .iter()
                    .map(|it| (it.id.to_string(), it.name.clone())),
            );
            match page.next {
                Some(next) => query = query.with_after(next),
                None => return Ok(Self { sections, names }),
            }
        }
    }
}

/// All pages of a review.
async fn all_of(
    service: &KeyService,
    actor: &Actor,
    review: &Review,
) -> Result<Vec<Row>, BoxError> {
    let (mut rows, mut page) = (Vec::new(), ListKeys::new());
    loop {
        let found = service.review(actor, review, page.clone()).await?;
        rows.extend(found.records.iter().map(|record| row(service, record)));
        match found.next {
            Some(next) => page = page.with_after(next),
            None => return Ok(rows),
        }
    }
}

fn row(service: &KeyService, record: &KeyRecord) -> Row {
    let maybe = |moment: Option<_>| moment.map_or_else(|| "–".to_owned(), text::day);
    Row {
        hint: service
            .hint(record)
            .unwrap_or_else(|| record.id.to_string()),
        name: record.name.clone(),
        owner: record.owner.to_string(),
        created: text::day(record.created_at),
        expires: maybe(record.expires_at),
        last_used: maybe(record.last_used.map(|last| last.at)),
    }
}
