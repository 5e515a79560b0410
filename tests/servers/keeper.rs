//! Servers that end with the tests that use them, however those end.
//!
//! Whoever uses a server holds a shared lock on a file for as long as its process lives; the operating system lets go of
//! it when the process is killed. Each server runs under a small shell, its keeper, which tries the same lock twice a
//! second and stops the server once nobody holds it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Arguments: folder, lock of the users, lock of whoever starts or stops, half seconds of patience, signal, command.
const KEEPER: &str = r#"
folder=$1 users=$2 start=$3 patience=$4 signal=$5; shift 5
"$@" >>"$folder/log" 2>&1 </dev/null &
server=$!
echo "$server" >"$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
idle=0
# Opened once: made anew, the file would bring back a folder that its test has removed.
exec 8<"$users"
while kill -0 "$server" 2>/dev/null; do
    sleep 0.5 || { kill -"$signal" "$server"; break; }
    if flock -n -x 8; then idle=$((idle + 1)); flock -u 8; else idle=0; fi
    [ "$idle" -ge "$patience" ] || continue
    exec 9<"$start"; flock -x 9
    if flock -n -x 8; then
        kill -CONT "$server"; kill -"$signal" "$server"
        for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$server" 2>/dev/null || break; sleep 0.5; done
        kill -KILL "$server" 2>/dev/null
        rm -rf "$folder"
        break
    fi
    exec 9<&-; idle=0
done
"#;

/// Between tests of one run there may be a while without any that uses a server.
const SHARED_PATIENCE: u32 = 20;
const PRIVATE_PATIENCE: u32 = 1;
const LONGEST_START: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// What has to be known of a kind of server.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The signal that ends it in good order.
    pub(super) signal: &'static str,
    /// Makes what it needs in its folder, and returns its command.
    pub(super) prepare: fn(&Path, &[String]) -> Vec<OsString>,
    /// Whether the server in this folder answers.
    pub(super) is_ready: fn(&Path) -> bool,
    /// The account it must run as when the tests run as root.
    pub(super) account: fn() -> Option<(u32, u32)>,
}

/// A server, for as long as this value lives.
pub(super) struct Server {
    kind: &'static Kind,
    folder: PathBuf,
    users: PathBuf,
    start: PathBuf,
    patience: u32,
    arguments: Vec<String>,
    lease: File,
}

impl Server {
    /// The one that all tests share; started by the first of them. Its locks lie beside its folder, because they must
    /// outlive it.
    pub(super) fn shared(kind: &'static Kind) -> Self {
        let base = base();
        let beside = |what: &str| base.join(format!("{}.{what}", kind.name));
        let server = Self::leased(kind, base.join(kind.name), beside("users"), beside("start"));
        let start = lock_file(&server.start);
        start.lock().expect("a lock");
        if !(kind.is_ready)(&server.folder) {
            let _ = fs::remove_dir_all(&server.folder);
            server.make_folder();
            server.launch();
        }
        drop(start);
        server
    }

    /// One for this test alone, with its locks in its folder.
    pub(super) fn private(kind: &'static Kind, arguments: Vec<String>) -> Self {
        let folder = base().join(super::unique(kind.name));
        fs::create_dir(&folder).expect("a folder for the server");
        let mut server = Self::leased(
            kind,
            folder.clone(),
            folder.join("users"),
            folder.join("start"),
        );
        server.arguments = arguments;
        server.patience = PRIVATE_PATIENCE;
        lock_file(&server.start);
        server.make_folder();
        server.launch();
        server
    }

