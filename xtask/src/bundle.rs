//! The native libraries, as they are pinned: which wheels, which hashes, what is kept of them.
//!
//! A new version is a change in this file and nowhere else in `xtask`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::ValueEnum;

/// A native library that `setup` can fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Library {
    /// What `puvae` computes with
    Onnxruntime,
    /// What the build of `puvae` reads the camera interface's C header with
    Libclang,
    /// What `puvae-train` computes with
    Libtorch,
}

impl Library {
    /// All of them, small to large.
    pub(crate) const ALL: [Self; 3] = [Self::Onnxruntime, Self::Libclang, Self::Libtorch];

    /// What is fetched for it.
    pub(crate) fn bundle(self) -> &'static Bundle {
        match self {
            Self::Onnxruntime => &ONNX_RUNTIME,
            Self::Libclang => &LIBCLANG,
            Self::Libtorch => &LIBTORCH,
        }
    }
}

/// Some wheels, and the folder that is made of them.
pub(crate) struct Bundle {
    /// Its name and version, for people.
    pub(crate) title: &'static str,
    /// What is downloaded, for people.
    pub(crate) download_size: &'static str,
    /// The variable that names a copy of the user's own.
    pub(crate) variable: &'static str,
    /// Where [`variable`](Self::variable) points, inside the folder; empty for the folder itself.
    pub(crate) entry: &'static str,
    /// What must exist inside a user's own copy that the variable names; empty for the copy itself.
    pub(crate) proof: &'static str,
    /// The folder's name without the hash.
    pub(crate) stem: &'static str,
    /// What is downloaded; the folder carries the hash of the first.
    pub(crate) wheels: &'static [Wheel],
    /// Symbolic links to make: name, target.
    pub(crate) links: &'static [(&'static str, &'static str)],
    /// Files to write: name, text.
    pub(crate) texts: &'static [(&'static str, &'static str)],
    /// Paths without which the folder is not whole.
    pub(crate) needs: &'static [&'static str],
}

/// One pinned wheel.
pub(crate) struct Wheel {
    /// The package's name.
    pub(crate) package: &'static str,
    /// Its exact version.
    pub(crate) version: &'static str,
    /// The platform tag in the wheel's name.
    pub(crate) platform: &'static str,
    /// SHA-256 of the wheel, 64 hexadecimal digits.
    pub(crate) sha256: &'static str,
    /// What is kept of it.
    pub(crate) keep: &'static [Keep],
}

/// A file, or a folder when it ends in `/`, that is kept of a wheel.
pub(crate) struct Keep {
    /// Its path in the wheel.
    pub(crate) from: &'static str,
    /// Its path in the bundle's folder.
    pub(crate) to: &'static str,
}

impl Bundle {
    /// The name of its folder in the cache: another version or another build is another folder.
    pub(crate) fn folder(&self) -> String {
        format!("{}-{}", self.stem, &self.wheels[0].sha256[..8])
    }

    /// Whether `root` holds all that is needed.
    pub(crate) fn is_whole(&self, root: &Path) -> bool {
        self.needs.iter().all(|path| root.join(path).exists())
    }

    /// What [`variable`](Self::variable) must be set to when the bundle lies in `root`.
    pub(crate) fn entry_in(&self, root: &Path) -> PathBuf {
        if self.entry.is_empty() { root.into() } else { root.join(self.entry) }
    }

    /// Says whether a wheel is pinned for this system.
    ///
    /// # Errors
    /// On anything but Linux on x86-64.
    pub(crate) fn check_platform(&self, os: &str, arch: &str) -> Result<()> {
        ensure!(
            (os, arch) == ("linux", "x86_64"),
            "{} is pinned for linux on x86_64 only, and this is {os} on {arch}; \
             get the library for this system yourself and set {} to it",
            self.title,
            self.variable
        );
        Ok(())
    }
}

const fn keep(from: &'static str, to: &'static str) -> Keep {
    Keep { from, to }
}

