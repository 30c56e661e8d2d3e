//! How a temporary server is stopped, killed, paused and started again.

use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};

use super::{TempServer, spawn, wait_for_exit};

impl TempServer {
    /// `kill -9`, and a new start on the same directory.
    ///
    /// # Panics
    /// When it does not serve again.
    pub async fn kill_and_restart(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// `kill -9`; it stays dead until [`Self::start_again`].
    ///
    /// # Panics
    /// When it has been waited for already.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("a killed process ends");
    }

    /// Starts a server that has ended once more, on the same directory and port.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn start_again(&mut self) {
        self.child = spawn(self.address, &self.arguments, &self.environment, self.directory.path());
        if let Err(problem) = self.wait_until_ready().await {
            panic!("{problem}");
        }
    }

    /// Stops it in order and starts it again on the same directory and port, with these variables set or replaced.
    ///
    /// # Panics
    /// When it does not stop, or does not serve again.
    pub async fn restart_with(&mut self, environment: &[(&str, &str)]) {
        self.ask_to_stop();
        self.ended().await;
        for (name, value) in environment {
            self.environment.retain(|(found, _)| found != name);
            self.environment.push(((*name).to_owned(), (*value).to_owned()));
        }
        self.start_again().await;
    }

    /// Sends a signal and goes on at once.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
    }

    /// Asks the server to stop (SIGTERM) and goes on at once.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Neither answers nor closes anything until [`Self::resume`] (SIGSTOP).
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Ends a pause (SIGCONT).
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits until the server has ended by itself.
    ///
    /// # Panics
    /// When it goes on running.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = wait_for_exit(&mut self.child).await;
        status.unwrap_or_else(|| panic!("the server goes on running: {}", self.log()))
    }
}
