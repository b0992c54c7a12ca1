//! `unscim freeze`, `unscim unfreeze`: the file beside the config that stops every write.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;

use anyhow::{Context as _, Result};

use crate::cli::args::{self, Exit, Misuse};
use crate::config::freeze::{ConfigFreeze, FILE};
use crate::world::Freeze as _;

/// The config itself may be wrong: the brake must work all the same. But it must be there, or the file would stand beside nothing.
fn file(args: &args::Freeze) -> Result<std::path::PathBuf> {
    let config = &args.config.config;
    if !config.is_file() {
        let why = format!(
            "there is no config {}; the file {FILE} belongs beside the one that unscim runs with (--config)",
            config.display()
        );
        return Err(Misuse(why).into());
    }
    Ok(config.with_file_name(FILE))
}

pub fn freeze(args: &args::Freeze) -> Result<Exit> {
    let file = file(args)?;
    match OpenOptions::new().write(true).create_new(true).open(&file) {
        Ok(_) => println!("{} is there now: no write goes out any more; reading goes on", file.display()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            println!("{} was there already: no write goes out", file.display())
        }
        Err(error) => {
            return Err(error).with_context(|| format!("making {}; spec.hold: Held in the config does the same", file.display()));
        }
    }
    Ok(Exit::Done)
}

pub fn unfreeze(args: &args::Freeze) -> Result<Exit> {
    let file = file(args)?;
    match fs::remove_file(&file) {
        Ok(()) => println!("{} is gone", file.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => println!("{} was not there", file.display()),
        Err(error) => return Err(error).with_context(|| format!("removing {}", file.display())),
    }
    match ConfigFreeze::of(&args.config.config).why() {
        Some(why) => {
            println!("it is held all the same: {why}");
            Ok(Exit::Held)
        }
        None => Ok(Exit::Done),
    }
}
