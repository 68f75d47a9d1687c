//! Signs that an evaluation is broken (Carlini et al., "On Evaluating Adversarial Robustness", 2019).

use std::collections::BTreeMap;

use serde_json::Value;

use super::adaptive::{MADE_ON, Outcome, OutcomeRow, SQUARE};
use super::interval::clearly_above;
use super::{BLACK_BOX, CLEAN, NOISE, Row, UNDEFENDED};
use crate::attack::Attack;
use crate::runs;

/// Share of zero gradients, and accuracy under an attack without a bound, above which an attack is not believed, in percent.
const TOO_MANY: f64 = 5.0;
/// Share of the images that the last of several starts may break, in percent, before more of them are called for; one of a hundred may.
const LAST_START: f64 = 1.01;

/// Purifiers that learned from the very target they are to defend, whose attacks they then know. `target` and `defences` are headers
/// of checkpoints.
#[must_use]
pub fn of_sources(target: &Value, defences: &BTreeMap<String, Value>) -> Vec<String> {
    let recipe = &target["config"];
    let own =
        [&recipe["network"]["architecture"], &recipe["network"]["adversarial"], &recipe["schedule"], &target["seed"]];
    // However many epochs it had done when it was the source.
    let is_target = |source: &Value| {
        let network = &source["config"];
        [&network["architecture"], &network["adversarial"], &source["schedule"], &source["seed"]] == own
    };
    let guilty = defences.iter().filter(|(_, about)| runs::sources(about).into_iter().any(is_target));
    let text = guilty.map(|(name, _)| format!("{name} learned from the target itself, whose attacks it has seen"));
    text.collect()
}

/// Signs in the rows of an evaluation, looked for on the undefended classifier, which is what the attacker sees. Targeted
/// and untargeted attacks are compared among themselves.
#[must_use]
pub fn of_rows(rows: &[Row]) -> Vec<String> {
    let mut found = Vec::new();
    for prefix in ["", "untargeted-"] {
        found.extend(of_steps(rows, prefix));
    }
    found.extend(of_substitute(rows));
    found.extend(of_leaks(rows));
    let noise = rows.iter().find(|row| row.attack == NOISE);
    for row in rows {
        let Some(attack) = row.parameters else { continue };
        // What was made on a substitute may well lose its direction on the way; `of_transfer` tells.
        let as_large = attack.epsilon().is_some() && !row.attack.starts_with(BLACK_BOX);
        if as_large && noise.is_some_and(|noise| noise.undefended <= row.undefended) {
            found.push(format!("uniform noise within the same ε does as much as {}", row.attack));
        }
        if let Some(zero) = row.zero_gradient.filter(|&zero| zero > TOO_MANY) {
            found.push(format!("{}: the gradient is exactly zero for {zero:.1} % of the images", row.attack));
        }
    }
    found
}

/// A defence that reads attacked pictures better than clean ones reads the attack: its direction gives the class away (label leaking;
/// Kurakin et al., "Adversarial Machine Learning at Scale", 2017).
fn of_leaks(rows: &[Row]) -> Vec<String> {
    let clean = rows.iter().find(|row| row.attack == CLEAN);
    let attacks = clean.into_iter().flat_map(|clean| rows.iter().map(move |row| (clean, row)));
    let attacks = attacks.filter(|(_, row)| row.parameters.is_some());
    let leaks = attacks.flat_map(|(clean, row)| {
        row.defended.iter().filter_map(move |(name, cell)| {
            let before = accuracy_behind(clean, name)?;
            clearly_above((cell.accuracy, row.n), (before, clean.n)).then(|| {
                format!(
                    "{name}: {} leaves {:.2} % of {}, clean pictures {before:.2} % of {}: the perturbation gives the class away",
                    row.attack, cell.accuracy, row.n, clean.n
                )
            })
        })
    });
    leaks.collect()
}

/// Whoever sees the target's gradients can do no less than one who sees a substitute's.
fn of_substitute(rows: &[Row]) -> Vec<String> {
    let pairs = rows.iter().filter_map(|black| {
        let name = black.attack.strip_prefix(BLACK_BOX)?;
        Some((black, rows.iter().find(|white| white.attack == name)?))
    });
    let beaten = pairs.filter(|(black, white)| black.undefended < white.undefended);
    let text = beaten.map(|(black, white)| {
        format!(
            "{} leaves {:.2} %, {} itself {:.2} %: a black-box attack should not beat the white-box one",
            black.attack, black.undefended, white.attack, white.undefended
        )
    });
    text.collect()
}

