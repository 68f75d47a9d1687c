//! The paper's tables and figures, each by one command: what is missing is trained, everything is measured, and one page shows
//! ours beside the paper's.
//!
//! `results/` gets a JSON file for each block of a table and each figure, `docs/figures/` the plots and sample pictures,
//! and `docs/results.md` is written from what is in `results/`.

mod coefficients;
mod figure;
mod index;
mod page;
mod plot;
mod recipes;
mod samples;
mod speed;
mod strong;
mod summary;
mod tables;
mod within;
mod zoo;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tch::Device;

use crate::classifier::Architecture;
use crate::data::{DataSet, Shape};
use crate::defence::defense_gan::Projection;
use crate::files;
use figure::Figure;
use tables::{BLOCKS, Block};
use zoo::Zoo;

/// What to make again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// MNIST: every attack before every defence.
    Table3,
    /// Fashion-MNIST.
    Table4,
    /// CIFAR-10.
    Table5,
    /// Fashion-MNIST, attacks made on a substitute.
    Table6,
    /// Seconds for a batch of 128.
    Table7,
    /// What the coefficients do.
    Fig7,
    /// FGSM with the gradient through the defence.
    Fig8,
    /// Accuracy within a time limit, and Table 8.
    #[value(alias = "table8")]
    Fig9,
    /// Everything.
    All,
    /// Only the page, from the results that are there.
    Page,
}

/// Where from and where to, how much and how carefully.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Folder that holds the data sets' folders.
    #[arg(long)]
    pub data: PathBuf,
    /// Folder of runs; what is there by name is used, what was cut off is finished, what is missing is trained into it.
    #[arg(long, default_value = "runs")]
    pub runs: PathBuf,
    /// Folder of exported files, used where there is no run.
    #[arg(long, default_value = "models")]
    pub models: PathBuf,
    /// Folder that gets `results/` and `docs/`.
    #[arg(long, default_value = ".")]
    pub out: PathBuf,
    /// One epoch on a few images, and few images judged: to see every step work, in the folder `quick` of --runs and --out.
    #[arg(long)]
    pub quick: bool,
    /// Use the runs and files that are there, also those that were cut off, and leave out what is missing.
    #[arg(long)]
    pub no_training: bool,
    /// Of the tables, only the blocks of this target.
    #[arg(long, value_enum)]
    pub target: Option<Architecture>,
    /// Test images [default: all of 28×28, 1000 of 32×32].
    #[arg(long)]
    pub images: Option<usize>,
    /// Test images for CW, Table 6 and Figure 8 [default: 1000].
    #[arg(long)]
    pub costly_images: Option<usize>,
    /// Test images for the attackers who know a defence, 40 steps from 5 starts; 0 leaves them out [default: 1000].
    #[arg(long)]
    pub adaptive_images: Option<usize>,
    /// Test images for Defense-GAN; 0 leaves it out [default: as for CW].
    #[arg(long)]
    pub slow_images: Option<usize>,
    /// How Defense-GAN looks for a picture in the tables.
    #[command(flatten)]
    pub projection: Projection,
    /// Random starts of the attackers who know a defence.
    #[arg(long, default_value_t = 5)]
    pub adaptive_restarts: u32,
    /// Seed of targets, latent noise and the choice of images; each network has a seed of its own.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Images behind the numbers.
#[derive(Debug, Clone, Copy)]
struct Counts {
    images: Option<usize>,
    costly: usize,
    adaptive: usize,
    restarts: u32,
}

impl Settings {
    fn counts(&self, set: &DataSet) -> Counts {
        let (images, costly, adaptive) = match (self.quick, set.channels) {
            (true, _) => (Some(100), 20, 10),
            (false, 1) => (None, 1000, 1000),
            (false, _) => (Some(1000), 1000, 1000),
        };
        Counts {
            images: self.images.or(images),
            costly: self.costly_images.unwrap_or(costly),
            adaptive: self.adaptive_images.unwrap_or(adaptive),
            restarts: self.adaptive_restarts,
        }
    }

    /// A quick run projects quickly.
    fn projection(&self) -> Projection {
        let Projection { steps, restarts, .. } = self.projection;
        let few = Projection { steps: steps.min(5), restarts: restarts.min(2), ..self.projection };
        if self.quick { few } else { self.projection }
    }

    fn within(&self, root: &Path) -> PathBuf {
        if self.quick { root.join("quick") } else { root.into() }
    }

