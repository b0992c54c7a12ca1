//! `unscim operator` as a process, and what its metrics say.

use std::process::Child;

use crate::chart::{ACCOUNT, operator};
use crate::control_plane::{ControlPlane, free_port, kill, spawn};
use crate::objects::until;
use crate::{LONG, proc};

pub struct Operator {
    process: Child,
    metrics: String,
}

impl Drop for Operator {
    fn drop(&mut self) {
        kill(&mut self.process);
    }
}

impl Operator {
    pub fn start(plane: &ControlPlane, flags: &[&str]) -> Operator {
        let mut command = operator(plane, ACCOUNT, "fleet");
        let listen = format!("127.0.0.1:{}", free_port());
        command.args(["--worker-image", "unscim.invalid/unscim:bench", "--leader-election=false"]).args(flags);
        // As the image sets them; the last word on the address counts.
        command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "131072").env("UNSCIM_LISTEN", &listen);
        let process = spawn(&mut command, &plane.log("operator"));
        Operator { process, metrics: format!("http://{listen}/metrics") }
    }

    async fn figure(&self, name: &str) -> Option<f64> {
        let text = reqwest::get(&self.metrics).await.ok()?.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Every resource was reconciled, every worker is heard, and nothing is under way.
    pub async fn until_heard(&self, count: usize) {
        let all = async || {
            let done = self.figure("unscim_operator_reconciles_total{result=\"success\"}").await? >= count as f64;
            let away = self.figure("unscim_fleet_workers_not_ready").await? > 0.0;
            let busy = self.figure("unscim_operator_reconciles_in_flight").await? > 0.0;
            (done && !away && !busy).then_some(())
        };
        until("every worker is heard", LONG, all).await;
    }

    /// Most memory that it ever held, in MiB.
    pub fn peak(&self) -> f64 {
        proc::memory(self.process.id(), "VmHWM").map_or(f64::NAN, |peak| peak as f64 / 1024.0)
    }

    /// Seconds on a processor so far.
    pub fn cpu(&self) -> f64 {
        proc::cpu(self.process.id()).unwrap_or(f64::NAN)
    }
}
