//! Writes mails into files, for installations without a mail server.

use std::path::PathBuf;

use async_trait::async_trait;
use marketlake_common::private_file;
use marketlake_model::Millis;
use tokio::task::spawn_blocking;

use super::{Channel, ChannelError, OutgoingMessage, SendOutcome, Transport};

/// Mails as files, `MESSAGE-ID.eml`. The same message is the same file.
#[derive(Clone, Debug)]
pub struct FileChannel {
    folder: PathBuf,
}

impl FileChannel {
    /// The channel into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn new(folder: PathBuf) -> Result<Self, ChannelError> {
        private_file::create_folder(&folder)
            .map_err(|error| ChannelError::Address(format!("{}: {error}", folder.display())))?;
        Ok(Self { folder })
    }

    /// Returns once the file and its entry in the folder are on the disk.
    fn write(&self, message: &OutgoingMessage) -> std::io::Result<()> {
        let file = self.folder.join(format!("{}.eml", message.message_id));
        private_file::write(&file, &message.bytes)
    }
}

impl Channel for FileChannel {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Transport for FileChannel {
    async fn prepare(&mut self, _parcel: &OutgoingMessage) -> Result<(), SendOutcome> {
        Ok(())
    }

    async fn transmit(&mut self, message: &OutgoingMessage, _now: Millis) -> SendOutcome {
        // Flushing takes its time, and holds up nothing else.
        let (channel, message) = (self.clone(), message.clone());
        let written = spawn_blocking(move || channel.write(&message)).await;
        let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        match written {
            Ok(()) => SendOutcome::Sent,
            Err(error) => SendOutcome::Retry(format!("{}: {error}", self.folder.display())),
        }
    }
}
