//! Frames for the runtime: test images, in turns clean and under each attack. Grey ones as IDX files with labels and
//! parts, colour ones, which IDX files cannot hold, as PNG files in folders.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use puvae::idx::{self, Images};
use tch::{Kind, Tensor};

use crate::attack::{self, Aim, Attack, Plan};
use crate::classifier::Classifier;
use crate::data::{DataSet, permutation};
use crate::png;
use crate::runs::{Trained, same_data};

/// Frames in the order of play.
struct Frames {
    /// `[N, C, H, W]`, whole numbers in 0 to 255.
    pixels: Tensor,
    /// Class of each.
    labels: Vec<i64>,
    /// Names of the parts: `clean`, and the attacks in order. They take turns: frame i is of part i modulo their number.
    parts: Vec<String>,
}

/// Writes `<prefix>-{images.idx3,labels.idx1,parts.idx1}-ubyte.gz`, where part 0 is clean and the others are the attacks in
/// order; of colour pictures `<prefix>/PART/CLASS/NUMBER.png`. Pixels are rounded to bytes, and no byte moves by more than
/// ⌊255·ε⌋: rounding does not widen the attack.
///
/// # Errors
/// When the target was trained on other data, there are fewer test images than asked for, or a file cannot be written.
pub fn write(
    target: &Trained<Classifier>,
    set: &DataSet,
    attacks: &[(Attack, Aim)],
    count: usize,
    seed: u64,
    prefix: &Path,
) -> Result<()> {
    same_data(set, &target.header)?;
    ensure!(count > 0 && count <= set.test.len(), "--images is {count}, expected 1 to {}", set.test.len());
    ensure!(
        set.channels != 1 || set.classes.len() <= 256,
        "{} has {} classes, but labels in IDX files are bytes, expected at most 256 classes",
        set.name,
        set.classes.len()
    );
    let frames = Frames::new(target, set, attacks, count, seed)?;
    if set.channels == 1 { frames.write_idx(prefix) } else { frames.write_pictures(&set.classes, prefix) }
}

impl Frames {
    fn new(
        target: &Trained<Classifier>,
        set: &DataSet,
        attacks: &[(Attack, Aim)],
        count: usize,
        seed: u64,
    ) -> Result<Self> {
        let order = permutation(set.test.len(), seed, 0);
        let split = set.test.subset(&order[..count]);
        let clean = bytes(&split.all().x);
        let (mut versions, mut parts) = (vec![clean.shallow_clone()], vec!["clean".to_owned()]);
        for &(attack, aim) in attacks {
            let plan = Plan { attack, aim, seed };
            let x = attack::run(&target.network, plan, &split, target.network.config.classes)?.x;
            let most = attack.epsilon().map_or(255.0, |epsilon| (255.0 * epsilon).floor());
            versions.push(&clean + (bytes(&x) - &clean).clamp(-most, most));
            parts.push(plan.name());
        }
        let frames: Vec<Tensor> =
            (0..count).map(|index| versions[index % parts.len()].narrow(0, index as i64, 1)).collect();
        let labels = Vec::try_from(&split.labels())?;
        Ok(Self { pixels: Tensor::cat(&frames, 0), labels, parts })
    }

    fn write_idx(&self, prefix: &Path) -> Result<()> {
        let (count, _, height, width) = self.pixels.size4()?;
        let bytes = self.pixels.to_kind(Kind::Uint8).reshape([-1]);
        let pixels = Vec::try_from(&bytes)?;
        let images = Images { count: count as usize, height: height as usize, width: width as usize, pixels };
        let part_of: Vec<u8> = (0..images.count).map(|index| (index % self.parts.len()) as u8).collect();
        let path = |kind: &str| PathBuf::from(format!("{}-{kind}-ubyte.gz", prefix.display()));
        idx::write_images(&path("images.idx3"), &images)?;
        let labels: Vec<u8> = self.labels.iter().map(|&label| u8::try_from(label)).collect::<Result<_, _>>()?;
        idx::write_labels(&path("labels.idx1"), &labels)?;
        idx::write_labels(&path("parts.idx1"), &part_of)?;
        Ok(())
    }

    /// A folder for each part, which the runtime plays as `dir:`, and in it one for each class.
    fn write_pictures(&self, classes: &[String], folder: &Path) -> Result<()> {
        for (index, &label) in self.labels.iter().enumerate() {
            let class = classes[usize::try_from(label)?].replace(['/', '\\'], "_");
            let folder = folder.join(&self.parts[index % self.parts.len()]).join(class);
            fs::create_dir_all(&folder).with_context(|| format!("{}: cannot create the folder", folder.display()))?;
            png::write(&(self.pixels.get(index as i64) / 255.0), &folder.join(format!("{index:05}.png")))?;
        }
        Ok(())
    }
}

/// Pictures in `[0, 1]` as whole numbers in 0 to 255.
fn bytes(x: &Tensor) -> Tensor {
    (x * 255.0).round()
}