/// An attack of one step against those of many, and fewer steps or starts against more.
fn of_steps(rows: &[Row], prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    let fgsm = rows.iter().find(|row| row.attack == format!("{prefix}fgsm"));
    for kind in ["ifgsm-", "pgd-"] {
        let length = |row: &Row| match row.parameters {
            Some(Attack::IFgsm { steps, .. }) => (steps, 1),
            Some(Attack::Pgd { steps, restarts, .. }) => (steps, restarts),
            _ => (0, 0),
        };
        let mut iterated: Vec<&Row> =
            rows.iter().filter(|row| row.attack.starts_with(&format!("{prefix}{kind}"))).collect();
        iterated.sort_by_key(|row| length(row));
        let does_less =
            |strong: &Row, weak: &Row| clearly_above((strong.undefended, strong.n), (weak.undefended, weak.n));
        let figures = |row: &Row| format!("{} leaves {:.2} % of {}", row.attack, row.undefended, row.n);
        if let (Some(one), Some(many)) = (fgsm, iterated.last())
            && does_less(many, one)
        {
            found.push(format!("{}, {}: a single step should not be the stronger attack", figures(one), figures(many)));
        }
        for pair in iterated.windows(2) {
            let [few, many] = pair else { continue };
            if length(many).1 >= length(few).1 && does_less(many, few) {
                found.push(format!("{}, {}: more steps do not help the attacker", figures(few), figures(many)));
            }
        }
    }
    found
}

/// Signs in the evaluation of the attack that knows the defence `name`.
#[must_use]
pub fn of_outcome(name: &str, outcome: &Outcome, rows: &[Row]) -> Vec<String> {
    let mut found = Vec::new();
    if outcome.unbounded > TOO_MANY {
        found.push(format!(
            "{name}: an attack without a bound still leaves {:.1} %: it does not find its way, and the figures above it flatter",
            outcome.unbounded
        ));
    }
    for pair in outcome.rows.windows(2).filter(|pair| pair[1].attack == SQUARE) {
        let further = pair[0].accuracy - pair[1].accuracy;
        if further > TOO_MANY {
            found.push(format!(
                "{name}: a search without gradients breaks a further {further:.1} % of the images: the gradients do not lead all the way"
            ));
        }
    }
    // A thorough attacker goes on with what his first attacks left.
    let went_on = outcome.rows.iter().any(OutcomeRow::came_after_others);
    for (index, row) in outcome.rows.iter().enumerate().filter(|(_, row)| row.came_after_others() == went_on) {
        // What an attack left that was tried on what the one before it left is less by what its first start broke.
        let before_it = index.checked_sub(1).map(|index| &outcome.rows[index]).filter(|row| row.came_after_others());
        let left: Vec<f64> = before_it.map(|row| row.accuracy).into_iter().chain(row.after_rounds.clone()).collect();
        // Nothing is less than nothing: where all is broken, no attack need do more.
        if let [.., before, last] = left[..]
            && !row.after_rounds.is_empty()
            && outcome.worst > 0.0
            && before - last > LAST_START
        {
            found.push(format!(
                "{name}, {}: the last of {} starts still breaks {:.1} % of the images: more would leave less",
                row.attack,
                row.after_rounds.len(),
                before - last
            ));
        }
    }
    // Pictures that were made on another defence follow that one's gradient.
    let own = outcome.rows.iter().filter(|row| !row.attack.starts_with(MADE_ON));
    for row in own.filter(|row| row.zero_gradient > TOO_MANY) {
        found.push(format!(
            "{name}, {}: the gradient is exactly zero for {:.1} % of the images",
            row.attack, row.zero_gradient
        ));
    }
    for row in rows.iter().filter(|row| {
        row.parameters.and_then(|attack| attack.epsilon()).is_some_and(|blind| blind <= outcome.effort.epsilon)
    }) {
        if let Some(left) =
            accuracy_behind(row, name).filter(|&left| clearly_above((outcome.worst, outcome.n), (left, row.n)))
        {
            found.push(format!(
                "{name}: {}, which does not know it, leaves {left:.2} % of {}, the attack that knows it {:.2} % of {}: the stronger attacker should do more",
                row.attack, row.n, outcome.worst, outcome.n
            ));
        }
    }
    found
}

