//! Child processes that end with the test, however it ends.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

type Wish = (Command, SyncSender<io::Result<Child>>);

/// The signal of a parent's death is sent when the thread that forked ends, and the thread of a test ends before others need what it
/// has started. This one lives as long as the process.
static PARENT: LazyLock<Mutex<Sender<Wish>>> = LazyLock::new(|| {
    let (sender, wishes) = channel::<Wish>();
    let parent = move || {
        for (mut command, answer) in wishes {
            // Who asked may be gone; then nobody wants the child either.
            if let Err(unheard) = answer.send(command.spawn())
                && let Ok(mut child) = unheard.0
            {
                child.kill().and_then(|()| child.wait()).expect("a child of our own can be ended");
            }
        }
    };
    std::thread::Builder::new().name("parent".into()).spawn(parent).expect("a thread");
    Mutex::new(sender)
});

#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    pub fn start(mut command: Command) -> io::Result<Self> {
        // Last of what is done before the program begins: a change of user takes the signal away.
        // SAFETY: one system call, nothing allocated.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
        let (answer, child) = sync_channel(1);
        PARENT.lock().expect("nobody panics with it").send((command, answer)).expect("the parent lives");
        Ok(Process { child: child.recv().expect("the parent answers")?, ended: None })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let pid = Pid::from_raw(self.child.id() as i32).expect("a pid is not zero");
            kill_process(pid, signal).expect("it is not waited for, so it is there");
        }
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child of our own");
        }
        self.ended
    }

    /// Ends it by this signal, and by SIGKILL when it takes longer than that.
    pub async fn stop(&mut self, signal: Signal, patience: Duration) -> ExitStatus {
        self.signal(signal);
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if let Some(status) = self.ended() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.kill()
    }

    fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        *self.ended.get_or_insert_with(|| self.child.wait().expect("a child of our own"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
