//! Mails as files, for those without a mail server.

use std::path::PathBuf;

use async_trait::async_trait;
use marketlake_common::private_file;
use marketlake_model::Millis;
use tokio::task::spawn_blocking;

use super::{Channel, ChannelError, Line, Parcel, Sending};

/// Mails as files, `MESSAGE-ID.eml`. The same message is the same file.
#[derive(Clone, Debug)]
pub struct FileChannel {
    folder: PathBuf,
}

impl FileChannel {
    /// The channel into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn new(folder: PathBuf) -> Result<Self, ChannelError> {
        private_file::create_folder(&folder)
            .map_err(|error| ChannelError::Address(format!("{}: {error}", folder.display())))?;
        Ok(Self { folder })
    }

    /// Returns once the file and its entry in the folder are on the disk.
    fn write(&self, parcel: &Parcel) -> std::io::Result<()> {
        let file = self.folder.join(format!("{}.eml", parcel.message_id));
        private_file::write(&file, &parcel.bytes)
    }
}

impl Channel for FileChannel {
    fn line(&self) -> Box<dyn Line> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Line for FileChannel {
    async fn prepare(&mut self, _parcel: &Parcel) -> Result<(), Sending> {
        Ok(())
    }

    async fn hand_over(&mut self, parcel: &Parcel, _now: Millis) -> Sending {
        // Flushing takes its time, and holds up nothing else.
        let (channel, parcel) = (self.clone(), parcel.clone());
        let written = spawn_blocking(move || channel.write(&parcel)).await;
        let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        match written {
            Ok(()) => Sending::Sent,
            Err(error) => Sending::Retry(format!("{}: {error}", self.folder.display())),
        }
    }
}
