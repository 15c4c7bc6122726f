//! Lanes: mails and webhooks leave side by side, each over connections of its own.

use marketlake_entities::records::subscriptions::ChannelKind;
use url::Url;

/// A way out with connections and claims of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Mails, over SMTP or into a folder.
    Mail,
    /// Webhooks and chats.
    Webhook,
}

pub(crate) const LANES: [Lane; 2] = [Lane::Mail, Lane::Webhook];

impl Lane {
    /// The lane of a channel.
    #[must_use]
    pub fn of(channel: ChannelKind) -> Self {
        match channel {
            ChannelKind::Mail => Self::Mail,
            _ => Self::Webhook,
        }
    }

    /// Its name in throttles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }
}

/// The recipient domain or the host with its port that an address leads to.
pub(crate) fn destination(channel: ChannelKind, address: &str) -> String {
    let lane = Lane::of(channel);
    let place = match lane {
        Lane::Mail => address.rsplit('@').next().unwrap_or(address).to_lowercase(),
        Lane::Webhook => match Url::parse(address) {
            Ok(url) => format!(
                "{}:{}",
                url.host_str().unwrap_or_default(),
                url.port_or_known_default().unwrap_or_default()
            ),
            Err(_) => address.to_owned(),
        },
    };
    format!("{}:{place}", lane.name())
}