static ONNX_RUNTIME: Bundle = Bundle {
    title: "ONNX Runtime 1.31.1",
    download_size: "24 MB",
    variable: "ORT_DYLIB_PATH",
    entry: "libonnxruntime.so.1.31.1",
    proof: "",
    stem: "onnxruntime-1.31.1",
    wheels: &[Wheel {
        package: "onnxruntime",
        version: "1.31.1",
        platform: "manylinux_2_28_x86_64",
        sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        keep: &[
            keep("onnxruntime/capi/libonnxruntime.so.1.31.1", "libonnxruntime.so.1.31.1"),
            keep("onnxruntime/capi/libonnxruntime_providers_shared.so", "libonnxruntime_providers_shared.so"),
        ],
    }],
    links: &[],
    texts: &[],
    needs: &["libonnxruntime.so.1.31.1", "libonnxruntime_providers_shared.so"],
};

/// The crate behind the cameras on Linux declares the kernel's structures with bindgen, which loads libclang.
static LIBCLANG: Bundle = Bundle {
    title: "libclang 18.1.1",
    download_size: "24 MB",
    variable: "LIBCLANG_PATH",
    entry: "",
    proof: "",
    stem: "libclang-18.1.1",
    wheels: &[Wheel {
        package: "libclang",
        version: "18.1.1",
        platform: "manylinux2010_x86_64",
        sha256: "c533091d8a3bbf7460a00cb6c1a71da93bffe148f172c7d03b1c31fbf8aa2a0b",
        keep: &[keep("libclang-18.1.1.data/platlib/clang/native/libclang.so", "libclang.so")],
    }],
    links: &[],
    texts: &[],
    needs: &["libclang.so"],
};

/// libtorch for the CPU, cut out of the CUDA build: `libtorch_cpu.so` of that build links to the two small CUDA
/// libraries, and to none of the large ones.
static LIBTORCH: Bundle = Bundle {
    title: "libtorch 2.11.0 (CPU)",
    download_size: "544 MB",
    variable: "LIBTORCH",
    entry: "",
    proof: "lib",
    stem: "libtorch-2.11.0-cpu",
    wheels: &[
        Wheel {
            package: "torch",
            version: "2.11.0",
            platform: "manylinux_2_28_x86_64",
            sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
            keep: &[
                keep("torch/include/", "include/"),
                keep("torch/lib/libc10.so", "lib/libc10.so"),
                keep("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
                keep("torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
            ],
        },
        Wheel {
            package: "nvidia-cuda-runtime",
            version: "13.0.96",
            platform: "manylinux2014_x86_64",
            sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
            keep: &[keep("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13")],
        },
        Wheel {
            package: "nvidia-cuda-cupti",
            version: "13.0.85",
            platform: "manylinux_2_25_x86_64",
            sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
            keep: &[keep("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13")],
        },
    ],
    links: &[("lib/libtorch.so", "libtorch_cpu.so")],
    texts: &[("build-version", "2.11.0+cpu\n")],
    needs: &[
        "include/torch/csrc/api/include/torch/torch.h",
        "lib/libc10.so",
        "lib/libtorch_cpu.so",
        "lib/libtorch.so",
        "lib/libgomp.so.1",
        "lib/libcudart.so.13",
        "lib/libcupti.so.13",
        "build-version",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pinned_wheel_has_a_whole_hash() {
        for wheel in Library::ALL.iter().flat_map(|library| library.bundle().wheels) {
            assert_eq!(wheel.sha256.len(), 64, "{}", wheel.package);
            assert!(wheel.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", wheel.package);
        }
    }

    #[test]
    fn the_folder_is_named_after_version_and_hash() {
        assert_eq!(Library::Onnxruntime.bundle().folder(), "onnxruntime-1.31.1-5752bd50");
        assert_eq!(Library::Libclang.bundle().folder(), "libclang-18.1.1-c533091d");
        assert_eq!(Library::Libtorch.bundle().folder(), "libtorch-2.11.0-cpu-7aa2f9bb");
    }

    #[test]
    fn another_system_is_told_which_variable_to_set() {
        let bundle = Library::Libtorch.bundle();
        assert!(bundle.check_platform("linux", "x86_64").is_ok());
        let text = bundle.check_platform("linux", "aarch64").unwrap_err().to_string();
        assert!(text.contains("this is linux on aarch64") && text.contains("set LIBTORCH to it"), "{text}");
    }
}
