//! A mail server on loopback, which can misbehave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How it misbehaves, if it does.
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
}

/// A running mail server.
pub struct Mailbox {
    pub url: String,
    mails: Arc<Mutex<Vec<String>>>,
    fault: Arc<Mutex<Fault>>,
}

impl Mailbox {
    pub async fn open(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mailbox = Self {
            url: format!("smtp://{}", listener.local_addr().unwrap()),
            mails: Arc::default(),
            fault: Arc::new(Mutex::new(fault)),
        };
        let (mails, fault) = (Arc::clone(&mailbox.mails), Arc::clone(&mailbox.fault));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let fault = *fault.lock().unwrap();
                let mails = Arc::clone(&mails);
                tokio::spawn(async move {
                    let _ = talk(socket, fault, &mails).await;
                });
            }
        });
        mailbox
    }

    /// The mails so far, headers and body.
    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }

    /// Changes how it misbehaves from the next connection on.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

/// One conversation, RFC 5321.
async fn talk(socket: TcpStream, fault: Fault, mails: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    if let Fault::Greeting(code) = fault {
        write
            .write_all(format!("{code} not now\r\n").as_bytes())
            .await?;
        return Ok(());
    }
    write.write_all(b"220 mailbox.test ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_uppercase();
        let reply = match verb.as_str() {
            "EHLO" | "HELO" => "250 mailbox.test\r\n".to_owned(),
            "RCPT" => match fault {
                Fault::Recipient(code) => format!("{code} no\r\n"),
                _ => "250 ok\r\n".to_owned(),
            },
            "DATA" => {
                write.write_all(b"354 go\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    mail += line.strip_prefix('.').unwrap_or(&line);
                    mail += "\n";
                }
                if let Fault::Data(code) = fault {
                    format!("{code} no\r\n")
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
