//! A TCP proxy on loopback before a server, which can be closed and opened again.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// The proxy. While it is closed its port refuses connections.
pub struct Proxy {
    pub address: SocketAddr,
    target: PathBuf,
    serving: Option<JoinHandle<()>>,
}

impl Proxy {
    /// In front of the Postgres that an address names by the folder of its socket. Also returns
    /// the address by way of it.
    pub fn to_postgres(url: &str) -> (Self, String) {
        let (server, folder) = url.split_once("?host=").expect("a socket's folder");
        let mut proxy = Self {
            address: "127.0.0.1:0".parse().unwrap(),
            target: PathBuf::from(folder).join(".s.PGSQL.5432"),
            serving: None,
        };
        proxy.open();
        let url = server.replace("@localhost/", &format!("@{}/", proxy.address));
        (proxy, url)
    }

    pub fn open(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(128).unwrap();
        self.address = listener.local_addr().unwrap();
        self.serving = Some(tokio::spawn(serve(listener, self.target.clone())));
    }

    /// Breaks every connection, and refuses new ones.
    pub async fn close(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }
}

async fn serve(listener: TcpListener, target: PathBuf) {
    let mut connections = JoinSet::new();
    loop {
        let (mut inner, _) = listener.accept().await.unwrap();
        let target = target.clone();
        connections.spawn(async move {
            if let Ok(mut outer) = UnixStream::connect(target).await {
                let _ = copy_bidirectional(&mut inner, &mut outer).await;
            }
        });
    }
}
