//! A server process that belongs to a test: it dies with the test, and may be stopped, killed and paused.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, POLL_INTERVAL};

/// Whom servers run as when the tests are root's: PostgreSQL refuses root. The first that exists.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// An account of the system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub user: u32,
    pub group: u32,
}

impl Account {
    /// The one that servers run as; nothing when they run as ourselves.
    pub(super) fn of_servers() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let accounts = fs::read_to_string("/etc/passwd").expect("the system has a list of accounts");
        let find = |wanted: &&str| {
            let line = accounts.lines().find(|line| line.split(':').next() == Some(wanted))?;
            let mut numbers = line.split(':').skip(2).map_while(|field| field.parse().ok());
            Some(Self { user: numbers.next()?, group: numbers.next()? })
        };
        Some(UNPRIVILEGED.iter().find_map(find).expect("an account without rights: postgres or nobody"))
    }

    /// Words before a command that make it run as this account.
    fn words(account: Option<Self>) -> Vec<String> {
        let Some(Self { user, group }) = account else { return Vec::new() };
        vec![format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]
    }
}

/// Gives a file, or a folder with all that is in it, to the account that servers run as.
pub(super) fn hand_over(path: &Path) {
    if let Some(Account { user, group }) = Account::of_servers() {
        run(Command::new("chown").arg("-R").arg(format!("{user}:{group}")).arg(path));
    }
}

/// Runs a command that must succeed; gives what it printed.
pub(super) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {printed}{said}", output.status);
    printed
}

/// A command as the account of servers.
pub(super) fn as_servers(program: &Path) -> Command {
    let account = Account::of_servers();
    if account.is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(Account::words(account)).arg("--").arg(program);
    command
}

/// How a server is started, once and again.
pub(super) struct Program {
    pub path: PathBuf,
    pub arguments: Vec<String>,
    /// Where it runs, and where its log is.
    pub directory: PathBuf,
    /// Asks it to end soon, with clients connected or not.
    pub stop_signal: Signal,
    /// Ends it at once together with the processes that it started, of which a killed one takes no care.
    pub end_signal: Signal,
}

/// A server's process. Dropping it kills it.
pub(super) struct Process {
    program: Program,
    child: Option<Child>,
    paused: bool,
}

impl Process {
    pub(super) fn start(program: Program) -> Self {
        let child = Some(spawn(&program));
        Self { program, child, paused: false }
    }

    /// # Panics
    /// When it runs already.
    pub(super) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.child = Some(spawn(&self.program));
    }

    /// What it ended with, if it ended by itself.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Asks it to end and waits until it has; one that has ended stays so.
    ///
    /// # Panics
    /// When it goes on running.
    pub(super) async fn stop(&mut self) {
        self.resume();
        let Some(mut child) = self.child.take() else { return };
        signal(child.id(), self.program.stop_signal);
        let deadline = Instant::now() + PATIENCE;
        while let Ok(None) = child.try_wait() {
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("{} does not stop: {}", self.program.path.display(), self.log());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// `kill -9` of the process and of those that it started, and waits until they are gone.
    ///
    /// # Panics
    /// When they stay.
    pub(super) async fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let children = children_of(child.id());
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        for process in &children {
            signal(*process, Signal::KILL);
        }
        self.paused = false;
        let deadline = Instant::now() + PATIENCE;
        while children.iter().any(|process| runs(*process)) {
            assert!(Instant::now() < deadline, "the children of {} stay", self.program.path.display());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// SIGSTOP for the process and those that it started: they neither answer nor close anything.
    pub(super) fn pause(&mut self) {
        self.signal_all(Signal::STOP);
        self.paused = true;
    }

    /// SIGCONT.
    pub(super) fn resume(&mut self) {
        if self.paused {
            self.signal_all(Signal::CONT);
            self.paused = false;
        }
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Everything that it has printed so far.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.program.directory.join(LOG)).unwrap_or_default()
    }

    /// The process itself first: then it starts no more of them.
    fn signal_all(&self, wanted: Signal) {
        let Some(id) = self.id() else { return };
        signal(id, wanted);
        for process in children_of(id) {
            signal(process, wanted);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.resume();
        if let Some(mut child) = self.child.take() {
            signal(child.id(), self.program.end_signal);
            let _ = child.wait();
        }
    }
}

const LOG: &str = "printed.log";

/// In a process group of its own, so that an interrupt at the terminal reaches the tests and not their servers; and it is
/// killed when the thread that started it ends, however that happens.
fn spawn(program: &Program) -> Child {
    let path = program.directory.join(LOG);
    let log = File::options().create(true).append(true).open(&path).expect("a log file");
    let mut command = Command::new("setpriv");
    command.args(Account::words(Account::of_servers())).arg("--pdeathsig=KILL").arg("--").arg(&program.path);
    command.args(&program.arguments).current_dir(&program.directory).process_group(0);
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("starting {}: {error}", program.path.display()))
}

/// A process that has ended meanwhile does not mind.
fn signal(process: u32, wanted: Signal) {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(id) = id {
        let _ = kill_process(id, wanted);
    }
}

/// The processes that this one started and that still run.
fn children_of(parent: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|number| state(*number).is_some_and(|(_, found)| found == parent)).collect()
}

/// A process that nobody waits for is there, but does not run.
fn runs(process: u32) -> bool {
    state(process).is_some_and(|(letter, _)| letter != "Z")
}

/// The state's letter and the parent, from `/proc/NUMBER/stat`.
fn state(process: u32) -> Option<(String, u32)> {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it is in parentheses and may hold anything.
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
