//! What the virtual machine is made of: qemu, busybox, a kernel and its camera modules, all from Debian's packages.
//!
//! apt downloads and checks them, with lists and cache of its own, so that neither root nor the system's state is needed.
//! They are unpacked, never installed: installing qemu can remove other packages of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{files_below, output};
use crate::install::Place;
use crate::setup::user_cache;
use crate::step::succeed;

/// Its folder in the cache; another layout is another number.
const FOLDER: &str = "vivid-1";

/// Depends on the newest kernel of the distribution.
const KERNEL: &str = "linux-image-amd64";
const PROGRAMS: [&str; 4] = ["qemu-system-x86", "qemu-system-data", "seabios", "busybox-static"];

/// The camera driver and what it needs, in the order in which they can be loaded.
pub(super) const MODULES: [&str; 12] = [
    "rc-core",
    "cec",
    "mc",
    "videodev",
    "videobuf2-common",
    "videobuf2-v4l2",
    "videobuf2-memops",
    "videobuf2-vmalloc",
    "videobuf2-dma-contig",
    "v4l2-dv-timings",
    "v4l2-tpg",
    "vivid",
];

/// The unpacked packages.
pub(super) struct Kit {
    root: PathBuf,
}

impl Kit {
    pub(super) fn programs(&self) -> PathBuf {
        self.root.join("programs")
    }

    pub(super) fn busybox(&self) -> PathBuf {
        self.programs().join("bin/busybox")
    }

    pub(super) fn qemu(&self) -> PathBuf {
        self.programs().join("usr/bin/qemu-system-x86_64")
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.root.join("vmlinuz")
    }

    pub(super) fn module(&self, name: &str) -> PathBuf {
        self.root.join("modules").join(format!("{name}.ko"))
    }

    fn is_whole(&self) -> bool {
        [self.busybox(), self.qemu(), self.kernel()].iter().all(|path| path.exists())
            && MODULES.iter().all(|name| self.module(name).exists())
    }
}

/// The kit in the cache, which is made when it is not there.
///
/// # Errors
/// When this is no Debian on x86-64, a package cannot be had, or the cache cannot be written.
pub(super) fn ensure() -> Result<Kit> {
    let cache = user_cache()?;
    let place =
        Place { title: "virtual camera (qemu, Debian kernel)", size: "about 85 MB", folder: FOLDER, cache: &cache };
    let whole = |root: &Path| Kit { root: root.into() }.is_whole();
    let root = place.fill(whole, make).context("the virtual machine for the camera tests is not set up")?;
    Ok(Kit { root })
}

fn make(staging: &Path) -> Result<PathBuf> {
    check_system()?;
    let (packages, tree) = (staging.join("packages"), staging.join("tree"));
    fs::create_dir_all(&packages)?;
    fs::create_dir_all(tree.join("modules"))?;
    for deb in Apt::new(staging)?.download(&packages)? {
        let is_kernel = deb.file_name().is_some_and(|name| name.to_string_lossy().starts_with("linux-image-"));
        let target = if is_kernel { staging.join("kernel") } else { tree.join("programs") };
        succeed(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&target))?;
        if is_kernel {
            keep_of_kernel(&target, &tree)?;
        }
    }
    ensure!(
        Kit { root: tree.clone() }.is_whole(),
        "something is missing after unpacking Debian's packages; expected qemu-system-x86_64, busybox, a kernel and its \
         modules {} as .ko files (Debian 12 has them so)",
        MODULES.join(", ")
    );
    Ok(tree)
}

fn check_system() -> Result<()> {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")) && has("apt-get") && has("dpkg-deb"),
        "the camera tests need Debian's packages: run them on a Debian or Ubuntu for x86-64 that has apt-get and \
         dpkg-deb, or leave them out"
    );
    Ok(())
}

/// Takes the kernel itself and the modules out of its package's files.
fn keep_of_kernel(package: &Path, tree: &Path) -> Result<()> {
    for file in files_below(package)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let module = file.extension().is_some_and(|extension| extension == "ko");
        if name.starts_with("vmlinuz-") {
            fs::rename(&file, tree.join("vmlinuz"))?;
        } else if module && MODULES.iter().any(|module| name == format!("{module}.ko")) {
            fs::rename(&file, tree.join("modules").join(&name))?;
        }
    }
    Ok(())
}

/// apt, with lists and cache inside a folder of its own.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new(staging: &Path) -> Result<Self> {
        let state = staging.join("apt");
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(folder))?;
        }
        let set = |name: &str, value: String| ["-o".into(), format!("{name}={value}")];
        let path = |name: &str| state.join(name).display().to_string();
        let options = [
            set("Dir::State::lists", path("lists")),
            set("Dir::Cache", path("cache")),
            // apt may not read a user's folder as its own sandbox user.
            set("APT::Sandbox::User", "root".into()),
        ];
        Ok(Self { options: options.concat() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-qq").args(&self.options);
        command
    }

    /// Downloads the kernel, the programs, and those libraries of theirs that this system lacks.
    fn download(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        succeed(self.command("apt-get").arg("update"))?;
        let kernel = newest_kernel(&output(self.command("apt-cache").args(["depends", KERNEL]))?)?;
        let plan = ["install", "--simulate", "--no-install-recommends", PROGRAMS[0], PROGRAMS[3]];
        let mut packages = to_install(&output(self.command("apt-get").args(plan))?);
        packages.extend(PROGRAMS.map(String::from));
        packages.push(kernel);
        packages.sort();
        packages.dedup();
        succeed(self.command("apt-get").arg("download").args(packages).current_dir(folder))?;
        files_below(folder)
    }
}

/// The package that the kernel's name stands for, in `apt-cache depends`.
fn newest_kernel(depends: &str) -> Result<String> {
    let named = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let kernel = named.map(str::trim).find(|package| package.starts_with("linux-image-"));
    Ok(kernel.with_context(|| format!("{KERNEL}: expected it to depend on a kernel, got {depends:?}"))?.into())
}

/// The packages that `apt-get install --simulate` would add.
fn to_install(plan: &str) -> Vec<String> {
    let words = plan.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| words.first() == Some(&"Inst")).filter_map(|words| Some((*words.get(1)?).into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_the_one_that_the_name_stands_for() {
        let depends = "linux-image-amd64\n  Depends: linux-image-6.1.0-48-amd64\n";
        assert_eq!(newest_kernel(depends).unwrap(), "linux-image-6.1.0-48-amd64");
        assert!(newest_kernel("linux-image-amd64\n").unwrap_err().to_string().contains("expected it to depend on"));
    }

    #[test]
    fn what_apt_would_install_is_read_from_its_plan() {
        let plan = "Remv old [1]\nInst libfdt1 (1.6 Debian)\nInst qemu-system-x86 (7.2 Debian)\nConf libfdt1 (1.6)\n";
        assert_eq!(to_install(plan), ["libfdt1", "qemu-system-x86"]);
    }
}
