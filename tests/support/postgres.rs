//! Servers beside the test's Postgres: one that requires passwords, and `PgBouncer` before the
//! shared one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use super::eventually;

/// A running server. Killed when dropped.
pub struct Server {
    pub port: u16,
    child: Child,
    _folder: TempDir,
}

impl Server {
    /// A Postgres with the user `postgres`, who needs this password.
    pub async fn with_password(password: &str) -> Self {
        Self::with_password_at(free_port().await, password).await
    }

    /// The same at a port.
    pub async fn with_password_at(port: u16, password: &str) -> Self {
        let folder = folder_of_postgres();
        let data = folder.path().join("data");
        let file = folder.path().join("password");
        std::fs::write(&file, password).unwrap();
        let bin = newest_postgres();
        let made = as_postgres(&bin.join("initdb"))
            .args(["-U", "postgres", "--auth=scram-sha-256", "--no-sync"])
            .arg(format!("--pwfile={}", file.display()))
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut server = as_postgres(&bin.join("postgres"));
        server
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &port.to_string()])
            .args(["-c", "fsync=off", "-c", "unix_socket_directories="]);
        Self::start(server, port, folder).await
    }

    /// `PgBouncer` in front of the Postgres that an address names by the folder of its socket.
    pub async fn pgbouncer(url: &str, pool_mode: &str, pool_size: u32) -> (Self, String) {
        let (server, socket) = url.split_once("?host=").expect("a socket's folder");
        let target = format!("host={socket} user=postgres");
        let (pooler, port) = Self::pgbouncer_before(&target, pool_mode, pool_size).await;
        (
            pooler,
            server.replace("@localhost/", &format!("@127.0.0.1:{port}/")),
        )
    }

    /// `PgBouncer` in front of a server that its own connection string names. Returns its port too.
    pub async fn pgbouncer_before(target: &str, pool_mode: &str, pool_size: u32) -> (Self, u16) {
        let folder = folder_of_postgres();
        let port = free_port().await;
        let file = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = {target}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {pool_mode}\n\
             default_pool_size = {pool_size}\nmax_client_conn = 500\n\
             server_login_retry = 1\n"
        );
        std::fs::write(&file, settings).unwrap();
        let mut pooler = as_postgres(Path::new("pgbouncer"));
        pooler.arg(&file);
        (Self::start(pooler, port, folder).await, port)
    }

    async fn start(mut command: Command, port: u16, folder: TempDir) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self {
            port,
            child,
            _folder: folder,
        };
        eventually("the server to listen", async || {
            assert!(server.child.try_wait().unwrap().is_none(), "it ended");
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT ends Postgres and PgBouncer at once, and their children.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.child.wait();
    }
}

/// A program that does not run as root, as it refuses to.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ])
        .arg(program);
    command
}

fn folder_of_postgres() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if is_root() {
        let mut owner = Command::new("chown");
        owner.arg("postgres").arg(folder.path());
        assert!(owner.status().unwrap().success());
    }
    folder
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

fn newest_postgres() -> PathBuf {
    let all = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut all: Vec<PathBuf> = all.map(|entry| entry.unwrap().path().join("bin")).collect();
    all.retain(|bin| bin.join("initdb").is_file());
    all.sort();
    all.pop().expect("Postgres is installed")
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}
