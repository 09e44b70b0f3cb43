//! A Postgres of its own on a port, which can be stopped and started again.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

use crate::postgres::{as_postgres, binaries, command_line, give_to_postgres};

const LIMIT: Duration = Duration::from_secs(30);

pub struct Server {
    folder: PathBuf,
    pub port: u16,
    child: Option<Child>,
}

impl Server {
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("sidelight-pg-").tempdir().unwrap().keep();
        give_to_postgres(&folder);
        let initdb = as_postgres(&binaries().join("initdb"))
            .args(["--username=sidelight", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
            .arg(folder.join("data"))
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, port, child: None };
        server.run().await;
        server
    }

    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// Through something that listens on another port.
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://sidelight@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    /// Starts the server, and waits until it answers.
    pub async fn run(&mut self) {
        let words = command_line(&binaries().join("postgres"));
        let child = Command::new(&words[0])
            .args(&words[1..])
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=60", "-c", "fsync=off", "-p"])
            .arg(self.port.to_string())
            .arg("-k")
            .arg(&self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let began = Instant::now();
        while PgConnection::connect(&self.url()).await.is_err() {
            assert!(began.elapsed() < LIMIT, "Postgres does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// At once: whatever was not committed is gone, connections break where they are.
    pub fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            Command::new("kill").args(["-QUIT", &child.id().to_string()]).status().unwrap();
            child.wait().unwrap();
        }
    }

    pub async fn execute(&self, sql: &'static str) {
        // Also while everybody else may only read.
        let url = format!("{}&options=-c%20default_transaction_read_only%3Doff", self.url());
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
