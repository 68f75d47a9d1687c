//! Defences, the attacker who knows them, and the evaluation that puts them side by side.

use std::sync::Mutex;

use puvae_training::attack::{clip, draw_targets};
use puvae_training::classifier::{AdversarialTraining, Architecture, Classifier, ClassifierConfig, ClassifierTask};
use puvae_training::data::Split;
use puvae_training::defence::magnet::{Magnet, MagnetConfig, MagnetTask};
use puvae_training::defence::trivial::{Binarise, ClassMean, MedianFilter};
use puvae_training::defence::{Cleaned, Defence, purify_all};
use puvae_training::evaluate::adaptive::{self, Defended, Effort, Thorough};
use puvae_training::evaluate::checks;
use puvae_training::fit::Task as _;
use puvae_training::nn::params::Params;
use puvae_training::optim::Adam;
use puvae_training::progress;
use puvae_training::puvae::{Puvae, PuvaeConfig, Size};
use tch::{Device, Kind, Tensor};

use crate::common::{learn_squares, my_turn, squares};

const CLASSES: i64 = 4;

/// A classifier of the squares, trained for a few steps.
fn trained(adversarial: Option<AdversarialTraining>) -> Classifier {
    let config = ClassifierConfig { adversarial, ..ClassifierConfig::new(Architecture::E, 28, 1, CLASSES) };
    let classifier = Classifier::new(config, Params::new(3, Device::Cpu));
    learn_squares(&classifier, 12);
    classifier.params.freeze();
    classifier
}

#[test]
fn alpha_weighs_the_clean_pictures_and_the_rest_the_attacked_ones() {
    let _turn = my_turn();
    let data = squares(16, CLASSES, 2);
    let loss = |alpha: Option<f64>| {
        let adversarial = alpha.map(|alpha| AdversarialTraining { alpha, epsilon: 0.4, steps: 1 });
        let config = ClassifierConfig { adversarial, ..ClassifierConfig::new(Architecture::E, 28, 1, CLASSES) };
        let classifier = Classifier::new(config, Params::new(3, Device::Cpu));
        classifier.params.copy_from(&trained(None).params.all()).unwrap();
        tch::manual_seed(9);
        let task = ClassifierTask { classifier: &classifier, held_out: &data };
        task.loss(&data.all()).0.double_value(&[])
    };
    let (clean, attacked) = (loss(None), loss(Some(0.0)));
    assert!((loss(Some(1.0)) - clean).abs() < 1e-6, "α 1 is training without attacks");
    assert!(attacked > clean + 0.1, "an attack costs something: {attacked}, {clean}");
    assert!((loss(Some(0.2)) - (0.2 * clean + 0.8 * attacked)).abs() < 1e-5);
}

fn picture(values: [f32; 9]) -> Tensor {
    Tensor::from_slice(&values).reshape([1, 1, 3, 3])
}

