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
        f.write_str(match self {
            Provider::Auto => "auto",
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
        })
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Provider::Auto),
            "cpu" => Ok(Provider::Cpu),
            "cuda" => Ok(Provider::Cuda),
            _ => Err(format!("unknown provider `{text}`, expected auto, cpu or cuda")),
        }
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

/// ONNX Runtime, loaded and configured; opens models.
pub struct Engine {
    library: library::Loaded,
    threads: NonZeroUsize,
    provider: ProviderReport,
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
        Ok(Self { library, threads: options.threads.unwrap_or_else(default_threads), provider })
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
                    self.used("cuda", "CUDA accepted the model".into());
                    return Ok(session);
                }
                Err(reason) if self.provider.requested == Provider::Cuda => {
                    // The CPU tells a broken file from a refusal.
                    self.commit(bytes, &[]).map_err(|reason| ModelError::NotOnnx { path: path.into(), reason })?;
                    return Err(ModelError::Provider { path: path.into(), provider: "cuda", reason });
                }
                Err(reason) => self.used("cpu", format!("CUDA refused: {reason}")),
            }
        } else {
            self.used("cpu", "asked for".into());
        }
        self.commit(bytes, &[]).map_err(|reason| ModelError::NotOnnx { path: path.into(), reason })
    }

    fn used(&mut self, provider: &str, reason: String) {
        let used = &mut self.provider.used;
        if !used.is_empty() && used != provider {
            *used = "cuda+cpu".into();
        } else {
            *used = provider.into();
        }
        self.provider.reason = reason;
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

/// A message of ONNX Runtime without its line breaks.
pub(super) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
