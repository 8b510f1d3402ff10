//! What badgate hands over: the answer of `badgate check`.

pub mod check;
