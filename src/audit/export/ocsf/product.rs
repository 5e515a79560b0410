use serde::Serialize;

use crate::audit::Text;

/// The application in whose name events are exported: `metadata.product` in OCSF, and the service that keys are
/// presented to.
///
/// ```
/// use keyward::audit::export::Product;
///
/// let product = Product::new("billing-api").with_vendor("Example Ltd").with_version("4.2.0");
/// # let _ = product;
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Product {
    name: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<Text>,
    #[serde(rename = "vendor_name", skip_serializing_if = "Option::is_none")]
    vendor: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Text>,
}

impl Product {
    /// Returns a product of that name.
    #[must_use]
    pub fn new(name: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            uid: None,
            vendor: None,
            version: None,
        }
    }

    /// Sets the id under which the product is known where the export goes; none otherwise.
    #[must_use]
    pub fn with_uid(mut self, uid: impl Into<Text>) -> Self {
        self.uid = Some(uid.into());
        self
    }

    /// Sets who makes the product; nobody otherwise.
    #[must_use]
    pub fn with_vendor(mut self, vendor: impl Into<Text>) -> Self {
        self.vendor = Some(vendor.into());
        self
    }

    /// Sets the version of the product; none otherwise.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<Text>) -> Self {
        self.version = Some(version.into());
        self
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_str()
    }
}
