//! Contents of deliveries: text, chart and proof of mails, bodies of webhooks, lines of chats.
//!
//! [`Writer`] renders a delivery once: from a `context`, by the templates in `alerts/templates`,
//! and put together in `mime`. The same delivery makes the same bytes, whenever it is written.

mod chart;
mod context;
mod display_name;
mod dkim;
mod load;
mod mime;
mod payload;
mod preview;
mod proof;
mod sample_data;
mod templates;
pub(crate) mod writer;

pub use chart::draw;
pub use dkim::Dkim;
pub use preview::{Preview, preview};
pub use templates::Templates;
pub use writer::{Writer, WriterOptions};
