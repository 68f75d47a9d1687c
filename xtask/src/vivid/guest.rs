//! The virtual machine: what is in its initramfs, its boot, and what it says.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::cpio::Archive;
use super::kit::{Kit, MODULES};
use crate::step::now;

/// Two webcams that only capture.
const CAMERAS: &str = "n_devs=2 node_types=1,1 num_inputs=1,1 input_types=0,0 num_outputs=0,0";

/// The line that ends a run, before the program's exit code.
const EXIT: &str = "guest: exit code ";

/// Runs `program` in a guest with the cameras; passes on what it says.
///
/// # Errors
/// When the guest cannot be booted or `program` does not end with success within `limit`.
pub(super) fn run(kit: &Kit, folder: &Path, program: &Path, args: &[String], limit: Duration) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{}: cannot make the folder", folder.display()))?;
    let initramfs = folder.join("initramfs");
    fs::write(&initramfs, contents(kit, program, args)?)
        .with_context(|| format!("{}: cannot write", initramfs.display()))?;
    let machine = command(kit, &initramfs).spawn().with_context(|| format!("cannot start {}", kit.qemu().display()))?;
    match watch(machine, limit)? {
        Some(0) => Ok(()),
        Some(code) => bail!("the camera tests failed: the test program ended with exit code {code}; see above"),
        None => bail!("the virtual machine ended before the test program did; see its words above"),
    }
}

fn contents(kit: &Kit, program: &Path, args: &[String]) -> Result<Vec<u8>> {
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("{}: cannot read", path.display()));
    let mut archive = Archive::new(&["bin", "dev", "modules", "proc", "sbin", "sys", "tmp"]);
    archive.file("bin/busybox", &read(&kit.busybox())?);
    archive.link("bin/sh", "busybox");
    for module in MODULES {
        archive.file(&format!("modules/{module}.ko"), &read(&kit.module(module))?);
    }
    archive.file("program", &read(&program.to_owned())?);
    archive.file("init", init(args).as_bytes());
    Ok(archive.finish())
}

/// The guest's first and only script.
fn init(args: &[String]) -> String {
    let modules = MODULES.map(|name| match name {
        "vivid" => format!("insmod /modules/vivid.ko {CAMERAS}"),
        name => format!("insmod /modules/{name}.ko"),
    });
    let args: Vec<String> = args.iter().map(|arg| format!("'{}'", arg.replace('\'', r"'\''"))).collect();
    format!(
        "#!/bin/busybox sh\n\
         /bin/busybox mount -t devtmpfs none /dev\n\
         exec </dev/ttyS0 >/dev/ttyS0 2>&1\n\
         /bin/busybox --install -s /bin\n\
         export PATH=/bin\n\
         mount -t proc none /proc; mount -t sysfs none /sys; mount -t tmpfs none /tmp\n\
         {}\n\
         i=0; while [ ! -e /dev/video1 ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done\n\
         /program {}\n\
         echo \"{EXIT}$?\"\n\
         poweroff -f\n",
        modules.join("\n"),
        args.join(" ")
    )
}

fn command(kit: &Kit, initramfs: &Path) -> Command {
    let programs = kit.programs();
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio"];
    let libraries: Vec<_> = libraries.map(|folder| programs.join(folder).display().to_string()).into();
    let mut command = Command::new(kit.qemu());
    command
        .env("LD_LIBRARY_PATH", libraries.join(":"))
        .arg("-L")
        .arg(programs.join("usr/share/qemu"))
        .arg("-L")
        .arg(programs.join("usr/share/seabios"))
        // Software emulation: works everywhere, and is what the tests' patience is made for.
        .args(["-M", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "512"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"])
        .arg("-kernel")
        .arg(kit.kernel())
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Passes on what the guest says until it ends; the test program's exit code.
fn watch(mut machine: Child, limit: Duration) -> Result<Option<i32>> {
    let console = BufReader::new(machine.stdout.take().expect("stdout is piped"));
    let (lines, said) = sync_channel(64);
    let reader = thread::spawn(move || {
        for line in console.split(b'\n').map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let (end, mut code) = (now() + limit, None);
    let late = loop {
        match said.recv_timeout(end.saturating_duration_since(now())) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches('\r');
                println!("{line}");
                code = code.or_else(|| line.strip_prefix(EXIT)?.trim().parse().ok());
            }
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    if late {
        machine.kill().context("the virtual machine cannot be ended")?;
    }
    drop(said);
    machine.wait().context("the virtual machine cannot be waited for")?;
    ensure!(reader.join().is_ok(), "the virtual machine's words could not be read to the end");
    ensure!(
        !late,
        "the camera tests took longer than {} s; give them more with --limit if this machine is slow",
        limit.as_secs()
    );
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn the_exit_code_is_the_one_that_the_guest_told() {
        let watch = |script: &str| watch(shell(script), Duration::from_secs(60)).unwrap();
        assert_eq!(watch("echo words; printf 'guest: exit code 3\\r\\n'; exit 0"), Some(3));
        assert_eq!(watch("echo 'guest: exit code 0'"), Some(0));
        assert_eq!(watch("echo panic"), None, "it never came to an end");
    }

    #[test]
    fn a_guest_that_hangs_is_ended() {
        let error = watch(shell("exec sleep 1000"), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("give them more with --limit"), "{error}");
    }

    #[test]
    fn arguments_reach_the_program_as_they_are() {
        let script = init(&["--exact".into(), "it's $this".into()]);
        assert!(script.contains(r"/program '--exact' 'it'\''s $this'"), "{script}");
    }
}
