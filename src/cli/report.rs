//! `puvae report`: a page of one run, or a comparison of several.

use std::path::Path;
use std::process::ExitCode;

use puvae::config::{NamedFile, check_files_differ, check_given_once};
use puvae::report::compare::{Comparison, Run};
use puvae::report::output::OutputFile;
use puvae::report::{Report, html};

use super::args::ReportArgs;
use super::print;

pub(super) fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    check_given_once(&args.files)?;
    match args.files.as_slice() {
        [file] => render(file, args.output.as_deref()),
        _ => compare(args),
    }
}

fn render(file: &Path, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let target = output.map_or_else(|| file.with_extension("html"), Path::to_owned);
    check_files_differ(&[("the report", file)], &[("--output", &target)])?;
    let report = Report::read(file)?;
    write(&OutputFile::reserve(&target, "--output")?, html::render(&report))
}

fn compare(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let inputs: Vec<NamedFile<'_>> = args.files.iter().map(|file| ("a report", file.as_path())).collect();
    let target = args.output.as_deref();
    check_files_differ(&inputs, &target.map(|target| ("--output", target)).into_iter().collect::<Vec<_>>())?;
    let runs = args.files.iter().map(|path| Ok(Run { path: path.clone(), report: Report::read(path)? }));
    let comparison = Comparison::new(runs.collect::<anyhow::Result<_>>()?)?;
    let page = target.map(|target| OutputFile::reserve(target, "--output")).transpose()?;
    // The file first: whoever reads standard output may be gone.
    page.map_or(Ok(ExitCode::SUCCESS), |page| write(&page, comparison.to_html()))?;
    print(&comparison.to_table())?;
    Ok(ExitCode::SUCCESS)
}

fn write(file: &OutputFile, page: String) -> anyhow::Result<ExitCode> {
    file.write(page)?;
    tracing::info!("wrote {}", file.path().display());
    Ok(ExitCode::SUCCESS)
}
