//! The example `admin_console`, run as its users run it.
#![cfg(all(feature = "sqlite", feature = "totp"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside the functions the lint knows as tests"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use keyward::time::{Clock as _, SystemClock};

mod example_support;

const BINARY: &str = "admin_console";

#[test]
fn the_demo_tells_the_whole_story() {
    let output = Command::new(example_support::binary(BINARY))
        .arg("--demo")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let told: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("issued") || line.starts_with("refused"))
        .map(|line| line.split(" (").next().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "refused  without a word of why: justification_required",
            "refused  without a code: second_factor_required",
            "refused  for a year: lifetime_too_long",
            "refused  with a wrong code: wrong_code",
            "issued   with the code and a reason",
            "refused  with the same code again: used_code",
            "issued   a mailer needs neither",
            "issued   with a recovery code",
            "refused  with the same one again: wrong_code",
        ]
    );
    assert!(text.contains("shown    otpauth://totp/keyward%20example:admin%20console?secret="));
    let (_, trail) = text.split_once("the trail\n").unwrap();
    let kinds: Vec<_> = trail
        .lines()
        .map(|line| line.trim().split(' ').next().unwrap())
        .collect();
    assert_eq!(kinds[0], "second_factor_enrolled");
    assert_eq!(
        kinds.iter().filter(|kind| **kind == "key_created").count(),
        3
    );
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == "second_factor_failed")
            .count(),
        3
    );
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == "permission_refused")
            .count(),
        3
    );
}

/// The console under one administrator's hands.
struct Console {
    child: Child,
    keys: ChildStdin,
    screen: BufReader<ChildStdout>,
}

impl Console {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(example_support::binary(BINARY))
            .arg("ana")
            .current_dir(folder)
            .env("KEYWARD_PEPPER", "0123456789 abcdefghijklmnop pepper")
            .env_remove("KEYWARD_DB")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let screen = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            keys,
            screen,
        }
    }

    /// Types a line, and reads on to a line that holds `wanted`.
    fn says(&mut self, typed: &str, wanted: &str) -> String {
        writeln!(self.keys, "{typed}").unwrap();
        self.keys.flush().unwrap();
        loop {
            let mut line = String::new();
            assert!(
                self.screen.read_line(&mut line).unwrap() > 0,
                "{wanted} never came"
            );
            if line.contains(wanted) {
                return line.trim_end().to_owned();
            }
        }
    }

    fn quit(mut self) {
        writeln!(self.keys, "quit").unwrap();
        // Read to its end, or it would fail to write its last words.
        let mut rest = String::new();
        self.screen.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// The code of the step so many steps from now.
fn code(uri: &str, steps: u64) -> String {
    let now = u64::try_from(SystemClock::new().now().as_secs()).unwrap();
    let app = totp_rs::Totp::from_url(uri).unwrap();
    app.generate(now + 30 * steps).to_string()
}

#[test]
fn the_console_enrols_issues_and_remembers_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = Console::start(folder.path());
    let shown = console.says("enrol", "otpauth://");
    let (_, uri) = shown.split_once("> ").unwrap();
    console.says(&format!("confirm {}", code(uri, 0)), "shown this once");
    // The next step's code is good already; its own would be spent.
    let next = code(uri, 1);
    console.says(&format!("issue {next} admin"), "needs a justification");
    let issued = console.says(
        &format!("issue {next} admin nightly rotation"),
        "shown this once",
    );
    assert!(issued.contains("pm_live_"));
    console.quit();

    let mut console = Console::start(folder.path());
    console.says(&format!("issue {next} admin once more"), "used already");
    console.says("enrol", "enrolled already");
    console.says("admins", "(nightly rotation)");
    console.quit();
    let seed = totp_rs::Totp::from_url(uri).unwrap().secret().to_base32();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(&seed));
    }
}
