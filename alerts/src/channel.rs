//! How a mail leaves the house.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::response::Response;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::time::timeout;

use crate::Mail;

/// How long one sending may take. lettre's own limit covers the connection only.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Taken; the receiver is answerable for it now.
    Sent,
    /// Surely not sent, and a later attempt may help.
    Retry(String),
    /// Surely not sent, and no attempt will help.
    Dead(String),
    /// The connection broke after the mail was handed over: nobody can know.
    Unknown(String),
}

/// Why a channel cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The address of the server or folder cannot be used.
    #[error("{0}")]
    Address(String),
}

/// Carries one mail.
///
/// An implementation never waits without a limit, and tells the four outcomes of [`Sending`] apart: what may have
/// arrived is never called a retry.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Tries once.
    async fn send(&self, mail: &Mail) -> Sending;
}

/// Mails as files, `DELIVERY.eml`, for those without a mail server. The same delivery is the same file.
#[derive(Debug)]
pub struct FileChannel {
    folder: PathBuf,
}

impl FileChannel {
    /// The channel into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn new(folder: PathBuf) -> Result<Self, ChannelError> {
        std::fs::create_dir_all(&folder)
            .map_err(|error| ChannelError::Address(format!("{}: {error}", folder.display())))?;
        Ok(Self { folder })
    }

    fn write(&self, mail: &Mail) -> std::io::Result<()> {
        let unfinished = self
            .folder
            .join(format!(".{}.unfinished", mail.delivery_id));
        std::fs::write(&unfinished, mail.message.formatted())?;
        std::fs::rename(
            unfinished,
            self.folder.join(format!("{}.eml", mail.delivery_id)),
        )
    }
}

#[async_trait]
impl Channel for FileChannel {
    async fn send(&self, mail: &Mail) -> Sending {
        match self.write(mail) {
            Ok(()) => Sending::Sent,
            Err(error) => Sending::Retry(format!("{}: {error}", self.folder.display())),
        }
    }
}

/// Mails over SMTP, a connection each: a pooled one can mix up replies after a cancelled mail.
pub struct SmtpChannel {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    patience: Duration,
}

impl SmtpChannel {
    /// The channel to `smtp://host:port` (`?tls=required` for STARTTLS) or `smtps://user:password@host`.
    ///
    /// # Errors
    /// Where the address cannot be used.
    pub fn new(url: &str, patience: Option<Duration>) -> Result<Self, ChannelError> {
        let patience = patience.unwrap_or(PATIENCE);
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|error| ChannelError::Address(error.to_string()))?
            .timeout(Some(patience))
            .build();
        Ok(Self {
            transport,
            patience,
        })
    }
}

#[async_trait]
impl Channel for SmtpChannel {
    async fn send(&self, mail: &Mail) -> Sending {
        let sending = self.transport.send(mail.message.clone());
        match timeout(self.patience, sending).await {
            Err(_) => Sending::Unknown(format!("no answer within {} s", self.patience.as_secs())),
            Ok(Ok(response)) => taken(&response),
            Ok(Err(error)) => refused(&error),
        }
    }
}

/// Only 250 after the mail's end means that it was taken (RFC 5321, 4.2.4).
fn taken(response: &Response) -> Sending {
    let code = response.code().to_string();
    if code == "250" {
        return Sending::Sent;
    }
    Sending::Unknown(format!("the server answered {code} where 250 was expected"))
}

fn refused(error: &SmtpError) -> Sending {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let next_reason = next.to_string();
        if !reason.contains(&next_reason) {
            reason = format!("{reason}: {next_reason}");
        }
        cause = next.source();
    }
    // lettre names failures to connect in its text only; nothing was handed over then.
    let never_connected = error.to_string().starts_with("Connection error") || error.is_tls();
    if error.is_permanent() || error.is_client() {
        Sending::Dead(reason)
    } else if error.is_transient() || never_connected {
        Sending::Retry(reason)
    } else {
        Sending::Unknown(reason)
    }
}
