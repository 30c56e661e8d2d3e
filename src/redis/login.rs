//! What is said first on every connection: who we are, our name, the database, and whether anyone is there.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{
    problem::Problem,
    target::{Login, Manners},
    wire::Wire,
};

/// Answers at this stage are single lines, the longest that of a server in protected mode.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Makes a fresh connection ready for commands. By hand and not by the library, which cannot set a name on a
/// connection that subscribes and would tell a server's errors without what to do about them.
pub(super) async fn log_in(wire: &mut Wire, place: &str, login: &Login, manners: &Manners) -> Result<(), Problem> {
    let mut conversation = Conversation { wire, place, manners, has_answered: false };
    if let Some(password) = &login.password {
        let mut command = redis::cmd("AUTH");
        if !login.user.is_empty() {
            command.arg(&login.user);
        }
        match conversation.ask("AUTH", command.arg(password.expose())).await? {
            Err(error) if login.user.is_empty() && wants_no_password(&error) => {}
            Err(error) => return Err(Problem::refused(place, "AUTH", &error, false)),
            Ok(()) => {}
        }
    }
    // Asked before the rest, so that a missing password is told as what it is.
    conversation.insist("PING", &mut redis::cmd("PING")).await?;
    if let Some(name) = &manners.client_name {
        conversation.insist("CLIENT", redis::cmd("CLIENT").arg("SETNAME").arg(name)).await?;
    }
    if login.database > 0 {
        conversation.insist("SELECT", redis::cmd("SELECT").arg(login.database)).await?;
    }
    Ok(())
}

/// A server that lets everybody in lets us in too: the original takes a superfluous password there as well.
fn wants_no_password(error: &str) -> bool {
    error.contains("without any password configured") || error.contains("no password is set")
}

struct Conversation<'a> {
    wire: &'a mut Wire,
    place: &'a str,
    manners: &'a Manners,
    has_answered: bool,
}

impl Conversation<'_> {
    async fn insist(&mut self, name: &str, command: &mut redis::Cmd) -> Result<(), Problem> {
        self.ask(name, command).await?.map_err(|error| Problem::refused(self.place, name, &error, true))
    }

    /// The outer error is that of the connection, the inner one the server's.
    async fn ask(&mut self, name: &str, command: &redis::Cmd) -> Result<Result<(), String>, Problem> {
        self.manners.count_command();
        let limit = self.manners.answer_within;
        let line = timeout(limit, self.exchange(&command.get_packed_command())).await;
        let line = line.map_err(|_| Problem::silent(self.place, &format!("the command {name}"), limit))??;
        self.has_answered = true;
        match line.split_at_checked(1) {
            Some(("+", _)) => Ok(Ok(())),
            Some(("-", error)) => Ok(Err(error.to_owned())),
            _ => Err(Problem::strange(self.place)),
        }
    }

    async fn exchange(&mut self, command: &[u8]) -> Result<String, Problem> {
        let closed = Problem::closed(self.place, !self.has_answered);
        // A server that turns us away closes the connection after its reason, which is worth reading even when writing
        // fails already.
        let written = self.wire.write_all(command).await.and(self.wire.flush().await);
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            match self.wire.read_buf(&mut line).await {
                Ok(read) if read > 0 && line.len() < LINE_BYTES_MAX => {}
                Ok(read) if read > 0 => return Err(Problem::strange(self.place)),
                _ => return Err(closed),
            }
            // Anything else will never end as a line, such as an alert of TLS.
            if !matches!(line[0], b'+' | b'-') {
                return Err(Problem::strange(self.place));
            }
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if written.is_err() && line.starts_with('+') { Err(closed) } else { Ok(line) }
    }
}
