//! Numbers of OCSF and the captions that go with them.

/// A number and its caption.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Code(pub(super) u8, pub(super) &'static str);

/// What stands where OCSF has no number for it.
pub(super) const OTHER: u8 = 99;

/// What is done to a key, an API or a finding. The numbers are those of all our classes.
pub(super) mod activity {
    use super::Code;

    pub(in super::super) const CREATE: Code = Code(1, "Create");
    pub(in super::super) const LOGON: Code = Code(1, "Logon");
    pub(in super::super) const READ: Code = Code(2, "Read");
    pub(in super::super) const UPDATE: Code = Code(3, "Update");
    pub(in super::super) const DELETE: Code = Code(4, "Delete");
    pub(in super::super) const ENABLE: Code = Code(8, "Enable");
    pub(in super::super) const DISABLE: Code = Code(9, "Disable");
}

pub(super) mod severity {
    use super::Code;

    /// Nobody has to do anything.
    pub(in super::super) const INFORMATIONAL: Code = Code(1, "Informational");
    /// Somebody may want to look.
    pub(in super::super) const LOW: Code = Code(2, "Low");
    /// Somebody has to act.
    pub(in super::super) const MEDIUM: Code = Code(3, "Medium");
}

pub(super) mod status {
    use super::Code;

    pub(in super::super) const SUCCESS: Code = Code(1, "Success");
    pub(in super::super) const FAILURE: Code = Code(2, "Failure");
    /// Of a finding.
    pub(in super::super) const NEW: Code = Code(1, "New");
}
