//! Debian's nginx, in front of a server.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::eventually;

const ATTEMPTS: usize = 5;

/// A running nginx. Killed when dropped.
pub struct Nginx {
    child: Child,
    folder: TempDir,
    pub port: u16,
}

impl Nginx {
    /// With these lines in its `http` block; `PORT` and `FOLDER` in them stand for its own.
    pub async fn start(folder: TempDir, http: &str) -> Self {
        let mut own = Some(folder);
        for _ in 0..ATTEMPTS {
            // nginx cannot have the kernel choose: another process may take it in between.
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let folder = own.take().unwrap();
            let mut nginx = Self::spawn(folder, http, port);
            let is_up = eventually("nginx to answer or to end", async || {
                let connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
                let ended = nginx.child.try_wait().unwrap();
                (connected.is_ok() || ended.is_some()).then_some(ended.is_none())
            })
            .await;
            if is_up {
                return nginx;
            }
            let log = std::fs::read_to_string(nginx.folder.path().join("error.log"));
            eprintln!("nginx ended: {log:?}");
            own = Some(std::mem::replace(
                &mut nginx.folder,
                tempfile::tempdir().unwrap(),
            ));
        }
        panic!("nginx does not start; is it installed? scripts/test installs it");
    }

    fn spawn(folder: TempDir, http: &str, port: u16) -> Self {
        let path = folder.path().display().to_string();
        let http = http
            .replace("PORT", &port.to_string())
            .replace("FOLDER", &path);
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {path}/{name};\n"))
            .collect();
        let text = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{\naccess_log off;\n{temporary}{http}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).arg("-p").arg(folder.path());
        command.arg("-e").arg(folder.path().join("error.log"));
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // It is not on the path of users other than root.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let child = quiet.env("PATH", path).spawn();
        Self {
            child: child.expect("nginx is installed: scripts/test installs it"),
            folder,
            port,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