/// What would be a sign, were it of the network that the attacks were made on: behind each defence noise or a single step that does more
/// than the stronger attack, or a black-box attack more than a white-box one; and the same of black-box attacks on the undefended target.
#[must_use]
pub fn of_transfer(rows: &[Row]) -> Vec<String> {
    let mut names: Vec<&str> = rows.iter().flat_map(|row| row.defended.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let mut found = Vec::new();
    for name in std::iter::once(UNDEFENDED).chain(names) {
        let beats = |weak: &Row, strong: &Row| {
            let both_carried = weak.attack.starts_with(BLACK_BOX) && strong.attack.starts_with(BLACK_BOX);
            let (Some(left), Some(less)) = (accuracy_behind(strong, name), accuracy_behind(weak, name)) else {
                return false;
            };
            (both_carried || name != UNDEFENDED) && clearly_above((left, strong.n), (less, weak.n))
        };
        let phrases = rows.iter().filter_map(|weak| {
            let beaten = rows.iter().filter(|strong| is_weaker(&weak.attack, &strong.attack) && beats(weak, strong));
            let beaten: Vec<&str> = beaten.map(|strong| strong.attack.as_str()).collect();
            (!beaten.is_empty()).then(|| format!("{} does more than {}", weak.attack, beaten.join(" and ")))
        });
        let phrases: Vec<String> = phrases.collect();
        if !phrases.is_empty() {
            let behind = if name == UNDEFENDED { "undefended".to_owned() } else { format!("behind {name}") };
            found.push(format!("{behind} {}", phrases.join(", ")));
        }
    }
    found
}

/// The accuracy of a row behind a defence, or of the target as it is.
pub(crate) fn accuracy_behind(row: &Row, name: &str) -> Option<f64> {
    if name == UNDEFENDED { Some(row.undefended) } else { row.defended.get(name).map(|cell| cell.accuracy) }
}

/// Whether the attack `weak` should do no more than `strong`: noise of its size, one step of many, and its black-box form.
fn is_weaker(weak: &str, strong: &str) -> bool {
    let (black_box, plain) = strong.strip_prefix(BLACK_BOX).map_or(("", strong), |plain| (BLACK_BOX, plain));
    let (aim, plain) = plain.strip_prefix("untargeted-").map_or(("", plain), |plain| ("untargeted-", plain));
    let iterative = plain.starts_with("ifgsm-") || plain.starts_with("pgd-");
    (weak == NOISE && (iterative || plain == "fgsm"))
        || (iterative && weak == format!("{black_box}{aim}fgsm"))
        || (black_box.is_empty() && weak.strip_prefix(BLACK_BOX) == Some(strong))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Cell;
    use super::super::adaptive::{ATTACKER, Effort};
    use super::*;

    fn row(attack: &str, parameters: Option<Attack>, undefended: f64) -> Row {
        let cell = Cell { accuracy: undefended, y_star: None, rejected: None, accuracy_of_accepted: None };
        Row {
            attack: attack.into(),
            parameters,
            n: 1000,
            attack_success: None,
            zero_gradient: parameters.map(|_| 0.0),
            mean_l2: 0.0,
            mean_linf: 0.0,
            undefended,
            defended: BTreeMap::from([("d".to_owned(), cell)]),
            seconds: 0.0,
        }
    }

    fn rows(noise: f64, fgsm: f64, ten: f64, forty: f64) -> Vec<Row> {
        let iterative = |steps| Some(Attack::IFgsm { epsilon: 0.3, alpha: 0.03, steps });
        vec![
            row("clean", None, 92.0),
            row(NOISE, None, noise),
            row("fgsm", Some(Attack::Fgsm { epsilon: 0.3 }), fgsm),
            row("ifgsm-10", iterative(10), ten),
            row("ifgsm-40", iterative(40), forty),
        ]
    }

    fn attacked(attack: &str, accuracy: f64, zero_gradient: f64) -> OutcomeRow {
        OutcomeRow { attack: attack.into(), accuracy, zero_gradient, after_rounds: vec![accuracy + 1.0, accuracy] }
    }

    fn outcome(worst: f64, unbounded: f64, zero_gradient: f64) -> Outcome {
        let effort = Effort { epsilon: 0.3, alpha: 0.03, steps: 40, restarts: 5, thorough: None };
        let rows = vec![attacked("selector-margin untargeted", worst, zero_gradient)];
        Outcome { attacker: ATTACKER, effort, n: 100, clean: 90.0, rows, worst, unbounded, seconds: 0.0 }
    }

    #[test]
    fn a_sound_evaluation_has_no_warnings() {
        let mut rows = rows(60.0, 12.0, 3.0, 0.0);
        rows.push(row("black-box-fgsm", Some(Attack::Fgsm { epsilon: 0.3 }), 30.0));
        assert_eq!(of_rows(&rows), [""; 0]);
        assert_eq!(of_outcome("d", &outcome(0.0, 0.0, 0.0), &rows), [""; 0]);
    }

    #[test]
    fn each_sign_of_a_broken_evaluation_is_named() {
        let text = |rows: &[Row]| of_rows(rows).join("\n");
        assert!(
            text(&rows(60.0, 2.0, 6.0, 5.0))
                .contains("fgsm leaves 2.00 % of 1000, ifgsm-40 leaves 5.00 % of 1000: a single step")
        );
        assert_eq!(text(&rows(60.0, 2.0, 2.1, 2.2)), "", "other images may turn it round");
        assert!(
            text(&rows(60.0, 12.0, 3.0, 5.0))
                .contains("ifgsm-10 leaves 3.00 % of 1000, ifgsm-40 leaves 5.00 % of 1000: more steps")
        );
        assert!(text(&rows(11.0, 12.0, 3.0, 0.0)).contains("uniform noise within the same ε does as much as fgsm"));
        let mut with_pgd = rows(60.0, 12.0, 3.0, 0.0);
        let pgd = Attack::Pgd { epsilon: 0.3, alpha: 0.03, steps: 40, restarts: 5 };
        with_pgd.push(row("pgd-40x5", Some(pgd), 40.0));
        assert!(text(&with_pgd).contains("fgsm leaves 12.00 % of 1000, pgd-40x5 leaves 40.00 % of 1000"));
        with_pgd.push(row("pgd-100x5", Some(Attack::Pgd { epsilon: 0.3, alpha: 0.03, steps: 100, restarts: 5 }), 50.0));
        assert!(
            text(&with_pgd).contains("pgd-40x5 leaves 40.00 % of 1000, pgd-100x5 leaves 50.00 % of 1000: more steps")
        );
        let mut black_box = rows(60.0, 12.0, 3.0, 0.0);
        black_box.push(row("black-box-fgsm", Some(Attack::Fgsm { epsilon: 0.3 }), 11.0));
        assert!(text(&black_box).contains(
            "black-box-fgsm leaves 11.00 %, fgsm itself 12.00 %: a black-box attack should not beat the white-box one"
        ));
        let mut leaking = rows(60.0, 12.0, 3.0, 0.0);
        leaking[2].defended.get_mut("d").unwrap().accuracy = 96.0;
        assert!(text(&leaking).contains(
            "d: fgsm leaves 96.00 % of 1000, clean pictures 92.00 % of 1000: the perturbation gives the class away"
        ));
        let mut flat = rows(60.0, 12.0, 3.0, 0.0);
        flat[2].zero_gradient = Some(40.0);
        assert!(text(&flat).contains("fgsm: the gradient is exactly zero for 40.0 % of the images"));
    }

    #[test]
    fn attacks_that_lose_their_order_on_the_way_to_another_network_are_named() {
        let mut rows = rows(60.0, 12.0, 3.0, 0.0);
        rows.push(row("black-box-fgsm", Some(Attack::Fgsm { epsilon: 0.3 }), 30.0));
        rows.push(row("black-box-ifgsm-40", Some(Attack::IFgsm { epsilon: 0.3, alpha: 0.03, steps: 40 }), 50.0));
        assert_eq!(
            of_transfer(&rows),
            [
                "undefended black-box-fgsm does more than black-box-ifgsm-40",
                "behind d black-box-fgsm does more than black-box-ifgsm-40"
            ]
        );
        for (index, accuracy) in [70.0, 40.0, 70.0, 81.0, 82.0, 30.0, 85.0].into_iter().enumerate() {
            rows[index].defended.get_mut("d").unwrap().accuracy = accuracy;
        }
        assert_eq!(
            of_transfer(&rows)[1],
            "behind d uniform-noise does more than fgsm and ifgsm-10 and ifgsm-40 and black-box-ifgsm-40, \
             fgsm does more than ifgsm-10 and ifgsm-40, black-box-fgsm does more than fgsm and black-box-ifgsm-40"
        );
        rows[2].defended.get_mut("d").unwrap().accuracy = 81.0;
        assert!(!of_transfer(&rows)[1].contains(", fgsm does more than"), "other images may turn it round");
    }

    #[test]
    fn a_purifier_that_learned_from_its_target_is_named() {
        let target = json!({ "config": { "network": { "architecture": "a" }, "schedule": { "epochs": 3 } }, "epoch": 3, "seed": 2 });
        let source = |seed| json!({ "config": { "architecture": "a" }, "schedule": { "epochs": 3 }, "epochs_done": 3, "seed": seed });
        let of = |source| {
            of_sources(&target, &BTreeMap::from([("p".to_owned(), json!({ "config": { "source": source } }))]))
        };
        assert_eq!(of(source(1)), [""; 0]);
        assert_eq!(of(Value::Null), [""; 0]);
        let named = ["p learned from the target itself, whose attacks it has seen"];
        assert_eq!(of(source(2)), named);
        assert_eq!(of(json!([source(1), source(2)])), named);
        let began_with = |earlier| json!({ "config": { "source": source(1), "from": { "source": source(3), "from": { "source": earlier } } } });
        let of = |about| of_sources(&target, &BTreeMap::from([("p".to_owned(), about)]));
        assert_eq!(of(began_with(source(1))), [""; 0]);
        assert_eq!(of(began_with(source(2))), named);
    }

    #[test]
    fn an_attack_that_knows_the_defence_and_does_less_is_not_believed() {
        let rows = rows(60.0, 12.0, 3.0, 0.0);
        let text = |outcome: &Outcome| of_outcome("d", outcome, &rows).join("\n");
        assert!(
            text(&outcome(50.0, 0.0, 0.0)).contains(
                "fgsm, which does not know it, leaves 12.00 % of 1000, the attack that knows it 50.00 % of 100"
            )
        );
        assert_eq!(text(&outcome(2.0, 0.0, 0.0)), "", "a difference that other images may make");
        let wider = |epsilon| {
            let wider = outcome(50.0, 0.0, 0.0);
            text(&Outcome { effort: Effort { epsilon, ..wider.effort }, ..wider })
        };
        assert!(wider(0.4).contains("fgsm, which does not know it"), "the larger ball contains the smaller");
        assert_eq!(wider(0.2), "", "a smaller one need not");
        assert!(of_outcome(UNDEFENDED, &outcome(50.0, 0.0, 0.0), &rows).join("").contains("undefended: fgsm"));
        assert!(text(&outcome(0.0, 30.0, 0.0)).contains("an attack without a bound still leaves 30.0 %"));
        assert!(
            text(&outcome(0.0, 0.0, 60.0))
                .contains("selector-margin untargeted: the gradient is exactly zero for 60.0 %")
        );
        let carried = Outcome { rows: vec![attacked("then made on another", 0.0, 60.0)], ..outcome(0.0, 0.0, 0.0) };
        assert_eq!(text(&carried), "", "that is the other's gradient");
        let mut climbing = outcome(2.0, 0.0, 0.0);
        climbing.rows[0].after_rounds = vec![9.0, 5.0, 2.0];
        assert_eq!(
            text(&climbing),
            "d, selector-margin untargeted: the last of 3 starts still breaks 3.0 % of the images: more would leave less"
        );
        let mut went_on = climbing.clone();
        went_on.rows.push(attacked("then every class in turn", 2.0, 0.0));
        assert_eq!(text(&went_on), "", "what came then had no more to find");
        let mut once_more = attacked("then the same by Auto-PGD", 0.5, 0.0);
        once_more.after_rounds = vec![0.5];
        went_on.rows.push(once_more);
        went_on.worst = 0.5;
        let sign = "then the same by Auto-PGD: the last of 1 starts still breaks 1.5 % of the images";
        assert!(text(&went_on).contains(sign), "of what the one before it left: {}", text(&went_on));
        assert_eq!(text(&Outcome { worst: 0.0, ..climbing }), "", "there is nothing less");
    }
}
