//! PostgreSQL's protocol 3.0 as bytes: messages both ways, rows and COPY data, and statement texts made comparable. Who says what
//! when is `session::connection`'s.

pub mod backend;
pub mod copy;
pub mod encode;
pub mod frontend;
pub mod lexer;

#[cfg(test)]
mod tests;
