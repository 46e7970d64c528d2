//! The one place where expressions and operators meet `types/` and `func/`.

/// Settings and session facts that functions may look at.
#[derive(Clone, Debug, Default)]
pub struct Ctx;
