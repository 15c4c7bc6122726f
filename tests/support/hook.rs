//! A receiver of webhooks on loopback, over https.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// An answer that is good.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A receiver on loopback, with a certificate of its own.
pub struct Hook {
    pub port: u16,
    pub certificate: Vec<u8>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Hook {
    /// Answers every request with a status line and headers.
    pub async fn open(answer: &'static str) -> Self {
        Self::endless(answer, b"", Duration::ZERO).await
    }

    /// Answers every request with a text, and then for ever with some bytes after each pause, where
    /// there are any.
    pub async fn endless(answer: &'static str, more: &'static [u8], pause: Duration) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![
            "localhost".to_owned(),
            "hook.example".to_owned(),
            "127.0.0.1".to_owned(),
        ])
        .unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = Self {
            port: listener.local_addr().unwrap().port(),
            certificate: made.cert.pem().into_bytes(),
            heard: Arc::default(),
        };
        let heard = Arc::clone(&hook.heard);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, heard) = (acceptor.clone(), Arc::clone(&heard));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else {
                        return;
                    };
                    let mut bytes = Vec::new();
                    let mut chunk = [0; 4096];
                    while !is_whole(&bytes) {
                        match stream.read(&mut chunk).await {
                            Ok(read) if read > 0 => bytes.extend(&chunk[..read]),
                            _ => break,
                        }
                    }
                    heard
                        .lock()
                        .unwrap()
                        .push(String::from_utf8_lossy(&bytes).into_owned());
                    if answer.is_empty() {
                        return;
                    }
                    let _ = stream.write_all(answer.as_bytes()).await;
                    while !more.is_empty() && stream.write_all(more).await.is_ok() {
                        let _ = stream.flush().await;
                        tokio::time::sleep(pause).await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        hook
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/in", self.port)
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}
