//! A program that a test started and that may have no end of its own: it is killed with the test, or when its time is up.

use std::io::Read;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use parking_lot::Mutex;

use crate::fixture::Ran;
use crate::limit::{LIMIT, until};

pub(crate) struct Running {
    child: Arc<Mutex<Child>>,
    /// Hangs up when nobody waits for the program any more.
    _wanted: Sender<()>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = Arc::new(Mutex::new(command.spawn().unwrap()));
        let (wanted, is_wanted) = channel::<()>();
        let overdue = Arc::clone(&child);
        thread::spawn(move || {
            if is_wanted.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                // Whoever reads from it gets the end.
                let _ = overdue.lock().kill();
            }
        });
        Self { child, _wanted: wanted }
    }

    pub(crate) fn stdin(&self) -> ChildStdin {
        self.child.lock().stdin.take().unwrap()
    }

    pub(crate) fn stdout(&self) -> ChildStdout {
        self.child.lock().stdout.take().unwrap()
    }

    pub(crate) fn stderr(&self) -> ChildStderr {
        self.child.lock().stderr.take().unwrap()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.child.lock().try_wait().unwrap().is_some()
    }

    pub(crate) fn send(&self, signal: i32) {
        let id = self.child.lock().id().to_string();
        assert!(Command::new("kill").args([format!("-{signal}"), id]).status().unwrap().success());
    }

    /// Its end, and what it wrote to the pipes that nobody took. One that was killed has no exit code.
    pub(crate) fn end(self) -> Ran {
        let stderr = self.child.lock().stderr.take();
        let stderr = thread::spawn(|| text(stderr));
        let stdout = self.child.lock().stdout.take();
        let stdout = text(stdout);
        until("the program ends", || self.has_ended());
        let code = self.child.lock().wait().unwrap().code();
        Ran { code, stdout, stderr: stderr.join().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut child = self.child.lock();
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn text(pipe: Option<impl Read>) -> String {
    let mut text = String::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_string(&mut text).unwrap();
    }
    text
}
