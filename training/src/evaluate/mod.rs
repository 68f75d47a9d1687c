//! What a defence is worth: accuracy on clean and attacked images, undefended and behind each defence.
//!
//! In the rows the attacker sees the target classifier only and does not know any defence (the paper's "white-box"); every
//! attack is made once and put before all defences. In rows whose names begin with [`BLACK_BOX`] he sees only answers: the attack is made
//! on a substitute that learned from them. [`adaptive`] is the attacker who knows.

pub mod adaptive;
pub mod checks;
pub mod contestants;
pub(crate) mod interval;
mod judge;
mod merge;
mod results;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tch::Tensor;

use crate::attack::{Aim, Attack, Plan, Victim, answers, percent_right};
use crate::classifier::Classifier;
use crate::data::{DataSet, Split};
use crate::defence::Defence;
use crate::device;
use crate::runs::{self, Trained, same_data};
use adaptive::{Defended, Effort};
use judge::Judge;
pub use merge::{Destination, Resume};
use results::ADAPTIVE;
pub use results::{Cell, Results, Row, SCHEMA};

/// The target alone, among what attackers who know go for.
pub(crate) const UNDEFENDED: &str = "undefended";

/// The row of the images as they are.
pub(crate) const CLEAN: &str = "clean";

/// The row of random noise.
pub const NOISE: &str = "uniform-noise";

/// What names of rows begin with whose attack was made on a substitute.
pub const BLACK_BOX: &str = "black-box-";

/// What answers in the place of the undefended classifier.
pub enum Guard {
    /// Stands in front of M_t.
    Defence(Box<dyn Defence>),
    /// Stands in its place: another classifier, or one that was trained adversarially.
    Replacement(Classifier),
}

/// A defence under evaluation.
pub struct Contestant {
    /// Its name in results.
    pub name: String,
    /// What it is.
    pub guard: Guard,
    /// How it was made; `null` if it was not trained.
    pub about: Value,
}

impl Contestant {
    /// What answers where this defends `target`.
    #[must_use]
    pub fn defending<'a>(&'a self, target: &'a Classifier) -> Defended<'a> {
        match &self.guard {
            Guard::Defence(defence) => Defended { defence: Some(defence.as_ref()), classifier: target },
            Guard::Replacement(classifier) => Defended { defence: None, classifier },
        }
    }

    /// Its name and how it was made, for what is learned from it.
    #[must_use]
    pub fn origin(&self) -> Value {
        json!({ "name": self.name, "run": self.about })
    }
}

/// Who takes part in an evaluation.
#[derive(Clone, Copy)]
pub struct Participants<'a> {
    /// The target classifier M_t, which is attacked.
    pub target: &'a Trained<Classifier>,
    /// The black-box attacker's substitute for it, if he takes part.
    pub substitute: Option<&'a Trained<Classifier>>,
    /// What defends it.
    pub contestants: &'a [Contestant],
}

/// What to measure, on how many images.
#[derive(Debug, Clone)]
pub struct Measures {
    /// The attacks, each on all images unless it is costly.
    pub attacks: Vec<(Attack, Aim)>,
    /// Images, `None` for all; fewer than all are drawn by the seed.
    pub images: Option<usize>,
    /// Images for PGD with restarts and CW.
    pub costly_images: usize,
    /// The attacker who knows, and on how many images; `None` leaves him out.
    pub adaptive: Option<(Effort, usize)>,
    /// Seed of everything drawn.
    pub seed: u64,
}

impl Measures {
    fn check(&self) -> Result<()> {
        self.attacks.iter().try_for_each(|(attack, _)| attack.check())?;
        ensure!(self.images != Some(0), "--images is 0, expected at least 1");
        ensure!(
            self.costly_images > 0 || !self.attacks.iter().any(|(attack, _)| attack.is_costly()),
            "--costly-images is 0, expected at least 1 for CW and PGD; or leave these attacks out"
        );
        self.adaptive.map_or(Ok(()), |(effort, _)| effort.check())
    }

    fn plans(&self) -> impl Iterator<Item = Plan> {
        self.attacks.iter().map(|&(attack, aim)| Plan { attack, aim, seed: self.seed })
    }

    /// Size of the random noise: that of the first attack that has one.
    fn noise_epsilon(&self) -> Option<f64> {
        self.attacks.iter().find_map(|(attack, _)| attack.epsilon())
    }

