//! A mail server on loopback that takes everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The server, and what it took.
pub struct Sink {
    pub url: String,
    pub taken: Arc<AtomicUsize>,
    /// Times at which the last mails were taken, in milliseconds since 1970.
    pub times: Arc<Mutex<Vec<i64>>>,
    pub bytes: Arc<AtomicUsize>,
}

impl Sink {
    pub async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let sink = Self {
            url: format!("smtp://{}", listener.local_addr()?),
            taken: Arc::default(),
            times: Arc::default(),
            bytes: Arc::default(),
        };
        let (taken, times, bytes) = (
            Arc::clone(&sink.taken),
            Arc::clone(&sink.times),
            Arc::clone(&sink.bytes),
        );
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (taken, times, bytes) =
                    (Arc::clone(&taken), Arc::clone(&times), Arc::clone(&bytes));
                tokio::spawn(async move {
                    let _ = talk(socket, &taken, &times, &bytes).await;
                });
            }
        });
        Ok(sink)
    }
}

async fn talk(
    socket: TcpStream,
    taken: &AtomicUsize,
    times: &Mutex<Vec<i64>>,
    bytes: &AtomicUsize,
) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let reply = match line.get(..4).unwrap_or_default() {
            "DATA" => {
                write.write_all(b"354 go\r\n").await?;
                while let Some(line) = lines.next_line().await? {
                    bytes.fetch_add(line.len() + 2, Ordering::Relaxed);
                    if line == "." {
                        break;
                    }
                }
                taken.fetch_add(1, Ordering::Relaxed);
                times.lock().push(chrono::Utc::now().timestamp_millis());
                "250 taken\r\n"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok\r\n",
        };
        write.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}