#[test]
fn binarising_leaves_black_and_white_and_lets_the_gradient_through() {
    let x = picture([0.0, 0.2, 0.5, 0.51, 0.9, 1.0, 0.4, 0.6, 0.1]).set_requires_grad(true);
    let frames = Binarise.purify(&x).frames;
    let expected = picture([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
    assert!(frames.allclose(&expected, 0.0, 1e-6, false), "{frames}");
    let gradient = Tensor::run_backward(&[(frames * 3.0).sum(Kind::Float)], &[&x], false, false).remove(0);
    assert!(gradient.allclose(&(x.ones_like() * 3.0), 0.0, 1e-6, false));
}

#[test]
fn the_median_filter_removes_a_lone_bright_value() {
    let frames = MedianFilter.purify(&picture([0.1, 0.2, 0.3, 0.1, 1.0, 0.3, 0.1, 0.2, 0.3])).frames;
    assert!((frames.double_value(&[0, 0, 1, 1]) - 0.2).abs() < 1e-6, "{frames}");
    assert_eq!(frames.size(), [1, 1, 3, 3]);
}

#[test]
fn magnet_has_its_published_layers_and_learns() {
    let _turn = my_turn();
    let magnet = Magnet::new(MagnetConfig::published(28, 1), Params::new(1, Device::Cpu));
    let conv = |inputs: usize, outputs: usize| (9 * inputs + 1) * outputs;
    assert_eq!(magnet.params.count(), conv(1, 3) + 3 * conv(3, 3) + conv(3, 1));

    let data = squares(32, CLASSES, 1);
    let task = MagnetTask { magnet: &magnet, held_out: &data };
    let mut adam = Adam::new(&magnet.params);
    let losses: Vec<f64> = (0..200)
        .map(|_| {
            let (loss, _) = task.loss(&data.all());
            adam.step(&loss, 1e-2);
            loss.double_value(&[])
        })
        .collect();
    assert!(losses[199] < 0.8 * losses[0], "{losses:?}");

    let cleaned = purify_all(&magnet, &data.all().x, 1, &progress::hidden());
    assert_eq!(cleaned.frames.size(), [32, 1, 28, 28]);
    let by_hand = (data.all().x - &cleaned.frames).abs().flatten(1, -1).mean_dim(1, false, Kind::Float);
    assert!(cleaned.label.is_none() && cleaned.score.unwrap().allclose(&by_hand, 1e-5, 1e-7, false));
}

#[test]
fn magnet_for_colour_has_two_hidden_layers_and_keeps_the_size() {
    let config = MagnetConfig::published(32, 3);
    assert!((config.noise - 0.025).abs() < 1e-12);
    let magnet = Magnet::new(config, Params::new(1, Device::Cpu));
    let layer = (9 * 3 + 1) * 3;
    assert_eq!(magnet.params.count(), 3 * layer, "two hidden layers and the output's, each from 3 channels to 3");
    let cleaned = tch::no_grad(|| magnet.purify(&Tensor::zeros([2, 3, 32, 32], (Kind::Float, Device::Cpu))));
    assert_eq!((cleaned.frames.size(), cleaned.score.unwrap().size()), (vec![2, 3, 32, 32], vec![2]));
}

#[test]
fn magnets_detector_raises_the_error_to_its_exponent() {
    let config = MagnetConfig { exponent: 2.0, ..MagnetConfig::published(28, 1) };
    let magnet = Magnet::new(config, Params::new(1, Device::Cpu));
    let x = squares(3, CLASSES, 1).all().x;
    let cleaned = tch::no_grad(|| magnet.purify(&x));
    let by_hand = (x - &cleaned.frames).square().flatten(1, -1).mean_dim(1, false, Kind::Float);
    assert!(cleaned.score.unwrap().allclose(&by_hand, 1e-5, 1e-7, false));
}

#[test]
fn absurd_magnets_are_refused() {
    let refused = |config: MagnetConfig| config.check().unwrap_err().to_string();
    assert!(refused(MagnetConfig::published(27, 1)).contains("side_px is 27, expected an even number above 0"));
    assert!(MagnetConfig::published(27, 3).check().is_ok(), "colour pictures are not halved");
    assert!(refused(MagnetConfig::published(28, 2)).contains("channels is 2, expected 1 or 3"));
    let exponent = f64::INFINITY;
    assert!(refused(MagnetConfig { exponent, ..MagnetConfig::published(28, 1) }).contains("exponent is inf"));
}

#[test]
fn the_score_of_a_puvae_is_how_far_the_selected_picture_lies_from_the_frame_as_it_came() {
    let _turn = my_turn();
    for size in [Size::Lite, Size::Paper] {
        let puvae = Puvae::new(PuvaeConfig::preset(size, 28, 1, CLASSES), Params::new(1, Device::Cpu));
        let x = squares(3, CLASSES, 1).all().x;
        let cleaned = purify_all(&puvae, &x, 1, &progress::hidden());
        let score = cleaned.score.unwrap();
        for n in 0..3 {
            let squared = (x.get(n) - cleaned.frames.get(n)).square().sum(Kind::Double).double_value(&[]);
            assert!((score.double_value(&[n]) - (squared / 784.0).sqrt()).abs() < 1e-5, "{size:?} picture {n}");
        }
    }
}

#[test]
fn where_the_reference_is_the_frame_the_score_is_the_selected_distance() {
    let puvae = Puvae::new(PuvaeConfig::preset(Size::Paper, 28, 1, CLASSES), Params::new(1, Device::Cpu));
    let purified = tch::no_grad(|| puvae.purify(&squares(3, CLASSES, 1).all().x, &puvae.no_noise(3)));
    assert!(purified.score.allclose(&purified.distances.amin(1, false), 1e-6, 1e-7, false));
}

#[test]
fn the_class_mean_is_that_of_the_nearest_class() {
    let _turn = my_turn();
    let data = squares(24, CLASSES, 2);
    let batch = data.all();
    let defence = ClassMean::of(&data, CLASSES);
    let cleaned = defence.purify(&batch.x);
    assert!(cleaned.label.unwrap().equal(&batch.y), "each square is nearest to the mean of its own class");
    for class in 0..CLASSES {
        let of_class = batch.y.eq(class).nonzero().squeeze_dim(1);
        let mean = batch.x.index_select(0, &of_class).mean_dim([0].as_slice(), false, Kind::Float);
        assert!(cleaned.frames.get(class).allclose(&mean, 1e-5, 1e-6, false), "class {class}");
    }
    let classifier = trained(None);
    let victim = Defended { defence: Some(&defence), classifier: &classifier };
    let outcome = adaptive::run(victim, "class-mean", &data, 1, effort(0.5), &[]).unwrap();
    assert!(outcome.clean > 90.0 && outcome.worst < 10.0, "{outcome:?}");
}

fn effort(epsilon: f64) -> Effort {
    Effort { epsilon, alpha: epsilon / 4.0, steps: 8, restarts: 2, thorough: None }
}

#[test]
fn an_attacker_who_knows_breaks_what_has_no_defence_and_spares_what_he_may_not_touch() {
    let _turn = my_turn();
    let classifier = trained(None);
    let data = squares(24, CLASSES, 2);
    let victim = Defended { defence: None, classifier: &classifier };
    let broken = adaptive::run(victim, "undefended", &data, 1, effort(0.6), &[]).unwrap();
    assert!(broken.clean > 90.0 && broken.worst < 10.0, "{broken:?}");
    assert!(broken.rows.iter().all(|row| row.accuracy >= broken.worst), "{broken:?}");
    let spared = adaptive::run(victim, "undefended", &data, 1, effort(1e-6), &[]).unwrap();
    assert!((spared.worst - spared.clean).abs() < 1e-9, "{spared:?}");
}

#[test]
fn the_attacker_who_knows_a_purifier_goes_for_its_selection() {
    let _turn = my_turn();
    let classifier = trained(None);
    let puvae = Puvae::new(PuvaeConfig::preset(Size::Lite, 28, 1, CLASSES), Params::new(1, Device::Cpu));
    puvae.params.freeze();
    let victim = Defended { defence: Some(&puvae), classifier: &classifier };
    let outcome = adaptive::run(victim, "lite", &squares(8, CLASSES, 2), 1, effort(0.3), &[]).unwrap();
    let names: Vec<&str> = outcome.rows.iter().map(|row| row.attack.as_str()).collect();
    assert_eq!(
        names,
        [
            "cross-entropy untargeted",
            "cross-entropy targeted",
            "selector-margin untargeted",
            "selector-margin targeted"
        ]
    );
}

/// The mean picture of each class, `[K, C, H, W]`.
fn class_means(data: &Split) -> Tensor {
    let batch = data.all();
    let means = (0..CLASSES).map(|class| {
        let of_class = batch.y.eq(class).nonzero().squeeze_dim(1);
        batch.x.index_select(0, &of_class).mean_dim([0].as_slice(), false, Kind::Float)
    });
    Tensor::stack(&means.collect::<Vec<_>>(), 0)
}

/// Puts the prototype nearest to the picture in its place: the frames have no gradient, the selection has the exact one.
struct Prototypes(Tensor); // [K, C, H, W]

impl Defence for Prototypes {
    fn name(&self) -> String {
        "prototypes".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        let label = self.selection(x).expect("it selects").argmax(1, false);
        // The zero only joins the frames to the picture's graph.
        Cleaned { frames: self.0.index_select(0, &label) + x * 0.0, label: Some(label), score: None }
    }

    fn selection(&self, x: &Tensor) -> Option<Tensor> {
        let difference = x.unsqueeze(1) - &self.0; // [N, K, C, H, W]
        Some(-difference.square().flatten(2, -1).sum_dim_intlist(2, false, Kind::Float))
    }
}

/// Selects by how bright the picture is, and shows the prototype of the class.
struct ByBrightness {
    prototypes: Prototypes,
    scores: Scores,
}

/// Scores of the classes by the mean brightness `[N, 1]`.
type Scores = fn(&Tensor) -> [Tensor; CLASSES as usize];

impl Defence for ByBrightness {
    fn name(&self) -> String {
        "by-brightness".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        let label = self.selection(x).expect("it selects").argmax(1, false);
        Cleaned { frames: self.prototypes.0.index_select(0, &label) + x * 0.0, label: Some(label), score: None }
    }

    fn selection(&self, x: &Tensor) -> Option<Tensor> {
        let brightness = x.flatten(1, -1).mean_dim(1, true, Kind::Float);
        Some(Tensor::cat(&(self.scores)(&brightness), 1))
    }
}

/// What attacks leave of a selection by brightness, of eight dark pictures of class 0; and the share that was drawn to become class 2.
fn left_of(scores: Scores, effort: Effort) -> (adaptive::Outcome, f64) {
    let classifier = trained(None);
    let defence = ByBrightness { prototypes: Prototypes(class_means(&squares(24, CLASSES, 2))), scores };
    let dark = Tensor::full([8, 1, 28, 28], 51, (Kind::Uint8, Device::Cpu));
    let y = Tensor::zeros([8], (Kind::Int64, Device::Cpu));
    let drawn = draw_targets(&y, CLASSES, 1).eq(2).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    assert!(drawn > 0.0 && drawn < 1.0, "{drawn}");
    let victim = Defended { defence: Some(&defence), classifier: &classifier };
    let outcome = adaptive::run(victim, "by-brightness", &Split::new(dark, y), 1, effort, &[]).unwrap();
    assert!(outcome.clean > 99.0, "{outcome:?}");
    (outcome, 100.0 * drawn)
}

/// On the way to white pictures, where every wrong class but 2 comes nearest and none is reached, lie some that are class 2.
#[test]
fn a_thorough_attacker_tries_what_was_wrong_on_the_way() {
    let _turn = my_turn();
    let scores = |brightness: &Tensor| {
        let towards_white = brightness - 1.1;
        let corridor: Tensor = 0.02 - (brightness - 0.45).abs() * 0.2;
        [brightness * 0.0, towards_white.shallow_clone(), corridor, towards_white]
    };
    let of = |thorough| left_of(scores, Effort { alpha: 0.05, steps: 16, restarts: 1, thorough, ..effort(0.6) });
    let targeted = |outcome: &adaptive::Outcome| {
        let row = outcome.rows.iter().find(|row| row.attack == "selector-margin targeted");
        row.expect("it is always tried").accuracy
    };
    let (outcome, drawn) = of(None);
    assert_eq!(targeted(&outcome), 100.0 - drawn, "{outcome:?}");
    assert_eq!(targeted(&of(Some(Thorough { queries: 1 })).0), 0.0);
}

/// The nearest wrong class is one that is never reached, in the other direction.
#[test]
fn what_stands_but_for_one_wrong_class_falls_to_every_class_in_turn() {
    let _turn = my_turn();
    let scores = |brightness: &Tensor| {
        let decoy: Tensor = brightness * -0.1 - 0.05;
        [brightness * 0.0, decoy.shallow_clone(), (brightness - 0.6) * 20.0, decoy]
    };
    let (outcome, drawn) = left_of(scores, Effort { thorough: Some(Thorough { queries: 1 }), ..effort(0.6) });
    let [through, _, at_selection, towards_a_class, every_class, ..] = &outcome.rows[..] else { panic!("{outcome:?}") };
    assert_eq!([through.accuracy, at_selection.accuracy], [100.0; 2], "{outcome:?}");
    assert_eq!([towards_a_class.accuracy, every_class.accuracy], [100.0 - drawn, 0.0], "{outcome:?}");
}

#[test]
fn a_selection_falls_to_the_attack_at_it_and_to_no_gradient_through_the_chosen_picture() {
    let _turn = my_turn();
    let classifier = trained(None);
    let data = squares(24, CLASSES, 2);
    let defence = Prototypes(class_means(&data));
    let victim = Defended { defence: Some(&defence), classifier: &classifier };
    let outcome = adaptive::run(victim, "prototypes", &data, 1, effort(0.5), &[]).unwrap();
    let [through, _, at_selection, towards_a_class] = &outcome.rows[..] else { panic!("{outcome:?}") };
    assert!(outcome.clean > 90.0, "{outcome:?}");
    assert!(through.zero_gradient > 99.0 && through.accuracy > 80.0, "{outcome:?}");
    assert!(at_selection.accuracy < 10.0 && towards_a_class.accuracy < 50.0, "{outcome:?}");
    assert!(outcome.worst <= at_selection.accuracy, "{outcome:?}");
}

#[test]
fn a_class_without_pictures_is_never_the_nearest() {
    let _turn = my_turn();
    let data = squares(24, CLASSES, 2);
    let defence = ClassMean::of(&data, CLASSES + 1);
    let black = Tensor::zeros([1, 1, 28, 28], (Kind::Float, Device::Cpu));
    assert!(defence.purify(&black).label.unwrap().int64_value(&[0]) < CLASSES);
    assert!(defence.selection(&black).unwrap().isfinite().all().int64_value(&[]) == 1);
}

/// The classifier reads each picture as the class before the one that it is selected as, and the attacker goes by what is read.
#[test]
fn a_selection_among_pictures_that_are_read_as_other_classes_falls_too() {
    let _turn = my_turn();
    let classifier = trained(None);
    let data = squares(24, CLASSES, 2);
    let bytes = (data.all().x * 255.0).round().to_kind(Kind::Uint8);
    let next_class = (data.labels() + 1).remainder(CLASSES);
    let defence = ClassMean::of(&Split::new(bytes, next_class), CLASSES);
    let victim = Defended { defence: Some(&defence), classifier: &classifier };
    let outcome = adaptive::run(victim, "class-mean", &data, 1, effort(0.5), &[]).unwrap();
    assert!(outcome.clean > 90.0 && outcome.worst < 10.0 && outcome.unbounded < 10.0, "{outcome:?}");
    let [.., at_selection, _] = &outcome.rows[..] else { panic!("{outcome:?}") };
    assert!(at_selection.accuracy < 10.0, "{outcome:?}");
}

/// A defence whose gradient leads nowhere.
struct Masking;

impl Defence for Masking {
    fn name(&self) -> String {
        "masking".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        Cleaned { frames: (x * 2.0).round() / 2.0, label: None, score: None }
    }
}

#[test]
fn a_masked_gradient_shows_in_the_figures() {
    let _turn = my_turn();
    let classifier = trained(None);
    let victim = Defended { defence: Some(&Masking), classifier: &classifier };
    let outcome = adaptive::run(victim, "masking", &squares(8, CLASSES, 2), 1, effort(0.3), &[]).unwrap();
    assert!(outcome.rows.iter().all(|row| row.zero_gradient > 99.0), "{outcome:?}");
    assert!(outcome.unbounded > 50.0, "without a gradient he loses his way even without a bound: {outcome:?}");
    let signs = checks::of_outcome("masking", &outcome, &[]).join("\n");
    assert!(signs.contains("masking: an attack without a bound still leaves"), "{signs}");
}

/// Makes every picture the one that it holds, or an even one as bright as its class where it is asked for a class, and keeps those that
/// it was shown, with whether their gradient was asked for.
struct Recorder {
    picture: Tensor,
    shown: Mutex<Vec<(Tensor, bool)>>,
}

impl Recorder {
    fn of(data: &Split) -> Self {
        Self { picture: data.all().x, shown: Mutex::default() }
    }

    /// How far from the picture that one lies.
    fn far(&self, shown: &Tensor) -> f64 {
        (shown - &self.picture).abs().max().double_value(&[])
    }
}

impl Defence for Recorder {
    fn name(&self) -> String {
        "recorder".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        self.shown.lock().unwrap().push((x.detach().copy(), x.requires_grad()));
        // Always the same picture, with the gradient of the identity.
        Cleaned { frames: &self.picture + (x - x.detach()), label: None, score: None }
    }

    fn candidate(&self, x: &Tensor, class: &Tensor) -> Option<Tensor> {
        Some(x * 0.0 + class.reshape([-1, 1, 1, 1]) / CLASSES)
    }
}

#[test]
fn every_start_of_every_attack_is_another_random_point() {
    let _turn = my_turn();
    let classifier = trained(None);
    let data = squares(1, CLASSES, 2);
    let recorder = Recorder::of(&data);
    let victim = Defended { defence: Some(&recorder), classifier: &classifier };
    let one_step = Effort { steps: 1, restarts: 3, ..effort(0.3) };
    for seed in [1, 2] {
        adaptive::run(victim, "recorder", &data, seed, one_step, &[]).unwrap();
    }
    let shown = recorder.shown.lock().unwrap();
    let starts: Vec<&Tensor> = shown.iter().filter(|(_, asked)| *asked).map(|(shown, _)| shown).collect();
    // Twice four attacks from three starts, and one without a bound.
    assert_eq!(starts.len(), 2 * (4 * 3 + 1));
    for (index, start) in starts.iter().enumerate() {
        assert!(starts[..index].iter().all(|before| before != start), "start {index} is an earlier one");
        let far = recorder.far(start);
        let bound = if index % 13 == 12 { 1.0 } else { 0.3 };
        assert!(far <= bound + 1e-6 && far > bound * 0.9, "start {index}: {far}");
    }
}

#[test]
fn a_thorough_attacker_also_starts_at_the_picture_and_towards_what_the_defence_makes_of_it() {
    let _turn = my_turn();
    let classifier = trained(None);
    let data = squares(1, CLASSES, 2);
    let recorder = Recorder::of(&data);
    let victim = Defended { defence: Some(&recorder), classifier: &classifier };
    let one_step = Effort { steps: 1, restarts: 1, thorough: Some(Thorough { queries: 1 }), ..effort(0.3) };
    adaptive::run(victim, "recorder", &data, 1, one_step, &[]).unwrap();
    let shown = recorder.shown.lock().unwrap();
    let times = |point: &Tensor| {
        let at_it = shown.iter().filter(|(shown, asked)| *asked && shown.allclose(point, 0.0, 1e-6, false));
        at_it.count()
    };
    let x = data.all().x;
    let others = CLASSES as usize - 1;
    assert_eq!(times(&x), 2 * others, "for each wrong class, in steps of a fixed length and in such as adapt");
    for class in 1..CLASSES {
        let candidate = x.full_like(class as f64 / CLASSES as f64);
        assert_eq!(times(&clip(&candidate, &x, 0.3)), 2, "class {class}");
    }
}

#[test]
fn no_attack_leaves_its_ball_however_large_its_steps() {
    let _turn = my_turn();
    let classifier = trained(None);
    let data = squares(1, CLASSES, 2);
    let recorder = Recorder::of(&data);
    let victim = Defended { defence: Some(&recorder), classifier: &classifier };
    let bare = Defended { defence: None, classifier: &classifier };
    let effort = Effort { alpha: 0.5, steps: 3, thorough: Some(Thorough { queries: 40 }), ..effort(0.2) };
    adaptive::run(victim, "recorder", &data, 1, effort, &[("undefended", bare)]).unwrap();
    let far: Vec<f64> = recorder.shown.lock().unwrap().iter().map(|(shown, _)| recorder.far(shown)).collect();
    // The last attack is the one without a bound: its steps, its end, its best point and the most wrong one.
    let (within, beyond) = far.split_at(far.len() - (3 + 3));
    assert!(within.len() > 100 && within.iter().all(|&far| far <= 0.2 + 1e-6), "{within:?}");
    assert!(beyond.iter().all(|&far| far > 0.5), "{beyond:?}");
}

/// Selects a class by lot, and keeps its draws.
struct Lottery(Mutex<Vec<f64>>);

impl Defence for Lottery {
    fn name(&self) -> String {
        "lottery".into()
    }

    fn purify(&self, x: &Tensor) -> Cleaned {
        Cleaned { frames: x.shallow_clone(), label: None, score: None }
    }

    fn selection(&self, x: &Tensor) -> Option<Tensor> {
        let draw = Tensor::rand([1, CLASSES], (Kind::Float, Device::Cpu));
        self.0.lock().unwrap().push(draw.double_value(&[0, 0]));
        Some(x.flatten(1, -1).mean_dim(1, true, Kind::Float) * 0.0 + draw)
    }
}

#[test]
fn a_search_compares_pictures_under_the_same_draw_of_the_defence() {
    let _turn = my_turn();
    let classifier = trained(None);
    let lottery = Lottery(Mutex::default());
    let victim = Defended { defence: Some(&lottery), classifier: &classifier };
    let effort = Effort { thorough: Some(Thorough { queries: 60 }), ..effort(1e-6) };
    adaptive::run(victim, "lottery", &squares(2, CLASSES, 2), 1, effort, &[]).unwrap();
    let draws = lottery.0.into_inner().unwrap();
    let times = |draw: &f64| draws.iter().filter(|other| *other == draw).count();
    assert_eq!(draws.iter().map(times).max(), Some(60), "each query under the draw of the others");
    let once = draws.iter().filter(|draw| times(draw) == 1).count();
    assert!(once > 100, "a descent in fixed steps follows another draw at each: {once}");
    let evaluations = effort.steps as usize + 1;
    assert!(draws.iter().any(|draw| times(draw) == evaluations), "one whose steps adapt keeps its draw");
}

#[test]
fn a_thorough_attacker_goes_on_with_what_the_others_left() {
    let _turn = my_turn();
    let classifier = trained(None);
    let data = squares(12, CLASSES, 2);
    let masked = Defended { defence: Some(&Masking), classifier: &classifier };
    let bare = Defended { defence: None, classifier: &classifier };
    let neighbours = [("masking", masked), ("undefended", bare)];
    let thorough = |queries| Effort { thorough: Some(Thorough { queries }), ..effort(0.6) };

    let outcome = adaptive::run(masked, "masking", &data, 1, thorough(200), &neighbours).unwrap();
    let names: Vec<&str> = outcome.rows.iter().skip(4).map(|row| row.attack.as_str()).collect();
    let [adapting, made_on, search] =
        ["then the same by Auto-PGD", "then made on undefended", "then a search without gradients"];
    assert_eq!(names, ["then every class in turn", adapting, made_on, search]);
    let rounds: Vec<usize> = outcome.rows.iter().map(|row| row.after_rounds.len()).collect();
    assert_eq!(rounds, [2, 2, 2, 2, 4, 4, 2, 0], "random starts; before them, twice, the picture and a candidate");
    let left: Vec<f64> = outcome.rows.iter().skip(4).map(|row| row.accuracy).collect();
    assert!(left.is_sorted_by(|before, after| before >= after) && left[3] == outcome.worst, "{outcome:?}");
    assert!(left[2] < left[1], "the undefended classifier has the gradients that the mask hides: {outcome:?}");

    let alone = adaptive::run(masked, "masking", &data, 1, thorough(200), &[]).unwrap();
    let [.., gradients, search] = &alone.rows[..] else { panic!("{alone:?}") };
    assert!(search.accuracy < gradients.accuracy - 5.0, "{alone:?}");
    let signs = checks::of_outcome("masking", &alone, &[]).join("\n");
    assert!(signs.contains("masking: a search without gradients breaks a further"), "{signs}");

    // Fixed steps that lead nowhere leave it to Auto-PGD, which chooses its own.
    let standing = Effort { alpha: 1e-6, ..thorough(1) };
    let outcome = adaptive::run(bare, "bare", &data, 1, Effort { epsilon: 0.3, ..standing }, &[]).unwrap();
    let [.., every_class, adapting, _search] = &outcome.rows[..] else { panic!("{outcome:?}") };
    assert!(adapting.accuracy < every_class.accuracy - 20.0, "{outcome:?}");

    let error = adaptive::run(masked, "masking", &data, 1, thorough(0), &[]).unwrap_err().to_string();
    assert!(error.contains("--adaptive-queries is 0, expected at least 1"), "{error}");
}

#[test]
fn the_candidate_of_a_class_is_what_the_purifier_makes_of_a_picture_of_that_class() {
    let _turn = my_turn();
    let config = PuvaeConfig { sigma_eps: 0.0, ..PuvaeConfig::preset(Size::Lite, 28, 1, CLASSES) };
    let puvae = Puvae::new(config, Params::new(1, Device::Cpu));
    let x = squares(6, CLASSES, 1).all().x;
    let cleaned = tch::no_grad(|| Defence::purify(&puvae, &x));
    let candidate = puvae.candidate(&x, cleaned.label.as_ref().unwrap()).unwrap();
    assert!(candidate.allclose(&cleaned.frames, 1e-5, 1e-6, false));
}

#[test]
fn absurd_efforts_are_refused() {
    let _turn = my_turn();
    let classifier = trained(None);
    let victim = Defended { defence: None, classifier: &classifier };
    let refused = |effort| adaptive::run(victim, "x", &squares(4, CLASSES, 2), 1, effort, &[]).unwrap_err().to_string();
    assert!(refused(Effort { steps: 0, ..effort(0.3) }).contains("--adaptive-steps is 0"));
    assert!(refused(effort(0.0)).contains("--adaptive-epsilon is 0"));
}

#[test]
fn adversarial_training_leaves_more_to_the_attacker_who_knows() {
    let _turn = my_turn();
    let data = squares(40, CLASSES, 2);
    let left = |adversarial| {
        let classifier = trained(adversarial);
        let victim = Defended { defence: None, classifier: &classifier };
        adaptive::run(victim, "it", &data, 1, effort(0.25), &[]).unwrap().worst
    };
    let plain = left(None);
    for steps in [1, 3] {
        let hardened = left(Some(AdversarialTraining { alpha: 0.5, epsilon: 0.25, steps }));
        assert!(hardened > plain, "{hardened} after adversarial training with {steps} steps, {plain} without");
    }
}

#[test]
fn absurd_adversarial_training_is_refused() {
    let sound = AdversarialTraining { alpha: 0.5, epsilon: 0.3, steps: 1 };
    let refused = |training: AdversarialTraining| training.check().unwrap_err().to_string();
    assert!(
        refused(AdversarialTraining { alpha: 1.5, ..sound }).contains("--adversarial-alpha is 1.5, expected 0 to 1")
    );
    let text = refused(AdversarialTraining { epsilon: -1.0, ..sound });
    assert!(text.contains("--adversarial-epsilon is -1, expected more than 0 and at most 1"), "{text}");
    assert!(refused(AdversarialTraining { steps: 0, ..sound }).contains("--adversarial-steps is 0"));
}