    /// All but the seed, as results files hold it.
    fn to_json(&self) -> serde_json::Value {
        let attacks: BTreeMap<String, Attack> = self.plans().map(|plan| (plan.name(), plan.attack)).collect();
        json!({
            "attacks": attacks,
            "noise_epsilon": self.noise_epsilon(),
            "images": self.images,
            "costly_images": self.costly_images,
            ADAPTIVE: self.adaptive.map(|(effort, images)| json!({ "effort": effort, "images": images })),
        })
    }
}

/// Evaluates a target and the defences on a named split. Each row and each outcome is printed and written as soon as it is
/// known; those that the file has already, for the same question, are kept, and defences added to it get the cells they lack.
///
/// # Errors
/// When an attack's parameters are absurd, there are no images, the target was trained on other data, the substitute is another
/// target's, or the file is of another question, unfinished, or cannot be written.
pub fn run(
    set: &DataSet,
    (split, split_name): (&Split, &str),
    participants: Participants<'_>,
    measures: &Measures,
    at: Destination<'_>,
) -> Result<Results> {
    let Participants { target, substitute, .. } = participants;
    same_data(set, &target.header)?;
    if let Some(substitute) = substitute {
        same_data(set, &substitute.header)?;
        runs::substitute::check(&substitute.header, target)?;
    }
    check_names(participants.contestants)?;
    measures.check()?;
    let mut results = question(set, (split, split_name), participants, measures)?.begin(at)?;
    let judge = Judge::new(participants, split, &set.held_out, measures)?;
    for subject in judge.subjects() {
        let name = subject.name();
        if let Some(row) = judge.row(&subject, results.row(&name))? {
            results.put(row);
            results.save(at.path)?;
        }
        results.row(&name).into_iter().for_each(|row| println!("{}", row.lines()));
    }
    if let Some((effort, images)) = measures.adaptive {
        let images = split.sample(images, measures.seed);
        let victims: Vec<_> = judge.victims().collect();
        for &(name, victim) in &victims {
            let asked = (effort, images.len());
            if !results.adaptive.get(name).is_some_and(|outcome| outcome.is_current(name, asked, &victims)) {
                let outcome = adaptive::run(victim, name, &images, measures.seed, effort, &victims)?;
                results.adaptive.insert(name.into(), outcome);
                results.save(at.path)?;
            }
            println!("{}", results.adaptive[name].line(name));
        }
    }
    results.finished = true;
    results.save(at.path)?;
    results.warnings.iter().for_each(|warning| println!("warning: {warning}"));
    Ok(results)
}

/// Results are by name, so no two contestants may share one.
fn check_names(contestants: &[Contestant]) -> Result<()> {
    let mut taken = vec![UNDEFENDED];
    for Contestant { name, .. } in contestants {
        ensure!(
            !taken.contains(&name.as_str()),
            "two of the same name: {name}; give one of them another name with --defence NAME=… or --replacement NAME=…"
        );
        taken.push(name);
    }
    Ok(())
}

/// A results file with everything but answers.
fn question(
    set: &DataSet,
    (split, split_name): (&Split, &str),
    Participants { target, substitute, contestants }: Participants<'_>,
    measures: &Measures,
) -> Result<Results> {
    Ok(Results {
        schema: SCHEMA,
        finished: false,
        crate_version: env!("CARGO_PKG_VERSION").into(),
        command: command(),
        dataset: set.name.clone(),
        split: split_name.into(),
        images_sha256: split.sha256(),
        seed: measures.seed,
        device: device::name(split.device()),
        target: target.about()?,
        substitute: substitute.map_or(Ok(serde_json::Value::Null), Trained::about)?,
        defences: contestants.iter().map(|contestant| (contestant.name.clone(), contestant.about.clone())).collect(),
        calibrated_on: set.held_out.len().min(measures.images.unwrap_or(usize::MAX)).min(split.len()),
        measures: measures.to_json(),
        rows: Vec::new(),
        adaptive: BTreeMap::new(),
        warnings: Vec::new(),
        seconds: 0.0,
    })
}

/// The command line as results files hold it.
#[must_use]
pub fn command() -> String {
    let args = std::env::args().skip(1).filter(|arg| arg != "--resume");
    std::iter::once("puvae-train".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

/// Accuracy on pictures `[N, C, H, W]`, in percent.
#[must_use]
pub fn accuracy(victim: &dyn Victim, x: &Tensor, y: &Tensor) -> f64 {
    percent_right(&answers(victim, x), y)
}
