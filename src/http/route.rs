//! The template of the route that a request matched.

use std::sync::Arc;

use ::http::Extensions;

use crate::audit::Text;

/// The template of the route (`/users/{id}`), as a request extension, for the audit trail.
///
/// With the feature `axum` the layers also read axum's `MatchedPath`, so only other routers need it. The raw path is
/// never written down.
///
/// ```
/// use keyward::http::RouteTemplate;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(RouteTemplate::new("/users/{id}"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteTemplate(Arc<str>);

impl RouteTemplate {
    /// Returns a template.
    #[must_use]
    pub fn new(template: &str) -> Self {
        Self(template.into())
    }

    pub(super) fn of(extensions: &Extensions) -> Option<Text> {
        let stated = extensions
            .get::<Self>()
            .map(|it| Text::from(Arc::clone(&it.0)));
        #[cfg(feature = "axum")]
        let stated = stated.or_else(|| {
            let matched = extensions.get::<axum::extract::MatchedPath>()?;
            Some(Text::from(matched.as_str()))
        });
        stated
    }
}
