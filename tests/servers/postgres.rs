//! PostgreSQL on a unix socket in its folder, and nowhere else.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::keeper::{self, Kind, Server};
use super::{binary, unique};

const INSTALL: &str = "apt-get install postgresql";

static KIND: Kind = Kind {
    name: "postgres",
    // Fast shutdown: open transactions are rolled back.
    signal: "INT",
    prepare,
    is_ready,
    account,
};

/// A PostgreSQL server. Its default collation is a linguistic one, so that whatever relies on it for byte order fails.
pub(crate) struct Postgres(Server);

impl Postgres {
    /// The server that all tests share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self(Server::shared(&KIND)))
    }

    /// A server of this test's own; further arguments are for `postgres`.
    pub(crate) fn private(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        Self(Server::private(&KIND, arguments))
    }

    /// Creates an empty database and returns its address.
    pub(crate) fn database(&self) -> String {
        let name = unique("t");
        let output = client("createdb", self.0.folder(), &[&name]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        self.url(&name)
    }

    /// The address of a database, over the socket.
    pub(crate) fn url(&self, database: &str) -> String {
        let folder = self.0.folder().display();
        format!("postgres:///{database}?host={folder}&user=postgres")
    }

    /// The socket, for a proxy.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.folder().join(".s.PGSQL.5432")
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Kills it without warning, with whatever was under way.
    pub(crate) fn kill(&self) {
        self.0.kill();
    }

    /// Kills it and starts it again as a replica: it can be read from, and knows that another may know more.
    pub(crate) fn demote(&self) {
        self.kill();
        let signal = self.0.folder().join("data/standby.signal");
        std::fs::write(signal, "").expect("a file in the data folder");
        self.restart();
    }

    /// Starts the killed server again.
    pub(crate) fn restart(&self) {
        self.0.restart();
    }
}

fn tool(name: &str) -> PathBuf {
    let server = binary::find(
        "postgres",
        "KEYWARD_TEST_POSTGRES",
        &binary::debian_postgres(),
        INSTALL,
    );
    // Its tools lie beside it, perhaps behind a link.
    let server = server.canonicalize().expect("a binary");
    server.with_file_name(name)
}

fn client(name: &str, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(tool(name));
    command
        .arg("-h")
        .arg(folder)
        .args(["-U", "postgres"])
        .args(arguments);
    command.output().expect("a tool of PostgreSQL's runs")
}

fn prepare(folder: &Path, arguments: &[String]) -> Vec<OsString> {
    let data = folder.join("data");
    if !data.exists() {
        let mut initdb = keeper::as_account(Command::new(tool("initdb")), &KIND);
        initdb.arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]);
        initdb.args([
            "--locale=C.UTF-8",
            "--locale-provider=icu",
            "--icu-locale=en-US",
        ]);
        let output = initdb.current_dir(folder).output().expect("initdb runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut command: Vec<OsString> = vec![
        tool("postgres").into(),
        "-D".into(),
        data.into(),
        "-k".into(),
    ];
    command.push(folder.into());
    let settings = [
        "listen_addresses=",
        "unix_socket_permissions=0700",
        // What is lost is lost with the machine only: a killed server finds everything it has answered for.
        "fsync=off",
        "full_page_writes=off",
        "max_connections=300",
        "shared_buffers=64MB",
    ];
    command.extend(
        settings
            .iter()
            .flat_map(|it| ["-c".into(), OsString::from(*it)]),
    );
    command.extend(arguments.iter().map(OsString::from));
    command
}

fn is_ready(folder: &Path) -> bool {
    folder.join(".s.PGSQL.5432").exists() && client("pg_isready", folder, &["-q"]).status.success()
}

/// `postgres` refuses to run as root.
fn account() -> Option<(u32, u32)> {
    let home = std::fs::metadata("/var/lib/postgresql")
        .ok()
        .filter(|it| it.uid() != 0);
    // 65534 is `nobody`, wherever PostgreSQL did not come from a package.
    Some(home.map_or((65534, 65534), |home| (home.uid(), home.gid())))
}
