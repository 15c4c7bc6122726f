//! Channels: the transports over which messages leave the process.

mod bounded;
mod file;
pub(crate) mod smtp;
mod smtp_reply;
pub mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use marketlake_model::Millis;

use crate::queue::lane::Lane;
pub use file::FileChannel;
pub use marketlake_entities::records::delivery_throttles::ThrottleScope;
pub use smtp::SmtpChannel;
pub use webhook::{Guard, WebhookChannel};

/// Outcome of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Taken; the receiver is answerable for it now.
    Sent,
    /// Surely not sent, and a later attempt may help.
    Retry(String),
    /// Surely not sent, and the server would refuse every message: it is left alone for a while.
    Unavailable(String),
    /// Surely not sent, and the same holds for others: of the recipient's domain or the webhook's
    /// host, or of the address.
    Throttled {
        /// Deliveries to throttle.
        scope: ThrottleScope,
        /// The server's reply.
        reason: String,
        /// Pause that the receiver requested; capped at one hour.
        retry_after: Option<Duration>,
    },
    /// Surely not sent, after the mail server received the recipient: other deliveries show whether
    /// that is the server's fault or the recipient's.
    Ambiguous(String),
    /// Surely not sent, and no attempt will help.
    Permanent(String),
    /// The same, and nothing is to be sent there again: subscriptions that lead there end.
    Gone(String),
    /// The connection broke after the message was handed over: it may have arrived.
    Unknown(String),
}

/// Error of making a channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The address of the server or folder cannot be used.
    #[error("{0}")]
    Address(String),
}

/// One message, rendered.
#[derive(Clone, Debug)]
pub struct OutgoingMessage {
    /// Its identity, derived from what it says: the same at every attempt, and after a restore too.
    pub message_id: String,
    /// The sender's address on the envelope: where notices about it come back to.
    pub return_path: String,
    /// Recipient: a mail address, or a URL.
    pub address: String,
    /// With what a webhook is signed.
    pub secret: Option<String>,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// A kind of transport.
pub trait Channel: Send + Sync {
    /// Makes a transport for one worker, which may keep a connection between messages.
    fn transport(&self) -> Box<dyn Transport>;
}

/// Carries one message after the other, in two steps.
///
/// All that fails in [`prepare`](Self::prepare) is surely not sent. From the begin of
/// [`transmit`](Self::transmit) on the message may have arrived: what fails there without the
/// receiver's word is [`SendOutcome::Unknown`]. Neither waits without a limit. A transport whose
/// step failed is good for the next message all the same.
#[async_trait]
pub trait Transport: Send {
    /// Everything up to the point at which the message itself would go over.
    async fn prepare(&mut self, message: &OutgoingMessage) -> Result<(), SendOutcome>;

    /// Transmits the message that was prepared last, at a time that the receiver may compare with
    /// its own.
    async fn transmit(&mut self, message: &OutgoingMessage, now: Millis) -> SendOutcome;

    /// Says farewell, where that is the custom.
    async fn close(&mut self) {}
}

/// All channels of a process.
#[derive(Clone)]
pub struct Channels {
    /// Channel of mails.
    pub mail: Arc<dyn Channel>,
    /// Channel of webhooks and chats.
    pub webhook: Arc<dyn Channel>,
}

impl Channels {
    /// Makes a transport of the channel of a lane.
    pub(crate) fn transport(&self, lane: Lane) -> Box<dyn Transport> {
        match lane {
            Lane::Mail => self.mail.transport(),
            Lane::Webhook => self.webhook.transport(),
        }
    }
}
