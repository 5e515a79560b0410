//! The service that ties the seams together.
