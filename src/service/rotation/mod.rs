//! How old a secret may become before it is refused, and what is said before that.

mod age;
mod enforce;
mod policy;
mod retirement;
mod review;

pub use self::age::RotationAge;
pub use self::policy::{RotationPolicy, RotationPolicyBuilder, RotationPolicyError};
pub use self::retirement::{Retirement, RetirementReason};
