//! What must be given before a key is handed out.

mod demand;
mod policy;
mod rule;

pub use self::demand::IssueRules;
pub(in crate::service) use self::policy::can_manage;
pub use self::policy::{
    DangerousIssuePolicyBuilder, IssuePolicy, IssuePolicyBuilder, IssuePolicyError,
};
pub use self::rule::IssueRule;
