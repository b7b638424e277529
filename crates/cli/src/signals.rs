//! SIGINT, SIGTERM and SIGHUP: the first asks for a checkpoint and an end, a second SIGINT or SIGTERM leaves at once.
//!
//! Leaving at once harms no file: saves are atomic at every moment. SIGXFSZ, which comes where a file would outgrow a
//! limit, is taken as well, so that the write fails with an error that a save can report.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatemill_train::run::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

use crate::exit;

/// Which signals have come.
#[derive(Debug)]
pub(crate) struct Signals {
    flags: Vec<(Stop, Arc<AtomicBool>)>,
}

impl Signals {
    /// Takes the signals from here on.
    pub(crate) fn register() -> io::Result<Self> {
        // Whichever came first, the second finds this set and leaves; hence the order of the two registrations.
        let any = Arc::new(AtomicBool::new(false));
        for (signal, stop) in [(SIGINT, Stop::Interrupt), (SIGTERM, Stop::Terminate)] {
            register_conditional_shutdown(signal, i32::from(exit::stopped(stop)), Arc::clone(&any))?;
        }
        let mut flags = Vec::new();
        for (signal, stop) in stops() {
            let flag = Arc::new(AtomicBool::new(false));
            register(signal, Arc::clone(&flag))?;
            register(signal, Arc::clone(&any))?;
            flags.push((stop, flag));
        }
        #[cfg(unix)]
        register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        Ok(Self { flags })
    }

    /// The signal that asks for an end.
    pub(crate) fn stop(&self) -> Option<Stop> {
        self.flags.iter().find(|(_, flag)| flag.load(Ordering::Relaxed)).map(|(stop, _)| *stop)
    }
}

#[cfg(unix)]
fn stops() -> Vec<(i32, Stop)> {
    vec![(SIGINT, Stop::Interrupt), (SIGTERM, Stop::Terminate), (signal_hook::consts::SIGHUP, Stop::HangUp)]
}

#[cfg(not(unix))]
fn stops() -> Vec<(i32, Stop)> {
    vec![(SIGINT, Stop::Interrupt), (SIGTERM, Stop::Terminate)]
}
