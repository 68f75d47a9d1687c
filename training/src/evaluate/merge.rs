//! What becomes of a results file that is there already: what answers the same question is kept.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::UNDEFENDED;
use super::results::{ADAPTIVE, Results};
use crate::checkpoint::first_difference;
use crate::files;
use crate::runs::as_known;

/// Where results are written.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The file.
    pub path: &'a Path,
    /// What becomes of a file there.
    pub resume: Resume,
}

/// What becomes of the results that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Finished ones are replaced, unfinished ones refused.
    Never,
    /// Those of the same question are kept, others refused; defences may be added.
    Same,
    /// Those of the same question are kept, others replaced, with a note that names the first difference; they are set aside beside it
    /// ([`files::set_aside`]). Where only the attacker who knows is to try otherwise, the rows are kept and his outcomes replaced. Defences
    /// that were made in another way are measured anew, and those that are not asked for keep what they have. An attacker who knows and is
    /// not asked for stays as he is.
    SameOrAnew,
}

impl Results {
    /// This question with the answers that are at the destination already: none without `resume`.
    ///
    /// # Errors
    /// When the file there answers another question, or is not finished and would be overwritten.
    pub(super) fn begin(self, at: Destination<'_>) -> Result<Self> {
        let there = at.path.metadata().is_ok_and(|file| file.len() > 0);
        match (there, at.resume) {
            (true, Resume::Same) => self.go_on(at),
            (true, Resume::SameOrAnew) => self.clone().go_on(at).or_else(|difference| {
                eprintln!("note: {difference:#}; measuring anew");
                files::set_aside(at.path)?;
                Ok(self)
            }),
            (true, Resume::Never) => {
                let found =
                    Self::read(at.path).context("it would be overwritten; choose another --out, or delete it")?;
                ensure!(
                    found.finished,
                    "{}: an evaluation that was not finished is there; go on with --resume, choose another --out, or delete it",
                    at.path.display()
                );
                Ok(self)
            }
            (false, _) => Ok(self),
        }
    }

    fn go_on(mut self, at: Destination<'_>) -> Result<Self> {
        let path = at.path;
        let mut found = Self::read(path)?;
        ensure!(
            found.schema == self.schema,
            "{}: results of version {}, expected {}; evaluate again without --resume",
            path.display(),
            found.schema,
            self.schema
        );
        self.as_known_to(&found);
        let anew = at.resume == Resume::SameOrAnew;
        if anew && self.measures[ADAPTIVE].is_null() {
            self.measures[ADAPTIVE].clone_from(&found.measures[ADAPTIVE]);
        }
        let tries_otherwise = anew && self.measures[ADAPTIVE] != found.measures[ADAPTIVE];
        if tries_otherwise {
            found.measures[ADAPTIVE].clone_from(&self.measures[ADAPTIVE]);
        }
        if let Some((field, expected, found)) = first_difference(&self.question()?, &found.question()?, "") {
            bail!(
                "{}: results of another question: {field} is {found} there, expected {expected}; only the options of that evaluation go on with it",
                path.display()
            );
        }
        let asked: Vec<String> = self.defences.keys().cloned().collect();
        self.merge_defences(&mut found, at)?;
        if tries_otherwise {
            eprintln!("note: {}: other attackers who know the defences; measuring these anew", path.display());
            // What they left of networks that are gone cannot be measured again.
            found.adaptive.retain(|name, _| name != UNDEFENDED && !asked.contains(name));
        }
        // A command that adds defences names the others too.
        let same = found.defences == self.defences && !tries_otherwise;
        let command = if same { found.command } else { self.command };
        let mut results = Self { command, rows: found.rows, adaptive: found.adaptive, ..self };
        if tries_otherwise {
            files::set_aside(path)?;
            results.save(path)?;
        }
        Ok(results)
    }

    /// Takes over the defences that are not asked for now, and drops what is known of those that were made in another way.
    fn merge_defences(&mut self, found: &mut Self, Destination { path, resume }: Destination<'_>) -> Result<()> {
        for (name, about) in found.defences.clone() {
            let asked = self.defences.get(&name);
            if asked == Some(&about) {
                continue;
            }
            ensure!(
                resume == Resume::SameOrAnew,
                "{}: results with {name}, which is not asked for or was made in another way; defences may be added, not left out or exchanged",
                path.display()
            );
            if asked.is_none() {
                eprintln!("note: {}: keeps what it has of {name}", path.display());
                self.defences.insert(name, about);
                continue;
            }
            eprintln!("note: {}: {name} was made in another way; measuring it anew", path.display());
            for row in &mut found.rows {
                row.defended.remove(&name);
            }
            found.adaptive.remove(&name);
            found.defences.remove(&name);
        }
        Ok(())
    }

    /// Leaves out of the question what a file from before it was told cannot say.
    fn as_known_to(&mut self, found: &Self) {
        if found.images_sha256.is_empty() {
            self.images_sha256.clear(); // what is kept cannot claim more afterwards
        }
        if found.calibrated_on == 0 {
            self.calibrated_on = 0;
        }
        as_known(&mut self.target, &found.target);
        as_known(&mut self.substitute, &found.substitute);
        for (name, about) in &mut self.defences {
            found.defences.get(name).into_iter().for_each(|earlier| as_known(about, earlier));
        }
    }

    /// The content without its answers and without who was asked: two files with the same question can be one.
    fn question(&self) -> Result<serde_json::Value> {
        Ok(serde_json::to_value(Self {
            finished: false,
            command: String::new(),
            defences: BTreeMap::new(),
            rows: Vec::new(),
            adaptive: BTreeMap::new(),
            warnings: Vec::new(),
            seconds: 0.0,
            ..self.clone()
        })?)
    }
}
