//! Verbs and flags.

use clap::{Parser, Subcommand};

/// Retires SCIM group provisioning from Microsoft Entra ID without touching a single user.
#[derive(Debug, Parser)]
#[command(version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The whole guide against a practice tenant on loopback: nothing needed, nothing harmed.
    Demo {
        /// Users in the practice tenant's groups.
        #[arg(long, env = "UNSCIM_USERS", default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=5000))]
        users: u64,
        /// Groups that are assigned to the app.
        #[arg(long, env = "UNSCIM_GROUPS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=20))]
        groups: u64,
        /// All ids and all chance follow from it.
        #[arg(long, env = "UNSCIM_SEED", default_value_t = 1)]
        seed: u64,
        /// Let the tenant's time run ten times as fast.
        #[arg(long, env = "UNSCIM_FAST")]
        fast: bool,
    },
}
