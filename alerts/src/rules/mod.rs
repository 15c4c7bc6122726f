//! Rules as pure functions: the rule itself, its state machine, its evaluation over minutes of a
//! metric, and the evidence.

pub mod evaluation;
pub(crate) mod evidence;
pub(crate) mod rule;
pub mod state_machine;
