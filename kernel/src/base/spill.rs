//! Temporary files, as those who write them see them.

use super::Res;

/// Temporary files, numbered within one execution. `Err(Need::Spill)` means: nothing happened yet, call again with the
/// same arguments. A full disk is 53100. Everything is dropped with the execution.
pub trait Spill: Send + Sync {
    /// A new empty file.
    fn create(&self) -> Res<u64>;
    /// Append to a file.
    fn write(&self, file: u64, bytes: &[u8]) -> Res<()>;
    /// Exactly `len` bytes at `offset`.
    fn read(&self, file: u64, offset: u64, len: usize) -> Res<Vec<u8>>;
    /// The file is not needed any more.
    fn remove(&self, file: u64);
}
