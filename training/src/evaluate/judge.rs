//! Puts every attack before the target and all its defences.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use tch::Tensor;

use super::adaptive::Defended;
use super::{BLACK_BOX, CLEAN, Cell, Contestant, Guard, Measures, NOISE, Participants, Row, UNDEFENDED};
use crate::attack::{self, Plan, answers, percent_right};
use crate::classifier::Classifier;
use crate::data::Split;
use crate::defence::{self, Cleaned, Defence, purify_all};
use crate::progress::{self, timed};

/// A row's cells, by their defences' names.
type Cells = BTreeMap<String, Cell>;

/// What a row is about.
pub(super) enum Subject<'a> {
    /// The images as they are.
    Clean,
    /// Uniform noise of this L∞ norm.
    Noise(f64),
    /// An attack on the target.
    Attack(Plan),
    /// The same on the target's substitute.
    BlackBox(Plan, &'a Classifier),
}

impl Subject<'_> {
    /// The row's name.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Clean => CLEAN.into(),
            Self::Noise(_) => NOISE.into(),
            Self::Attack(plan) => plan.name(),
            Self::BlackBox(plan, _) => format!("{BLACK_BOX}{}", plan.name()),
        }
    }
}

/// A target and its defences, with the images they are judged on. A row depends on nothing but its subject.
pub(super) struct Judge<'a> {
    target: &'a Classifier,
    substitute: Option<&'a Classifier>,
    contestants: &'a [Contestant],
    measures: &'a Measures,
    images: Split,
    /// Clean held-out images that the detectors are calibrated on: as many as are evaluated, if there are so many.
    clean: Split,
    /// Of each contestant's detector, calibrated when its first cell needs it.
    thresholds: Vec<OnceCell<Option<f64>>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        Participants { target, substitute, contestants }: Participants<'a>,
        split: &Split,
        held_out: &Split,
        measures: &'a Measures,
    ) -> Result<Self> {
        let images = measures.images.map_or_else(|| split.shallow_clone(), |count| split.sample(count, measures.seed));
        ensure!(!images.is_empty(), "no images to evaluate on; --images must be at least 1");
        let clean = held_out.first(images.len());
        ensure!(!clean.is_empty(), "no held-out images to calibrate detectors on");
        let thresholds = vec![OnceCell::new(); contestants.len()];
        let substitute = substitute.map(|trained| &trained.network);
        Ok(Self { target: &target.network, substitute, contestants, measures, images, clean, thresholds })
    }

    /// The rows there will be: clean images, random noise of the first attack's size, and each attack, on the target and then
    /// on the substitute.
    pub(super) fn subjects(&self) -> Vec<Subject<'a>> {
        let noise = self.measures.noise_epsilon().map(Subject::Noise);
        let white_box = self.measures.plans().map(Subject::Attack);
        let black_box = self
            .substitute
            .into_iter()
            .flat_map(|substitute| self.measures.plans().map(move |plan| Subject::BlackBox(plan, substitute)));
        [Subject::Clean].into_iter().chain(noise).chain(white_box).chain(black_box).collect()
    }

    /// The row of a subject, with the cells that it has in `before`; `None` where none is missing. Where the pictures come out otherwise than
    /// those of `before`, as with another version of the attack, no cell is kept. Its seconds include the calibration of detectors that it
    /// is the first to need.
    pub(super) fn row(&self, subject: &Subject<'_>, before: Option<&Row>) -> Result<Option<Row>> {
        let is_missing =
            |contestant: &Contestant| !before.is_some_and(|row| row.defended.contains_key(&contestant.name));
        if before.is_some() && !self.contestants.iter().any(is_missing) {
            return Ok(None);
        }
        let (row, seconds) = timed(|| {
            let (images, x, row) = self.shown(subject)?;
            let known = match before {
                Some(before) if before.is_of_pictures_like(&row) => before.defended.clone(),
                Some(before) => {
                    eprintln!(
                        "note: {}: its pictures come out otherwise than before (undefended {:.2} %, before {:.2} %; mean L2 {:.4}, before {:.4}); every defence is measured anew",
                        row.attack, row.undefended, before.undefended, row.mean_l2, before.mean_l2
                    );
                    Cells::new()
                }
                None => Cells::new(),
            };
            let defended = self.judged(&row.attack, &images, &x, known);
            anyhow::Ok(Row { defended, ..row })
        });
        Ok(Some(Row { seconds: seconds + before.map_or(0.0, |row| row.seconds), ..row? }))
    }

    /// The pictures of a subject, whose they are, and their row without cells.
    fn shown(&self, subject: &Subject<'_>) -> Result<(Split, Tensor, Row)> {
        let (plan, seen) = match *subject {
            Subject::Attack(plan) => (plan, self.target),
            Subject::BlackBox(plan, substitute) => (plan, substitute),
            Subject::Clean | Subject::Noise(_) => {
                let clean = self.images.all().x;
                let x = if let Subject::Noise(epsilon) = *subject { self.noisy(&clean, epsilon) } else { clean.copy() };
                let (mean_l2, mean_linf) = attack::mean_norms(&(&x - &clean));
                let images = self.images.shallow_clone();
                let row = Row { mean_l2, mean_linf, ..self.undefended(subject.name(), &images, &x) };
                return Ok((images, x, row));
            }
        };
        let few = plan.attack.is_costly().then(|| self.images.sample(self.measures.costly_images, plan.seed));
        let images = few.unwrap_or_else(|| self.images.shallow_clone());
        let adversarial = attack::transfer(seen, self.target, plan, &images, self.target.config.classes)?;
        let row = Row {
            parameters: Some(plan.attack),
            attack_success: Some(100.0 * adversarial.success),
            zero_gradient: Some(100.0 * adversarial.zero_gradient),
            mean_l2: adversarial.mean_l2,
            mean_linf: adversarial.mean_linf,
            ..self.undefended(subject.name(), &images, &adversarial.x)
        };
        Ok((images, adversarial.x, row))
    }

    fn noisy(&self, clean: &Tensor, epsilon: f64) -> Tensor {
        tch::manual_seed(self.measures.seed as i64);
        attack::random_point(clean, epsilon)
    }

    /// A row of pictures `x` of `images` before the target.
    fn undefended(&self, attack: String, images: &Split, x: &Tensor) -> Row {
        Row {
            attack,
            parameters: None,
            n: images.len(),
            attack_success: None,
            zero_gradient: None,
            mean_l2: 0.0,
            mean_linf: 0.0,
            undefended: percent_right(&answers(self.target, x), &images.labels()),
            defended: Cells::new(),
            seconds: 0.0,
        }
    }

    /// Pictures `x` of `images` before each contestant whose cell is not known.
    fn judged(&self, name: &str, images: &Split, x: &Tensor, known: Cells) -> Cells {
        let y = images.labels();
        let mut defended = known;
        for (contestant, threshold) in self.contestants.iter().zip(&self.thresholds) {
            if defended.contains_key(&contestant.name) {
                continue;
            }
            let cell = match &contestant.guard {
                Guard::Replacement(classifier) => Cell::of(percent_right(&answers(classifier, x), &y)),
                Guard::Defence(defence) => {
                    let threshold = *threshold.get_or_init(|| self.threshold(&contestant.name, defence.as_ref()));
                    let bar = progress::bar(&format!("{} {name}", contestant.name), images.len());
                    self.cell(&purify_all(defence.as_ref(), x, self.measures.seed as i64, &bar), &y, threshold)
                }
            };
            defended.insert(contestant.name.clone(), cell);
        }
        defended
    }

    /// The threshold of a defence's detector.
    fn threshold(&self, name: &str, defence: &dyn Defence) -> Option<f64> {
        let bar = progress::bar(&format!("calibrate {name}"), self.clean.len());
        defence::threshold(defence, &self.clean, self.measures.seed as i64, &bar)
    }

    fn cell(&self, cleaned: &Cleaned, y: &Tensor, threshold: Option<f64>) -> Cell {
        let answers = answers(self.target, &cleaned.frames);
        let mut cell = Cell::of(percent_right(&answers, y));
        cell.y_star = cleaned.label.as_ref().map(|label| percent_right(label, y));
        if let (Some(score), Some(threshold)) = (&cleaned.score, threshold) {
            let accepted = score.le(threshold).nonzero().squeeze_dim(1);
            let share = accepted.numel() as f64 / y.numel() as f64;
            cell.rejected = Some(100.0 * (1.0 - share));
            cell.accuracy_of_accepted = (accepted.numel() > 0)
                .then(|| percent_right(&answers.index_select(0, &accepted), &y.index_select(0, &accepted)));
        }
        cell
    }

    /// What the attackers who know go for: M_t alone, and each contestant.
    pub(super) fn victims(&self) -> impl Iterator<Item = (&'a str, Defended<'a>)> {
        let target = self.target;
        let undefended = Defended { defence: None, classifier: target };
        let guarded =
            self.contestants.iter().map(move |contestant| (contestant.name.as_str(), contestant.defending(target)));
        std::iter::once((UNDEFENDED, undefended)).chain(guarded)
    }
}