    fn results(&self) -> PathBuf {
        self.within(&self.out).join("results")
    }

    fn docs(&self) -> PathBuf {
        self.within(&self.out).join("docs")
    }

    fn figures(&self) -> PathBuf {
        self.docs().join("figures")
    }
}

/// Makes `part` again, and the page.
///
/// # Errors
/// As training and evaluating, and when a file cannot be written.
pub fn run(part: Part, settings: &Settings, device: Device) -> Result<()> {
    ensure!(settings.adaptive_restarts > 0, "--adaptive-restarts is 0, expected at least 1");
    ensure!(
        settings.images != Some(0),
        "--images is 0, expected at least 1; leave it out for the numbers of the tables"
    );
    ensure!(
        settings.costly_images != Some(0),
        "--costly-images is 0, expected at least 1; leave it out for the numbers of the tables"
    );
    for folder in [settings.results(), settings.figures()] {
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("{}: cannot create the folder; choose another --out", folder.display()))?;
    }
    let page = settings.docs().join("results.md");
    files::check_writable(&page)?;
    settings.projection.check()?;
    if let Some(target) = settings.target {
        let targets: Vec<&str> =
            BLOCKS.iter().filter(|block| part.has(block)).map(|block| block.target.letter()).collect();
        ensure!(
            BLOCKS.iter().any(|block| part.asks_for(block, settings)),
            "--target {}: expected one of what is asked for ({}); leave it out for all of them",
            target.letter(),
            if targets.is_empty() { "which has no targets".to_owned() } else { targets.join(", ") }
        );
    }
    let needed = ["mnist", "fashion-mnist", "cifar10"].into_iter().filter(|dataset| part.needs(dataset));
    let load = |dataset| DataSet::load(&settings.data, dataset, Shape::default(), device);
    let sets: Vec<DataSet> = needed.map(load).collect::<Result<_>>()?;
    if matches!(part, Part::Table7 | Part::All) {
        speed::run(settings, device)?.write(&settings.results().join("table7.json"))?;
    }
    for set in sets {
        on_data(part, set, settings, device)?;
        page::write(&page, &settings.results(), &settings.figures())?;
    }
    page::write(&page, &settings.results(), &settings.figures())?;
    println!("{}", page.display());
    Ok(())
}

impl Part {
    fn table(self) -> Option<u32> {
        match self {
            Self::Table3 => Some(3),
            Self::Table4 => Some(4),
            Self::Table5 => Some(5),
            Self::Table6 => Some(6),
            _ => None,
        }
    }

    fn asks_for(self, block: &Block, settings: &Settings) -> bool {
        let wanted = settings.target.is_none_or(|target| target == block.target);
        wanted && self.has(block)
    }

    fn has(self, block: &Block) -> bool {
        self == Self::All || self.table() == Some(block.table)
    }

    /// The figures are about the grey data sets.
    fn needs(self, dataset: &str) -> bool {
        let figure = matches!(self, Self::Fig7 | Self::Fig8 | Self::Fig9) && dataset != "cifar10";
        self == Self::All
            || figure
            || BLOCKS.iter().any(|block| block.dataset == dataset && Some(block.table) == self.table())
    }
}

fn on_data(part: Part, mut set: DataSet, settings: &Settings, device: Device) -> Result<()> {
    let dataset = set.name.clone();
    if settings.quick {
        set.train = set.train.first(zoo::QUICK_IMAGES);
    }
    let runs = settings.within(&settings.runs);
    let zoo = Zoo {
        set: &set,
        runs: &runs,
        shipped: &settings.models,
        train: !settings.no_training,
        quick: settings.quick,
        device,
    };
    for block in BLOCKS.into_iter().filter(|block| block.dataset == dataset) {
        if part.asks_for(&block, settings) {
            println!("{}", block.name());
            tables::run(block, &zoo, settings)?;
        }
    }
    let write = |name: &str, figure: Figure| figure.put(&settings.results().join(format!("{name}-{dataset}.json")));
    let figures = dataset != "cifar10";
    if figures && matches!(part, Part::Fig7 | Part::All) {
        write("fig7", coefficients::run(&zoo, settings)?)?;
    }
    if figures && matches!(part, Part::Fig8 | Part::All) {
        write("fig8", strong::run(&zoo, settings)?)?;
    }
    if figures && matches!(part, Part::Fig9 | Part::All) {
        write("fig9", within::run(&zoo, settings)?)?;
    }
    Ok(())
}
