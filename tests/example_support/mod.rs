//! Example services, started as their users start them and spoken to over HTTP.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test takes what it needs of these helpers, and a helper may say what it expects"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A running example. It is killed when it goes out of scope.
pub(crate) struct Example {
    child: Child,
    pub(crate) address: String,
    pub(crate) admin: Option<String>,
    /// What it wrote to standard error, at the most verbose level.
    pub(crate) log: Arc<Mutex<Vec<u8>>>,
}

/// The binary beside this test's own.
pub(crate) fn binary(example: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap();
    let path = folder.join("examples").join(example);
    assert!(
        path.exists(),
        "the example is not built: cargo build --all-features --example {example}"
    );
    path
}

impl Example {
    /// Starts it on a free port, in that folder, and waits until it listens.
    pub(crate) fn start(example: &str, folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(binary(example))
            .current_dir(folder)
            .env("KEYWARD_ADDR", "127.0.0.1:0")
            .env("RUST_LOG", "trace")
            .env_remove("KEYWARD_DB")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (mut stderr, collected) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut chunk) {
                collected.lock().unwrap().extend_from_slice(&chunk[..read]);
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut admin, mut address) = (None, None);
        while address.is_none() {
            let Some(Ok(line)) = lines.next() else {
                panic!(
                    "it ended at once: {}",
                    String::from_utf8_lossy(&log.lock().unwrap())
                );
            };
            if let Some((_, key)) = line.split_once("shown this once: ") {
                admin = Some(key.trim().to_owned());
            }
            if let Some((_, rest)) = line.split_once("listening on http://") {
                address = Some(rest.trim().to_owned());
            }
        }
        Self {
            child,
            address: address.unwrap(),
            admin,
            log,
        }
    }

    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.address
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        request.push_str("\r\n");
        request.push_str(&body);
        stream.write_all(request.as_bytes()).unwrap();
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).unwrap();
        Answer::parse(&String::from_utf8_lossy(&raw))
    }

    pub(crate) fn get(&self, path: &str, key: &str) -> Answer {
        self.request("GET", path, &[("X-API-Key", key)], None)
    }

    pub(crate) fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.request("POST", path, &[("X-API-Key", key)], Some(body))
    }

    pub(crate) fn admin(&self) -> &str {
        self.admin.as_deref().unwrap()
    }

    pub(crate) fn issue(&self, settings: &Value) -> (String, String) {
        let answer = self.post("/admin/keys", self.admin(), settings);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let json = answer.json();
        (
            json["id"].as_str().unwrap().to_owned(),
            json["key"].as_str().unwrap().to_owned(),
        )
    }

    /// Asks it to end, as a service manager does, and waits.
    pub(crate) fn terminate(mut self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("bash")
                .args(["-c", &format!("kill -TERM {id}")])
                .status()
                .unwrap()
                .success()
        );
        assert!(
            self.child.wait().unwrap().success(),
            "it did not end cleanly"
        );
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(raw: &str) -> Self {
        let (head, body) = raw.split_once("\r\n\r\n").expect("an HTTP answer");
        let (line, headers) = head.split_once("\r\n").unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            headers: headers.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}
