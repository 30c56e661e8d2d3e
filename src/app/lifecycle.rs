//! Background work that is waited for: it is told to stop in order, and work that dies takes the process down loudly.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Jobs that run for as long as the process does.
#[derive(Clone, Default)]
pub(super) struct Lifecycle {
    tracker: TaskTracker,
    stop: CancellationToken,
    died: CancellationToken,
    has_died: Arc<AtomicBool>,
}

impl Lifecycle {
    /// Runs a job that ends only after `stop`.
    pub(super) fn run<F>(&self, name: &'static str, job: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let job = tokio::spawn(job(self.stop.clone()));
        let this = self.clone();
        self.tracker.spawn(async move {
            let ended = job.await;
            if let Err(error) = &ended {
                tracing::error!(job.name = name, %error, "The job {name} died");
            }
            if ended.is_err() || !this.stop.is_cancelled() {
                this.trip(&format!("The job {name}"));
            }
        });
    }

    /// Something that must run as long as the process does, `what`, has ended: so does the process.
    pub(super) fn trip(&self, what: &str) {
        tracing::error!("{what} ended before its time");
        self.has_died.store(true, Ordering::Relaxed);
        self.died.cancel();
    }

    /// Returns when a job died, which ends the process.
    pub(super) async fn died(&self) {
        self.died.cancelled().await;
    }

    pub(super) fn has_died(&self) -> bool {
        self.has_died.load(Ordering::Relaxed)
    }

    /// Tells all jobs to stop and waits for them; `false`: some did not within `budget`.
    pub(super) async fn stop(&self, budget: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(budget, self.tracker.wait()).await.is_ok()
    }
}

/// SIGINT and SIGTERM: the first asks for a graceful stop, the second for an immediate one.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
