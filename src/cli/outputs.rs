//! Where a run's results go. Each place is known to be writable before the run; what it held is kept until
//! there is something to put in its place.

use std::fs::File;
use std::io::{self, LineWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use puvae::clock::SystemClock;
use puvae::config::{Settings, VerdictsTo};
use puvae::pipeline::StopFlag;
use puvae::report::output::OutputFile;
use puvae::report::schema::Models;
use puvae::report::verdicts::VerdictLines;
use puvae::report::{Report, html};

use super::opening::wait_for;

/// The reports' files, known to be writable.
pub(super) struct Outputs {
    json: Option<OutputFile>,
    html: Option<OutputFile>,
}

impl Outputs {
    pub(super) fn reserve(settings: &Settings) -> anyhow::Result<Self> {
        let reserve = |path: &Option<PathBuf>, purpose| {
            path.as_deref().map(|path| OutputFile::reserve(path, purpose)).transpose()
        };
        if let Some(VerdictsTo::File(path)) = &settings.verdicts {
            OutputFile::check_in_place(path, "--verdicts")?;
        }
        Ok(Self { json: reserve(&settings.json, "--json")?, html: reserve(&settings.html, "--html")? })
    }

    /// Writes them all. A report that cannot be written where it should go is saved elsewhere: the run may
    /// have taken hours.
    pub(super) fn write(&self, report: &Report) -> anyhow::Result<()> {
        let json = report.to_json();
        let written = [
            self.json.as_ref().map(|file| file.write(&json)),
            self.html.as_ref().map(|file| file.write(html::render(report))),
        ];
        let errors: Vec<String> =
            written.into_iter().flatten().filter_map(|result| Some(result.err()?.to_string())).collect();
        if errors.is_empty() {
            return Ok(());
        }
        let rescue = std::env::temp_dir().join(format!("puvae-report-{}.json", std::process::id()));
        // Nothing that stands there already, a link perhaps, is written to.
        let rescued = File::create_new(&rescue).and_then(|mut file| file.write_all(json.as_bytes()));
        let place = rescued
            .map_or_else(|_| format!("is this instead:\n{json}"), |()| format!("is in {} instead", rescue.display()));
        bail!("{}; the whole report as JSON {place}", errors.join("; "))
    }
}

/// Who writes the verdicts, where they are wanted.
pub(super) fn verdict_lines(
    settings: &Settings,
    models: &Models,
    files: Vec<String>,
    stop: &StopFlag,
) -> anyhow::Result<Option<VerdictLines<Destination>>> {
    let into = match &settings.verdicts {
        None => return Ok(None),
        Some(VerdictsTo::Stdout) => Destination {
            into: Box::new(io::stdout()),
            name: "standard output".into(),
            remedy: "keep whoever reads it running, or give a file for --verdicts",
        },
        Some(VerdictsTo::File(path)) => Destination {
            into: Box::new(LineFile::new(path, stop)?),
            name: path.display().to_string(),
            remedy: "make room there, or give another path for --verdicts",
        },
    };
    let model = models.purifier.as_ref().map(|model| model.sha256.short());
    let lines = VerdictLines::new(into, models.classifier.spec.classes.clone(), model);
    Ok(Some(lines.with_regions(&settings.regions).with_files(files)))
}

/// Says of what cannot be written where it should have gone, and what to do.
pub(super) struct Destination {
    into: Box<dyn Write>,
    name: String,
    remedy: &'static str,
}

impl Destination {
    fn explained<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let Self { name, remedy, .. } = self;
        result.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}; {remedy}")))
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.into.write(bytes);
        self.explained(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.into.flush();
        self.explained(flushed)
    }
}

/// A file that holds each line as soon as the line is whole. What it held before is lost with the first
/// write, or with a flush: not when the run is refused.
struct LineFile {
    path: PathBuf,
    file: Option<LineWriter<File>>,
}

impl LineFile {
    /// A pipe loses nothing by being opened, and whoever is to read it may be late: that delays no frame, and can be
    /// interrupted.
    fn new(path: &Path, stop: &StopFlag) -> anyhow::Result<Self> {
        let path = path.to_owned();
        if path.is_file() || !path.exists() {
            return Ok(Self { path, file: None });
        }
        let pipe = path.clone();
        let open = move || {
            File::create(&pipe).map_err(|error| {
                anyhow!("{}: cannot write the verdicts here: {error}; give another path for --verdicts", pipe.display())
            })
        };
        let file = wait_for(&path.display(), Duration::MAX, &SystemClock, stop, open)?;
        Ok(Self { path, file: Some(LineWriter::new(file)) })
    }

    fn open(&mut self) -> io::Result<&mut LineWriter<File>> {
        match &mut self.file {
            Some(file) => Ok(file),
            closed => Ok(closed.insert(LineWriter::new(File::create(&self.path)?))),
        }
    }
}

impl Write for LineFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open()?.flush()
    }
}
