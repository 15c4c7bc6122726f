//! Mails as files, for those without a mail server.

use std::path::PathBuf;

use async_trait::async_trait;
use marketlake_entities::private_file;

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

    async fn hand_over(&mut self, parcel: &Parcel) -> Sending {
        match self.write(parcel) {
            Ok(()) => Sending::Sent,
            Err(error) => Sending::Retry(format!("{}: {error}", self.folder.display())),
        }
    }
}
