//! Mails over SMTP (RFC 5321).
//!
//! lettre's transport sends a mail in one call, and takes its connection back into the pool even
//! where that call was given up half-way. So its connection is used step by step: what fails before
//! the message goes over is surely not sent, and a connection on which anything went wrong is never
//! used again.

use std::time::Duration;

use async_trait::async_trait;
use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use marketlake_common::reason;
use marketlake_model::Millis;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::bounded::{Bounded, Budget};
use super::smtp_reply::{Stage, broken, refused};
use super::{Channel, ChannelError, OutgoingMessage, SendOutcome, Transport};

/// Timeout of each step before a message, and of the message itself. lettre's own limit covers the
/// connection only.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout of QUIT.
const QUIT_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// TLS from the first byte on (`smtps://`).
    Wrapped,
    /// STARTTLS; no mail is sent without (`?tls=required`).
    Required,
    /// STARTTLS where the server offers it (`?tls=opportunistic`).
    Opportunistic,
    None,
}

/// Mails over SMTP.
#[derive(Clone)]
pub struct SmtpChannel {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    hello: ClientId,
    timeout: Duration,
}

impl SmtpChannel {
    /// The channel to `smtp://host:port` (`?tls=required` for STARTTLS) or
    /// `smtps://user:password@host`. `hello` is the name by which we greet.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub fn new(text: &str, hello: &str, timeout: Option<Duration>) -> Result<Self, ChannelError> {
        let wrong = |reason: &str| ChannelError::Address(reason.to_owned());
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| wrong("expected a host, like smtp://mail.example.com"))?;
        let mut tls = match url.scheme() {
            "smtps" => Tls::Wrapped,
            _ => Tls::None,
        };
        for (name, value) in url.query_pairs() {
            tls = match (&*name, &*value) {
                ("tls", "required") if tls == Tls::None => Tls::Required,
                ("tls", "opportunistic") if tls == Tls::None => Tls::Opportunistic,
                _ => return Err(wrong("expected ?tls=required or ?tls=opportunistic")),
            };
        }
        let port = url.port().unwrap_or(match tls {
            Tls::Wrapped => 465,
            Tls::Required => 587,
            Tls::Opportunistic | Tls::None => 25,
        });
        let plain = |text: &str| {
            percent_decoded(text).ok_or_else(|| wrong("user and password must be UTF-8"))
        };
        let credentials = match url.username() {
            "" => None,
            user => {
                let password = plain(url.password().unwrap_or_default())?;
                Some(Credentials::new(plain(user)?, password))
            }
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            tls,
            credentials,
            hello: ClientId::Domain(hello.to_owned()),
            timeout: timeout.unwrap_or(TIMEOUT),
        })
    }

    async fn connect(&self, budget: &Budget) -> Result<AsyncSmtpConnection, SendOutcome> {
        let refused = |error: SmtpError| refused(Stage::Connect, &error);
        let parameters = || TlsParameters::new(self.host.clone()).map_err(refused);
        let unreachable =
            |error: std::io::Error| SendOutcome::Unavailable(format!("connection: {error}"));
        budget.renew();
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(unreachable)?;
        // A mail is written in two parts; else the second waits 40 ms for the first's
        // acknowledgement.
        stream.set_nodelay(true).map_err(unreachable)?;
        let stream = Bounded::new(stream, budget.clone());
        let stream: Box<dyn AsyncTokioStream> = if self.tls == Tls::Wrapped {
            budget.renew_for_handshake();
            let encrypted = stream.encrypt(parameters()?).await.map_err(refused)?;
            budget.renew();
            Box::new(encrypted)
        } else {
            Box::new(stream)
        };
        let connection = AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await;
        let mut connection = connection.map_err(refused)?;
        match self.tls {
            Tls::Required if !connection.can_starttls() => {
                let reason = "the server offers no STARTTLS, which this setting requires";
                return Err(SendOutcome::Unavailable(reason.to_owned()));
            }
            Tls::Required | Tls::Opportunistic if connection.can_starttls() => {
                budget.renew_for_handshake();
                let encrypted = connection.starttls(parameters()?, &self.hello).await;
                encrypted.map_err(refused)?;
                budget.renew();
            }
            _ => (),
        }
        if let Some(credentials) = &self.credentials {
            let reply = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            // A wrong password is the operator's to mend: the mails wait.
            reply.map_err(|error| SendOutcome::Unavailable(reason(&error)))?;
        }
        budget.renew();
        Ok(connection)
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex: Vec<u8> = rest.by_ref().take(2).collect();
            let hex = std::str::from_utf8(&hex).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl Channel for SmtpChannel {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(SmtpLine {
            channel: self.clone(),
            connection: None,
            budget: Budget::new(),
        })
    }
}

