//! The console's one transition.

use super::msg::{Effect, Msg};
use super::state::State;

/// Takes a message in; says what is to be done. Pure.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Now(t) => {
            state.now = t;
            Vec::new()
        }
        Msg::Resize(w, h) => {
            state.size = (w, h);
            Vec::new()
        }
        _ => Vec::new(),
    }
}
