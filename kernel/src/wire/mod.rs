//! PostgreSQL's protocol 3.0 as bytes: messages both ways, rows and COPY data. Who says what
//! when is `session::connection`'s.

pub mod backend;
pub mod copy;
pub mod encode;
pub mod frontend;

#[cfg(test)]
mod tests;
