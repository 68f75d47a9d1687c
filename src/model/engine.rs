//! ONNX Runtime as this program uses it: which provider computes, with how many threads.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ort::ep::{CUDA, ExecutionProviderDispatch};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use serde::{Deserialize, Serialize};

use super::ModelError;
use super::library::{self, Places};
use crate::names::{self, UnknownName};

/// More intra-op threads than any machine this runs on has use for.
pub const MAX_THREADS: usize = 256;

/// Default threads are not more than this: pictures are small, and the capture thread needs a core too.
const DEFAULT_THREADS: usize = 4;

/// Who is asked to compute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// CUDA where it works, else the CPU; the report says which and why.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, or an error.
    Cuda,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for Provider {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        names::parse(text, "provider", "auto, cpu or cuda")
    }
}

/// Who was asked to compute, who does, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderReport {
    /// What was asked for.
    pub requested: Provider,
    /// `cpu`, `cuda`, or `cuda+cpu` when the models ended up on different ones.
    pub used: String,
    /// Why that one.
    pub reason: String,
}

/// How to start the engine.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// ONNX Runtime's library, or a folder that holds it; searched for when absent.
    pub library: Option<PathBuf>,
    /// Who computes.
    pub provider: Provider,
    /// Intra-op threads of each model; [`default_threads`] when absent.
    pub threads: Option<NonZeroUsize>,
}

impl EngineOptions {
    /// The library's file, if one was named; of a named folder nothing is known before it is searched.
    pub fn library_file(&self) -> Option<(&'static str, &Path)> {
        self.library.as_deref().filter(|path| !path.is_dir()).map(|path| ("--ort-lib", path))
    }
}

/// ONNX Runtime, loaded and configured; opens models.
pub struct Engine {
    library: library::Loaded,
    threads: NonZeroUsize,
    provider: ProviderReport,
    /// Why each model runs where it runs, in the order in which they were opened.
    reasons: Vec<(PathBuf, String)>,
}

/// Intra-op threads when nothing is said: the available cores, but not more than four.
#[must_use]
pub fn default_threads() -> NonZeroUsize {
    let most = NonZeroUsize::new(DEFAULT_THREADS).expect("the constant is not zero");
    std::thread::available_parallelism().map_or(NonZeroUsize::MIN, |cores| cores.min(most))
}

impl Engine {
    /// Finds and loads ONNX Runtime. The library is loaded once per process: a second engine uses the first one's.
    ///
    /// # Errors
    /// When there is no usable library (see [`library`]).
    pub fn start(options: &EngineOptions) -> Result<Self, ModelError> {
        let library = library::load(&Places::of_this_process(options.library.as_deref()))?;
        let provider =
            ProviderReport { requested: options.provider, used: String::new(), reason: "no model was opened".into() };
        Ok(Self { library, threads: options.threads.unwrap_or_else(default_threads), provider, reasons: Vec::new() })
    }

    /// The library that was loaded.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library.path
    }

    /// Intra-op threads of each model.
    #[must_use]
    pub fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// Who computes the models opened so far.
    #[must_use]
    pub fn provider(&self) -> &ProviderReport {
        &self.provider
    }

    /// A session for the model in `bytes`; `path` is for messages only.
    pub(super) fn session(&mut self, path: &Path, bytes: &[u8]) -> Result<Session, ModelError> {
        if self.provider.requested != Provider::Cpu {
            match self.commit(bytes, &[CUDA::default().build().error_on_failure()]) {
                Ok(session) => {
                    self.used(path, "cuda", "CUDA accepted the model".into());
                    return Ok(session);
                }
                Err(reason) if self.provider.requested == Provider::Cuda => {
                    // The CPU tells a broken file from a refusal.
                    self.commit(bytes, &[]).map_err(|reason| ModelError::NotOnnx { path: path.into(), reason })?;
                    let reason = in_plain_words(&reason);
                    return Err(ModelError::Provider { path: path.into(), provider: "cuda", reason });
                }
                Err(reason) => self.used(path, "cpu", format!("CUDA refused: {}", in_plain_words(&reason))),
            }
        } else {
            self.used(path, "cpu", "asked for".into());
        }
        self.commit(bytes, &[]).map_err(|reason| ModelError::NotOnnx { path: path.into(), reason })
    }

    fn used(&mut self, path: &Path, provider: &str, reason: String) {
        let used = &mut self.provider.used;
        if !used.is_empty() && used != provider {
            *used = "cuda+cpu".into();
        } else {
            *used = provider.into();
        }
        self.reasons.push((path.into(), reason));
        self.provider.reason = joined(&self.reasons);
    }

    fn commit(&self, bytes: &[u8], providers: &[ExecutionProviderDispatch]) -> Result<Session, String> {
        let build = || -> ort::Result<Session> {
            let mut builder: SessionBuilder = Session::builder(&self.library.environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(self.threads.get())?;
            if !providers.is_empty() {
                builder = builder.with_execution_providers(providers)?;
            }
            builder.commit_from_memory(bytes)
        };
        build().map_err(|error| one_line(error.message()))
    }
}

/// One reason for all models, or each model's own.
fn joined(reasons: &[(PathBuf, String)]) -> String {
    if reasons.windows(2).all(|pair| pair[0].1 == pair[1].1) {
        return reasons.first().map_or(String::new(), |(_, reason)| reason.clone());
    }
    let each: Vec<String> = reasons.iter().map(|(path, reason)| format!("{}: {reason}", path.display())).collect();
    each.join("; ")
}

/// Why CUDA refused, without the full stop that ends ONNX Runtime's messages.
fn in_plain_words(reason: &str) -> String {
    if reason.contains("not enabled in this build") {
        return "this ONNX Runtime library was built without CUDA; the one in the Python package onnxruntime-gpu \
                has it, name it with --ort-lib"
            .into();
    }
    reason.trim_end_matches('.').into()
}

/// A message of ONNX Runtime without its line breaks.
pub(super) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_one_model_survives_the_success_of_the_next() {
        let reason = |path: &str, reason: &str| (PathBuf::from(path), reason.to_owned());
        let refused = reason("c.onnx", "CUDA refused: no memory");
        assert_eq!(joined(&[refused.clone(), reason("p.onnx", &refused.1)]), "CUDA refused: no memory");
        let both = joined(&[refused, reason("p.onnx", "CUDA accepted the model")]);
        assert_eq!(both, "c.onnx: CUDA refused: no memory; p.onnx: CUDA accepted the model");
    }

    #[test]
    fn a_library_without_cuda_is_told_from_one_that_fails() {
        let without = in_plain_words("CUDA execution provider is not enabled in this build.");
        assert!(without.contains("built without CUDA") && without.contains("onnxruntime-gpu"), "{without}");
        assert_eq!(
            in_plain_words("libcudnn.so.9: cannot open shared object file."),
            "libcudnn.so.9: cannot open shared object file"
        );
    }
}
