//! How often: quotas, tiers and the limiter contract.
