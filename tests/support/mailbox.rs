//! A mail server on loopback, which can misbehave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpSocket, TcpStream};

/// Fault of the server, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Answers this code in place of the greeting.
    Greeting(u16),
    /// Answers this code to the recipient.
    Recipient(u16),
    /// Answers this code after the mail's end, and does not keep it.
    Data(u16),
    /// Keeps the mail and breaks off before it says so.
    DropAfterData,
    /// Keeps the mail and never says so.
    MuteAfterData,
    /// Keeps the mail, and says so late.
    SlowAfterData(Duration),
    /// Greets so late.
    SlowBanner(Duration),
    /// Says all that it says a byte a second.
    ByteASecond,
    /// Answers recipients whose address holds the first text by the second, or by [`CLOSE`].
    Refuse(&'static str, &'static str),
    /// Answers mails to such recipients so after the mail's end, and does not keep them.
    RefuseData(&'static str, &'static str),
    /// Never answers this command.
    MuteAt(&'static str),
    /// Greets by this text, again and again.
    Endless(&'static str),
}

/// In place of a reply: the connection is closed.
pub const CLOSE: &str = "";

/// A running mail server.
pub struct Mailbox {
    pub url: String,
    mails: Arc<Mutex<Vec<String>>>,
    fault: Arc<Mutex<Fault>>,
    return_paths: Arc<Mutex<Vec<String>>>,
}

impl Mailbox {
    #[expect(clippy::unused_async, reason = "it needs a runtime")]
    pub async fn open(fault: Fault) -> Self {
        Self::open_at(Self::port(), fault)
    }

    /// A port of its own that refuses connections until a mailbox opens at it.
    pub fn port() -> TcpSocket {
        let port = TcpSocket::new_v4().unwrap();
        port.bind(([127, 0, 0, 1], 0).into()).unwrap();
        port
    }

    pub fn open_at(port: TcpSocket, fault: Fault) -> Self {
        let listener = port.listen(1_024).unwrap();
        let mailbox = Self {
            url: format!("smtp://{}", listener.local_addr().unwrap()),
            mails: Arc::default(),
            fault: Arc::new(Mutex::new(fault)),
            return_paths: Arc::default(),
        };
        let return_paths = Arc::clone(&mailbox.return_paths);
        let (mails, fault) = (Arc::clone(&mailbox.mails), Arc::clone(&mailbox.fault));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let fault = *fault.lock().unwrap();
                let (mails, return_paths) = (Arc::clone(&mails), Arc::clone(&return_paths));
                tokio::spawn(async move {
                    let _ = talk(socket, fault, &mails, &return_paths).await;
                });
            }
        });
        mailbox
    }

    /// The mails so far, headers and body.
    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }

    /// The senders of the envelopes so far.
    pub fn return_paths(&self) -> Vec<String> {
        self.return_paths.lock().unwrap().clone()
    }

    /// Number of arrivals of each mail, by its Message-ID.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for mail in self.mails() {
            *counts.entry(message_id(&mail)).or_default() += 1;
        }
        counts
    }

    /// Changes how it misbehaves from the next connection on.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

/// The Message-ID of a mail, without its brackets.
pub fn message_id(mail: &str) -> String {
    let line = mail
        .lines()
        .find_map(|line| line.strip_prefix("Message-ID: "));
    line.expect("a Message-ID")
        .trim_matches(['<', '>'])
        .to_owned()
}

/// A line with its end.
async fn next(read: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    Ok((read.read_line(&mut line).await? > 0).then_some(line))
}

/// One conversation, RFC 5321.
async fn talk(
    socket: TcpStream,
    fault: Fault,
    mails: &Mutex<Vec<String>>,
    return_paths: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let (read, mut write) = socket.into_split();
    let mut read = BufReader::new(read);
    if let Fault::Greeting(code) = fault {
        write
            .write_all(format!("{code} not now\r\n").as_bytes())
            .await?;
        return Ok(());
    }
    match fault {
        Fault::SlowBanner(delay) => tokio::time::sleep(delay).await,
        Fault::ByteASecond => {
            for byte in b"220 mailbox.test ESMTP\r\n" {
                write.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Fault::Endless(text) => loop {
            write.write_all(text.repeat(100).as_bytes()).await?;
        },
        _ => (),
    }
    if fault != Fault::ByteASecond {
        write.write_all(b"220 mailbox.test ESMTP\r\n").await?;
    }
    let mut recipient = String::new();
    while let Some(line) = next(&mut read).await? {
        let verb = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_uppercase();
        if matches!(fault, Fault::MuteAt(mute) if mute == verb) {
            std::future::pending::<()>().await;
        }
        let reply = match verb.as_str() {
            "EHLO" | "HELO" => "250 mailbox.test\r\n".to_owned(),
            "MAIL" => {
                let path = line.split(['<', '>']).nth(1).unwrap_or_default();
                return_paths.lock().unwrap().push(path.to_owned());
                "250 ok\r\n".to_owned()
            }
            "RCPT" => {
                recipient.clone_from(&line);
                match fault {
                    Fault::Recipient(code) => format!("{code} no\r\n"),
                    Fault::Refuse(some, CLOSE) if line.contains(some) => return Ok(()),
                    Fault::Refuse(some, reply) if line.contains(some) => format!("{reply}\r\n"),
                    _ => "250 ok\r\n".to_owned(),
                }
            }
            "DATA" => {
                write.write_all(b"354 go\r\n").await?;
                let mut mail = String::new();
                let (mut bare, mut whole) = (false, false);
                while let Some(line) = next(&mut read).await? {
                    // A bare line feed can smuggle a second mail in: strict servers refuse it.
                    bare |= !line.ends_with("\r\n");
                    let line = line.trim_end_matches(['\r', '\n']);
                    if line == "." {
                        whole = true;
                        break;
                    }
                    mail += line.strip_prefix('.').unwrap_or(line);
                    mail += "\n";
                }
                if !whole {
                    // Broken off before its end: no server keeps that.
                    return Ok(());
                }
                if bare {
                    "550 bare line feed\r\n".to_owned()
                } else if let Fault::Data(code) = fault {
                    format!("{code} no\r\n")
                } else if let Fault::RefuseData(some, reply) = fault
                    && recipient.contains(some)
                {
                    if reply == CLOSE {
                        return Ok(());
                    }
                    format!("{reply}\r\n")
                } else {
                    mails.lock().unwrap().push(mail);
                    match fault {
                        Fault::DropAfterData => return Ok(()),
                        Fault::MuteAfterData => std::future::pending::<()>().await,
                        Fault::SlowAfterData(delay) => tokio::time::sleep(delay).await,
                        _ => (),
                    }
                    "250 taken\r\n".to_owned()
                }
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok\r\n".to_owned(),
        };
        write.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}