    fn leased(kind: &'static Kind, folder: PathBuf, users: PathBuf, start: PathBuf) -> Self {
        let lease = lock_file(&users);
        lease.lock_shared().expect("a lock");
        Self {
            kind,
            folder,
            users,
            start,
            patience: SHARED_PATIENCE,
            arguments: Vec::new(),
            lease,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the server has written so far.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The server's process, which may have ended.
    pub(super) fn pid(&self) -> u32 {
        let text = fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        text.trim()
            .parse()
            .expect("the keeper has written the process id")
    }

    /// Sends a signal to the server's process.
    pub(super) fn signal(&self, signal: &str) {
        let command = format!("kill -{signal} {}", self.pid());
        let status = Command::new("sh").args(["-c", &command]).status();
        assert!(
            status.expect("a shell").success(),
            "no process to send {signal} to"
        );
    }

    /// Ends the server at once, without any chance to put things in order, and waits until it is gone.
    pub(super) fn kill(&self) {
        let pid = self.pid();
        self.signal("KILL");
        wait_until(
            || !is_alive(pid),
            || "the killed server is still there".to_owned(),
        );
        // The number may soon be somebody else's.
        let _ = fs::remove_file(self.folder.join("pid"));
    }

    /// Starts the killed server again, over what it has left on disk, and waits until it answers.
    pub(super) fn restart(&self) {
        self.launch();
    }

    fn make_folder(&self) {
        let _ = fs::create_dir(&self.folder);
        if let Some((uid, gid)) = account(self.kind) {
            std::os::unix::fs::chown(&self.folder, Some(uid), Some(gid))
                .expect("a change of owner");
        }
    }

    /// What a killed server has left may be in the way for a moment: PostgreSQL's other processes end after it.
    fn launch(&self) {
        let end = Instant::now() + LONGEST_START;
        while !self.try_launch() {
            let name = self.kind.name;
            assert!(
                Instant::now() < end,
                "{name} does not start:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts the server and waits until it answers, or has ended.
    fn try_launch(&self) -> bool {
        let command = (self.kind.prepare)(&self.folder, &self.arguments);
        let _ = fs::remove_file(self.folder.join("pid"));
        let mut keeper = as_account(Command::new("sh"), self.kind);
        keeper
            .args(["-c", KEEPER, "keeper"])
            .arg(&self.folder)
            .arg(&self.users)
            .arg(&self.start);
        keeper
            .args([&self.patience.to_string(), self.kind.signal])
            .args(command);
        // Its own group, so that an interrupt at the terminal reaches the tests first.
        keeper.process_group(0).current_dir(&self.folder);
        keeper
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut keeper = keeper.spawn().expect("a keeper");
        std::thread::spawn(move || keeper.wait());
        let mut ready = false;
        wait_until(
            || {
                ready = self.folder.join("pid").exists() && (self.kind.is_ready)(&self.folder);
                ready || (self.folder.join("pid").exists() && !is_alive(self.pid()))
            },
            || format!("{} does not start:\n{}", self.kind.name, self.log()),
        );
        ready
    }
}

impl Drop for Server {
    /// A private server ends now rather than when its keeper notices; a shared one belongs to others too.
    fn drop(&mut self) {
        if self.patience == PRIVATE_PATIENCE {
            let text = fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
            if let Ok(pid) = text.trim().parse::<u32>() {
                let command = format!("kill -CONT {pid}; kill -{} {pid}", self.kind.signal);
                let _ = Command::new("sh")
                    .args(["-c", &command])
                    .stderr(Stdio::null())
                    .status();
                let end = Instant::now() + Duration::from_secs(5);
                while is_alive(pid) && Instant::now() < end {
                    std::thread::sleep(PAUSE);
                }
            }
            let _ = fs::remove_dir_all(&self.folder);
        }
        let _ = self.lease.unlock();
    }
}

/// A command that runs as the account the server needs.
pub(super) fn as_account(mut command: Command, kind: &Kind) -> Command {
    if let Some((uid, gid)) = account(kind) {
        command.uid(uid).gid(gid);
    }
    command
}

fn account(kind: &Kind) -> Option<(u32, u32)> {
    (own_uid() == 0).then(kind.account).flatten()
}

fn own_uid() -> u32 {
    let output = Command::new("id").arg("-u").output().expect("`id` runs");
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .expect("a user id")
}

/// The folder that holds all servers of this user.
fn base() -> PathBuf {
    let uid = own_uid();
    let base = std::env::temp_dir().join(format!("keyward-test-servers-{uid}"));
    let _ = fs::create_dir(&base);
    let found = fs::symlink_metadata(&base).expect("a folder for the servers");
    assert!(
        found.is_dir() && found.uid() == uid,
        "{} belongs to somebody else",
        base.display()
    );
    // As root, the account of a server must be able to remove its own folder in there, and nobody else's.
    let mode = if uid == 0 { 0o1777 } else { 0o700 };
    fs::set_permissions(&base, fs::Permissions::from_mode(mode)).expect("a change of mode");
    base
}

fn lock_file(path: &Path) -> File {
    let mut options = File::options();
    options.create(true).truncate(false).write(true).read(true);
    options.open(path).expect("a lock file")
}

/// Whether the process is there and has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = state
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest.trim_start());
    !state.is_empty() && !state.starts_with('Z')
}

pub(super) fn wait_until(mut done: impl FnMut() -> bool, complaint: impl FnOnce() -> String) {
    let end = Instant::now() + LONGEST_START;
    while !done() {
        assert!(Instant::now() < end, "{}", complaint());
        std::thread::sleep(PAUSE);
    }
}
