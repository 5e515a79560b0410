/// What is asked of the rows of a store that are bound to a pepper. `docs/row-binding.md` has the order in which to switch on.
///
/// ```
/// use keyward::KeyService;
/// use keyward::hash::{Hashing, PepperRing};
/// use keyward::service::RowBindingMode;
/// use keyward::store::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = *b"0y4Q-an0ther-32-byte-key-xzv87Lq";
/// let ring = PepperRing::builder().pepper(1, secret).build()?;
/// let service = KeyService::builder(MemoryStore::new())
///     .hashing(Hashing::builder().peppers(ring).build()?)
///     .row_binding(RowBindingMode::Required)
///     .build()?;
/// # service.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RowBindingMode {
    /// Each write binds its row, and a bound row must hold. A row without a binding is taken as it is: whoever can write rows
    /// can take bindings away. For the time in which rows are bound for the first time.
    WhenPresent,
    /// A row without a binding is refused as well.
    Required,
}
