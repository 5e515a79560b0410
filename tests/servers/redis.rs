//! Redis on a unix socket in its folder, without persistence.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::binary;
use super::keeper::{Kind, Server};

static KIND: Kind = Kind {
    name: "redis",
    signal: "TERM",
    prepare,
    is_ready,
    account: || None,
};

/// A Redis server.
pub(crate) struct Redis(Server);

impl Redis {
    /// The server that all tests share: take a key prefix of your own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(|| Self(Server::shared(&KIND)))
    }

    /// A server of this test's own; further arguments are for `redis-server`.
    pub(crate) fn private(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        Self(Server::private(&KIND, arguments))
    }

    /// The server's address, over the socket.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// The socket, for a proxy.
    pub(crate) fn socket(&self) -> PathBuf {
        socket(self.0.folder())
    }

    /// Runs a command, and returns what `redis-cli` would print without a terminal: values line by line.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let mut stream = BufReader::new(UnixStream::connect(self.socket()).expect("a connection"));
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        let sent = stream.get_mut().write_all(request.as_bytes());
        sent.expect("a server that reads");
        let mut lines = Vec::new();
        read_value(&mut stream, &mut lines);
        lines.join("\n")
    }

    /// Stops it in its tracks: connections stay open, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.0.signal("STOP");
    }

    /// Lets a frozen server go on.
    pub(crate) fn thaw(&self) {
        self.0.signal("CONT");
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Kills it without warning. What it held is lost.
    pub(crate) fn kill(&self) {
        self.0.kill();
    }

    /// Starts the killed server again, empty.
    pub(crate) fn restart(&self) {
        self.0.restart();
    }
}

fn read_value(stream: &mut BufReader<UnixStream>, lines: &mut Vec<String>) {
    let mut head = String::new();
    stream.read_line(&mut head).expect("an answer");
    let (kind, rest) = head.trim_end().split_at(1);
    match (kind, rest.parse::<usize>()) {
        ("$", Ok(length)) => {
            let mut value = vec![0; length + 2];
            stream.read_exact(&mut value).expect("a whole value");
            value.truncate(length);
            lines.push(String::from_utf8_lossy(&value).into_owned());
        }
        ("*", Ok(length)) => (0..length).for_each(|_| read_value(stream, lines)),
        _ => lines.push(rest.to_owned()),
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

fn prepare(folder: &Path, arguments: &[String]) -> Vec<OsString> {
    let server = binary::find(
        "redis-server",
        "KEYWARD_TEST_REDIS",
        &[],
        "apt-get install redis-server",
    );
    let _ = std::fs::remove_file(socket(folder));
    let mut command: Vec<OsString> = vec![server.into(), "--port".into(), "0".into()];
    command.extend([
        "--unixsocket".into(),
        socket(folder).into(),
        "--dir".into(),
        folder.into(),
    ]);
    command.extend(
        [
            "--unixsocketperm",
            "700",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        .map(OsString::from),
    );
    command.extend(arguments.iter().map(OsString::from));
    command
}

fn is_ready(folder: &Path) -> bool {
    let ask = || {
        let mut stream = UnixStream::connect(socket(folder))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok::<_, std::io::Error>(answer == *b"+PONG\r\n")
    };
    ask().unwrap_or(false)
}
