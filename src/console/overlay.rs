//! What lies on top of the panes.

/// The overlay that has the keys.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// All keys, generated from the binding table.
    Help { scroll: u16 },
}
