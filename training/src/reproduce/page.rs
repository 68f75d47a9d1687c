//! `docs/results.md`, from what is in `results/`: nothing on it is typed but the explanations.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::figure::Figure;
use super::speed::Speeds;
use super::tables::{BLOCKS, Block};
use super::{coefficients, index, strong, summary, within};
use crate::curves;
use crate::evaluate::Results;
use crate::files;
use crate::resumable;
use crate::table;

const HEAD: &str = "# Results

Written by `puvae-train reproduce`; nothing here is typed but the explanations. In Tables 3, 4 and 7 the paper's numbers stand beside ours; those in Table 6 are of the paper's Table 4.
Accuracies are in percent, in Figures 7 and 9 and Table 8 of held-out images, everywhere else of test images that the seed draws. Thresholds were chosen on held-out images, and the recipes of the networks
that come with the program compared on them.

Two things were known of test images nevertheless. An experiment before this program looked at the first 1,000 of MNIST and Fashion-MNIST; it found that `lite` has a denoiser in front, a selector loss and disturbed pictures to
learn from, the smaller λ_KL (also of the paper's network here), and that `lite-quantised` makes pixels black or white first. And each shipped purifier took the place of one whose figures on test images had been seen;
Fashion-MNIST's for target B was chosen with an eye on the rows where its goals were missed.

- **M_t** is the target, the classifier that is attacked and defended, **M_s** the source, another one, which a purifier learned from. **undefended** is M_t on the images as they are. In the first table of each block the attacker sees M_t only (the paper's \"white-box\"); attacks aim at a random
  wrong class unless they are called untargeted. The paper states neither iFGSM's steps nor CW's constants, so its numbers stand beside each of ours.
- **puvae-paper** is the paper's network and loss, save what “Trained” names; **puvae-lite** is ours, as shipped unless “Made by” and “Trained” say otherwise; **puvae-lite-quantised** makes every pixel black or white first. All learned from other
  classifiers than the target, and never saw the target. **magnet** and **adversarial** are the paper's baselines. **classifier-…** answers in the target's
  place; **binarise** and **median** need no training, and **class-mean** puts the mean training picture of the nearest class in the picture's place, which is what PuVAE comes down to when
  its decoder ignores the latent code: what every defence has to beat, as has **uniform noise** every attack.
- **success rate** is the share of images for which the attacker got what he aimed for of the undefended target. **adversarial** is judged under the same pictures as all others, made on the
  target without adversarial training; its own attacker is in the second table. The paper does not say which of the two its column is. It is trained by single steps of FGSM (Eq. 4): a network
  that loses much under uniform noise and everything to the adaptive attacks has learned that step only (catastrophic overfitting; Wong et al., 2020).
- **y\\*** is the purifier's own choice of a class; it is shown where its accuracy differs from that of M_t's answer.
- The second table is the adaptive attack: projected gradient descent through the defence by an attacker who knows it. An image counts as right only if every attack and
  every random start left it right (**worst case**, also called robust accuracy, with Wilson's 95 % interval). **without a bound** must be about 0, or the attack does not find its way. An attack with **then** in front
  was tried only on the images that all before it left, and its figure is what was left after it: every wrong class in turn, from the picture itself, from what
  the purifier makes of it as that class and from random points, and the same by Auto-PGD; pictures made on the other defences; a search without gradients (Square Attack). A proposal is judged under a draw of the latent noise that the attacker has not seen; an image that falls to the draw alone has fallen. All of it says what
  was not broken by these attacks, not what cannot be broken.

";

const SIGNS: &str = "## Signs of a broken evaluation

Each is looked for wherever its attacks were run, and printed with the table as a warning. That more steps or knowing the defence do less is said where other images would hardly turn it round (95 %). Where attacks were made on one network and only carried to another, behind a defence or from a substitute, the
order of strength may be lost on the way; that is named below the table, and is no sign.

**A single step beats many steps, or more steps do not help,** of the attacks on the undefended target. A stronger attack contains the weaker one; if it does less, its step size or its loss is wrong.

**The last of an adaptive attack's starts still breaks more than 1 %.** Then more starts would leave less. Whether more steps would, no sign looks for.

**Uniform noise within the same ε does as much as an attack.** Then the attack's direction carries nothing.

**Zero gradients** for more than 5 % of the images. Where the loss is flat or the gradient is masked, gradient attacks say nothing about the defence.

**A larger ε does not help** (by 5 points from the smallest to the largest)**, or who knows the defence does less than who does not.** Then the attack does not find its way; looked for in Figure 8.

**A search without gradients breaks more than 5 % that the gradients left.** Then they do not lead all the way.

**An attack without a bound leaves more than 5 %.** With ε = 1 any picture can become any other; an accuracy above 0 means that the attacker loses his way.

**A defence reads attacked pictures better than clean ones.** Then it reads the attack, whose direction gives the class away (label leaking; Kurakin et al., 2017), and says nothing of one that hides it.

**A purifier learned from the target that it defends.** Then it has seen the target's attacks, and the figures flatter it.

**An attacker who knows the defence does less than one who does not, or a black-box attack more than a white-box one.** Then the stronger attack is
not strong enough to be believed.

What these attackers lack: other norms than L∞, the whole ensemble of AutoAttack (of which they have Auto-PGD, on another loss, and Square Attack, both thorough ones only), more than one draw of the latent noise a step (each step draws anew; Auto-PGD and the search without gradients keep one draw), a look at every point of a descent (its end, if its steps are of a fixed length, the point of the smallest loss and, by thorough ones, the most clearly wrong are judged), and more steps than each table names (before MNIST's target B twice as many were tried, in `table3-b-thorough-120-steps`). The attackers who know \
no defence have neither random starts nor momentum, and untargeted iFGSM has 10 steps. All intervals are of the images drawn: each network was trained once, and each attack made from one seed. Through rounding (**binarise**,
**puvae-lite-quantised**) and Defense-GAN's projection they have the identity's gradient (BPDA). And no attacker knows the detectors: accuracy with rejection is of those who do not.
";

/// The tables: number, title, what is to be known about them.
const TABLES: [(u32, &str, &str); 4] = [
    (3, "MNIST", ""),
    (4, "Fashion-MNIST", ""),
    (
        5,
        "CIFAR-10",
        "Of the paper's own numbers only one stands here, PuVAE's best over all attacks: 36.36. The shipped results are of JPEG copies of CIFAR-10's pictures, which costs a little.\n\n",
    ),
    (6, "Fashion-MNIST, attacks made on a substitute", ""),
];
const FIGURES: [(&str, &str, &str); 3] = [
    ("fig7", "what the coefficients do", coefficients::ABOUT),
    (
        "fig8",
        "FGSM with the gradient through the defence",
        "This is the paper's strong attacker. Against a purifier that selects a class his gradient runs through the chosen candidate, which shows its class whatever the picture; the attackers who \
         go for the selection are in the second tables above, and do more.\n\n",
    ),
    ("fig9", "accuracy under FGSM over the time for a batch of 128, and Table 8", ""),
];

/// Writes the page and draws its figures.
///
/// # Errors
/// When a results file is broken, or a file cannot be written.
pub(super) fn write(page: &Path, results: &Path, figures: &Path) -> Result<()> {
    let mut text = HEAD.to_owned() + &summary::write(results)? + &index::write(results)?;
    for (table, title, note) in TABLES {
        writeln!(text, "## Table {table}: {title}\n")?;
        text += note;
        let blocks = || BLOCKS.iter().filter(|block| block.table == table);
        let is_there = |block: &&Block| file(results, &block.name()).exists();
        for name in blocks().filter(is_there).map(Block::name) {
            text += &block(&name, &file(results, &name), &figures.join(format!("{name}.png")))?;
            for (what, path) in beside(results, &name)? {
                writeln!(
                    text,
                    "<details><summary>Beside <code>{name}</code>, and measured apart: <b>{what}</b>.</summary>\n"
                )?;
                text += &block(&format!("{name}-{what}"), &path, Path::new(""))?;
                text += "</details>\n\n";
            }
        }
        let missing: Vec<&Block> = blocks().filter(|block| !is_there(block)).collect();
        if missing.len() == blocks().count() {
            writeln!(text, "Not measured yet: `puvae-train reproduce table{table}`.\n")?;
        } else {
            for block in missing {
                let target = block.target.letter();
                writeln!(
                    text,
                    "Target {} is not measured yet: `puvae-train reproduce table{table} --target {target}`.\n",
                    target.to_uppercase()
                )?;
            }
        }
    }
    text += &speeds(&file(results, "table7"))?;
    for (name, title, note) in FIGURES {
        writeln!(text, "## Figure {}: {title}\n", name.trim_start_matches("fig"))?;
        text += note;
        text += &drawn(name, results, figures)?;
    }
    text += SIGNS;
    text += &learned(&results.join("logs"), figures)?;
    files::replace(page, text.as_bytes())
}

/// How the networks learned whose logs were kept: each purifier's curves, and a line for each of the others.
fn learned(logs: &Path, figures: &Path) -> Result<String> {
    let Ok(entries) = std::fs::read_dir(logs) else { return Ok(String::new()) };
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    paths.sort();
    let mut text = "\n## How the networks learned\n\nOne line for each log that was kept in `results/logs`; y\\* is that of the first 2,000 held-out images.\n\n".to_owned();
    text += "| run | epochs | minutes | held-out figures of the last epoch | curves |\n|---|---|---|---|---|\n";
    for path in &paths {
        let name = path.file_stem().context("a file has a name")?.display().to_string();
        let log = resumable::read_lines(path, usize::MAX)?;
        let Some(last) = log.last() else { continue };
        let held_out = last.scalars.iter().filter(|(name, _)| name.starts_with("held_out_"));
        let held_out: Vec<String> =
            held_out.map(|(name, value)| format!("{} {value:.4}", name.trim_start_matches("held_out_"))).collect();
        let minutes = log.iter().map(|epoch| epoch.seconds).sum::<f64>() / 60.0;
        let drawing = format!("curves-{name}.svg");
        let drawn = if name.contains("puvae") {
            curves::write(&figures.join(&drawing), &resumable::series(&log))?;
            format!("[drawn](figures/{drawing})")
        } else {
            "–".into()
        };
        writeln!(text, "| {name} | {} | {minutes:.0} | {} | {drawn} |", last.epoch, held_out.join(", "))?;
    }
    Ok(text)
}

pub(super) fn file(results: &Path, name: &str) -> PathBuf {
    results.join(format!("{name}.json"))
}

/// Other results of a block's target, `NAME-WHAT.json`, with what they are of: those of the slow defences, and what
/// `puvae-train evaluate` wrote there.
pub(super) fn beside(results: &Path, name: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(results)? {
        let path = entry?.path();
        let what = path
            .file_name()
            .and_then(|file| file.to_str()?.strip_prefix(name)?.strip_prefix('-')?.strip_suffix(".json"));
        // What was set aside is called `NAME-WHAT.before.json`.
        if let Some(what) = what.filter(|what| !what.contains('.')) {
            found.push((what.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

/// A block's tables, who was trained how long, and its sample pictures.
fn block(name: &str, path: &Path, pictures: &Path) -> Result<String> {
    let results = Results::read(path)?;
    let mut text = format!("<a id=\"{name}\"></a>\n\n") + &table::section(name, &results);
    writeln!(
        text,
        "\n{}\nMade by `{}` on {}, in {:.0} s.\n",
        table::trained(&results),
        results.command,
        results.device,
        results.seconds
    )?;
    if pictures.exists() {
        writeln!(
            text,
            "![clean, attacked and purified pictures](figures/{})\n\n*Ten test images: clean, attacked, and what each purifier made of the attacked ones; differences are to the clean \
             ones.*\n",
            pictures.file_name().context("pictures have a name")?.display()
        )?;
    }
    Ok(text)
}

fn speeds(path: &Path) -> Result<String> {
    let mut text = "## Table 7: seconds for a batch of 128 pictures\n\n".to_owned();
    if !path.exists() {
        return Ok(text + "Not measured yet: `puvae-train reproduce table7`.\n\n");
    }
    let speeds = Speeds::read(path)?;
    text += "| defence | runs | median in s | over puvae-paper | paper's seconds (TITAN V) | over the paper's PuVAE |\n|---|---|---|---|---|---|\n";
    let paper_puvae = crate::paper::seconds("puvae-paper").context("the paper timed PuVAE")?;
    for row in &speeds.rows {
        let paper = |text: Option<String>| text.unwrap_or_else(|| "–".into());
        writeln!(
            text,
            "| {} | {} | {:.4} | {:.3} | {} | {} |",
            row.name,
            row.runs,
            row.seconds,
            row.over_puvae,
            paper(row.paper_seconds.map(|seconds| seconds.to_string())),
            paper(row.paper_seconds.map(|seconds| format!("{:.3}", seconds / paper_puvae)))
        )?;
    }
    writeln!(
        text,
        "\nMade by `{}` on {}, libtorch, untrained weights (they make no difference to it); Defense-GAN with {} steps from {} starts, the paper's with 200 from 20.\n",
        speeds.command, speeds.device, speeds.projection.steps, speeds.projection.restarts
    )?;
    Ok(text)
}

/// Draws the figure of each data set that has one.
fn drawn(name: &str, results: &Path, figures: &Path) -> Result<String> {
    let mut text = String::new();
    for dataset in ["mnist", "fashion-mnist"] {
        let file_name = format!("{name}-{dataset}");
        let path = file(results, &file_name);
        if !path.exists() {
            continue;
        }
        let figure = Figure::read(&path)?;
        figure.draw(&figures.join(format!("{file_name}.svg")))?;
        let Figure { title, n, seed, .. } = &figure;
        writeln!(
            text,
            "![{title}](figures/{file_name}.svg)\n\n*{title}; {n} images a point, seed {seed}. {}.*\n",
            figure.made_by()
        )?;
        if name != "fig7" {
            text += &figure.trained(dataset);
        }
        match name {
            "fig7" => text += &coefficients::findings(&figure),
            "fig8" => {
                let table =
                    BLOCKS.iter().find(|block| block.dataset == dataset).map(|block| file(results, &block.name()));
                let table = table.filter(|path| path.exists()).map(|path| Results::read(&path)).transpose()?;
                text += &strong::warnings(&figure, table.as_ref());
            }
            "fig9" => text += &within::table(&figure)?,
            _ => {}
        }
    }
    if text.is_empty() {
        writeln!(text, "Not measured yet: `puvae-train reproduce {name}`.\n")?;
    }
    Ok(text)
}
