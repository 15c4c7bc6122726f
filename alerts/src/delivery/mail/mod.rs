//! What a person reads: a mail's text, picture and proof, a webhook's body, a chat's line.
//!
//! [`Writer`] makes a delivery's bytes, once; what they say is gathered in `story`, said by the templates in `alerts/templates`, and put
//! together in `mime`. The same delivery makes the same bytes, whenever it is written.

mod chart;
mod context;
mod display_name;
mod dkim;
mod load;
mod mime;
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
