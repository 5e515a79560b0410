//! What a key may do: pure, total, synchronous evaluation.
//!
//! A service writes down its [`Role`]s in an [`AccessPolicy`]. A key carries a [`Grant`] (a role, scopes, or a role
//! narrowed by scopes), denied scopes, a [`TenantBinding`] and a [kind](crate::key::KeyKind); together they are the [`Subject`]. An operation states
//! what it needs as a [`Requirement`] and what it is about as a [`Target`]. [`AccessPolicy::evaluate`] answers with a
//! [`Decision`]; deny is the default, and nothing is allocated on the way.
//!
//! Whether one key may hand out another is a question of its own: [`AccessPolicy::within`].
//!
//! `docs/access-semantics.md` numbers the laws that hold here, and the tests name the law they pin.
//!
//! ```
//! use keyward::access::{
//!     AccessPolicy, Grant, Requirement, Role, Scope, Subject, Target, TenantBinding, TenantId,
//! };
//! use keyward::key::KeyKind;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = AccessPolicy::builder()
//!     .role(Role::new("broker", ["send_email", "leads:*"])?)
//!     .build()?;
//!
//! // A key of the broker role, narrowed to reading leads, inside one tenant.
//! let grant = Grant::try_role_with_scopes("broker".parse()?, ["leads:read".parse::<Scope>()?])?;
//! let tenant: TenantId = "acme".parse()?;
//! let binding = TenantBinding::Tenant(tenant.clone());
//! let key = Subject::new(&grant, &[], &binding, KeyKind::Secret);
//!
//! let read: Requirement = "leads:read".parse()?;
//! assert!(policy.evaluate(&key, &read, &Target::Tenant(&tenant)).is_allowed());
//!
//! let both: Requirement = "leads:read AND send_email".parse()?;
//! let decision = policy.evaluate(&key, &both, &Target::Tenant(&tenant));
//! assert_eq!(decision.to_string(), "denied: missing permission `send_email`");
//! # Ok(())
//! # }
//! ```

mod ceiling;
mod decision;
mod evaluate;
mod grant;
mod name;
mod permission;
mod policy;
mod publishable;
mod requirement;
mod role;
mod scope;
mod subject;
mod tenant;

pub use ceiling::CeilingError;
pub use decision::{Decision, DenyReason};
pub use grant::{Grant, ScopeListError, check_scopes};
pub use name::NameError;
pub use permission::Permission;
pub use policy::{AccessPolicy, AccessPolicyBuilder, PolicyError};
pub use publishable::PublishableError;
pub use requirement::{Requirement, RequirementParseError};
pub use role::{Role, RoleName, TenantReach};
pub use scope::Scope;
pub use subject::Subject;
pub use tenant::{Target, TenantBinding, TenantId};
