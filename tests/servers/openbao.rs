//! OpenBao, which speaks HashiCorp Vault's API, in memory on a loopback port.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::keeper::{Kind, Server, wait_until};
use super::{binary, unique};

/// The token that may do everything on a test server.
const ROOT: &str = "keyward-test-root";

static KIND: Kind = Kind {
    name: "openbao",
    signal: "TERM",
    prepare,
    is_ready,
    account: || None,
};

/// An OpenBao server.
pub(crate) struct OpenBao(Server);

impl OpenBao {
    /// The server that all tests share: take a mount of your own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<OpenBao> = OnceLock::new();
        SHARED.get_or_init(|| Self(Server::shared(&KIND)))
    }

    /// A server of this test's own.
    pub(crate) fn private() -> Self {
        Self(Server::private(&KIND, Vec::new()))
    }

    /// The same, with further arguments for `bao server`.
    pub(crate) fn private_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        Self(Server::private(&KIND, arguments))
    }

    /// The server's address, as clients are given it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where it listens, for a proxy.
    pub(crate) fn address(&self) -> SocketAddr {
        address(self.0.folder()).expect("the server has started")
    }

    /// The token that may do everything.
    pub(crate) fn token(&self) -> &'static str {
        ROOT
    }

    /// Mounts an engine (`kv-v2`, `transit`) under a new name, and returns the name.
    pub(crate) fn mount(&self, engine: &str) -> String {
        let name = unique("m");
        let (kind, options) = match engine.strip_suffix("-v2") {
            Some(kind) => (kind, r#","options":{"version":"2"}"#),
            None => (engine, ""),
        };
        let body = format!(r#"{{"type":"{kind}"{options}}}"#);
        self.call("POST", &format!("sys/mounts/{name}"), &body);
        self.wait_for(&name);
        name
    }

    /// Waits until a new mount answers. One with versions is not ready at once, and says so by 400.
    pub(crate) fn wait_for(&self, mount: &str) {
        let path = format!("{mount}/data/ready");
        wait_until(
            || self.try_call("GET", &path, "").0 != 400,
            || format!("{mount} does not get ready"),
        );
    }

    /// Calls the API as root and returns the answer's body. Anything but a success fails the test.
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> String {
        let (status, text) = self.try_call(method, path, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {text}"
        );
        text
    }

    /// Calls the API as root and returns status and body.
    pub(crate) fn try_call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        exchange(self.address(), method, path, body).expect("the server answers")
    }

    /// Seals it: it answers nothing but that it is sealed.
    pub(crate) fn seal(&self) {
        self.call("PUT", "sys/seal", "");
    }

    /// Unseals it again.
    pub(crate) fn unseal(&self) {
        // It is written down a moment after the server answers.
        let log = || self.0.log();
        let key = |log: &str| {
            let mut lines = log.lines();
            let key = lines.find_map(|line| line.trim().strip_prefix("Unseal Key: "));
            key.map(str::to_owned)
        };
        wait_until(
            || key(&log()).is_some(),
            || format!("no unseal key in:\n{}", log()),
        );
        let key = key(&log()).unwrap();
        self.call("PUT", "sys/unseal", &format!(r#"{{"key":"{key}"}}"#));
    }

    /// Runs lines of a shell with `bao`, which speaks to this server as root. A line that fails fails the test.
    pub(crate) fn shell(&self, lines: &str) -> String {
        let lines = format!("bao() {{ \"$BAO\" \"$@\"; }}\n{lines}");
        let output = Command::new("sh")
            .args(["-euc", &lines])
            .env("BAO", server())
            .env("BAO_ADDR", self.url())
            .env("BAO_TOKEN", ROOT)
            .output()
            .expect("a shell");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{lines}\n{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Kills it without warning. What it held is lost.
    pub(crate) fn kill(&self) {
        self.0.kill();
    }
}

fn address(folder: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(folder.join("address"))
        .ok()?
        .parse()
        .ok()
}

/// The server is its own command-line client.
fn server() -> PathBuf {
    let cached = binary::cache().join("openbao-2.7.2");
    binary::find(
        "bao",
        "KEYWARD_TEST_OPENBAO",
        &[cached],
        "./tests/run.sh servers",
    )
}

fn prepare(folder: &Path, arguments: &[String]) -> Vec<OsString> {
    // It cannot say which port it was given, so it is told one that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let address = free.expect("a free port").to_string();
    std::fs::write(folder.join("address"), &address).expect("a file in its own folder");
    let mut command: Vec<OsString> = vec![server().into(), "server".into(), "-dev".into()];
    command.push(format!("-dev-listen-address={address}").into());
    command.push(format!("-dev-root-token-id={ROOT}").into());
    command.push("-dev-no-store-token".into());
    command.extend(arguments.iter().map(OsString::from));
    command
}

fn is_ready(folder: &Path) -> bool {
    let answer = address(folder).and_then(|it| exchange(it, "GET", "sys/health", "").ok());
    answer.is_some_and(|(status, _)| status == 200)
}

fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    write!(
        stream,
        "{method} /v1/{path} HTTP/1.0\r\nHost: {address}\r\nX-Vault-Token: {ROOT}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    status
        .map(|status| (status, body.to_owned()))
        .ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