/// One connection at a time.
struct SmtpLine {
    channel: SmtpChannel,
    connection: Option<AsyncSmtpConnection>,
    budget: Budget,
}

impl SmtpLine {
    /// Up to the server's leave to send the message. `stage` says how far it came.
    async fn open(
        &mut self,
        message: &OutgoingMessage,
        stage: &mut Stage,
    ) -> Result<AsyncSmtpConnection, SendOutcome> {
        let envelope = |text: &str| {
            let address = text.parse::<Address>();
            address.map_err(|error| SendOutcome::Permanent(format!("address: {error}")))
        };
        let (from, to) = (envelope(&message.return_path)?, envelope(&message.address)?);
        self.budget.renew();
        let (kept, mut connection) = match self.connection.take() {
            Some(connection) => (true, connection),
            None => (false, self.channel.connect(&self.budget).await?),
        };
        *stage = Stage::Sender;
        let begin = || Mail::new(Some(from.clone()), Vec::new());
        if let Err(error) = connection.command(begin()).await {
            if !kept {
                return Err(refused(*stage, &error));
            }
            // The server may close a connection that was idle: once more on a new one.
            *stage = Stage::Connect;
            connection = self.channel.connect(&self.budget).await?;
            *stage = Stage::Sender;
            let begun = connection.command(begin()).await;
            begun.map_err(|error| refused(*stage, &error))?;
        }
        *stage = Stage::Recipient;
        let accepted = connection.command(Rcpt::new(to, Vec::new())).await;
        accepted.map_err(|error| refused(*stage, &error))?;
        *stage = Stage::Data;
        let ready = connection.command(Data).await;
        ready.map_err(|error| refused(*stage, &error))?;
        Ok(connection)
    }
}

#[async_trait]
impl Transport for SmtpLine {
    async fn prepare(&mut self, message: &OutgoingMessage) -> Result<(), SendOutcome> {
        let limit = self.channel.timeout;
        let mut stage = Stage::Connect;
        // Given up or refused, the connection is dropped: it is put back only after its last word
        // was read.
        let opened = timeout(limit, self.open(message, &mut stage)).await;
        let connection = match opened {
            Ok(opened) => opened?,
            Err(_) => {
                let seconds = limit.as_secs();
                let reason = format!("timed out after {seconds} s, at {stage}");
                return Err(broken(stage, reason));
            }
        };
        self.connection = Some(connection);
        Ok(())
    }

    async fn transmit(&mut self, message: &OutgoingMessage, _now: Millis) -> SendOutcome {
        let Some(mut connection) = self.connection.take() else {
            return SendOutcome::Retry("there is no connection".to_owned());
        };
        let limit = self.channel.timeout;
        self.budget.renew();
        match timeout(limit, connection.message(&message.bytes)).await {
            Err(_) => SendOutcome::Unknown(format!("no answer within {} s", limit.as_secs())),
            Ok(Ok(response)) => {
                let sending = accepted(&response);
                if sending == SendOutcome::Sent {
                    self.connection = Some(connection);
                }
                sending
            }
            Ok(Err(error)) if error.status().is_some() => refused(Stage::Data, &error),
            Ok(Err(error)) => SendOutcome::Unknown(reason(&error)),
        }
    }

    async fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let _ = timeout(QUIT_TIMEOUT, connection.quit()).await;
        }
    }
}

/// Only 250 after the mail's end means that it was taken (RFC 5321, 4.2.4).
fn accepted(response: &Response) -> SendOutcome {
    let code = response.code().to_string();
    if code == "250" {
        return SendOutcome::Sent;
    }
    SendOutcome::Unknown(format!("the server answered {code} where 250 was expected"))
}
