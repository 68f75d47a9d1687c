//! Attacks by name, as the command line and results files write them: `fgsm`, `ifgsm-40`, `pgd-40x5`, `cw-tutorial`,
//! `cw-tutorial-k20` (κ 20), `untargeted-fgsm` …

use anyhow::{Context, Result, bail};

use super::{Aim, Attack, Preset};

/// What a name means, with the ε and step size that names leave out.
///
/// # Errors
/// Lists the names there are.
pub fn parse(name: &str, epsilon: f64, alpha: f64) -> Result<(Attack, Aim)> {
    let (aim, rest) = name.strip_prefix("untargeted-").map_or((Aim::Targeted, name), |rest| (Aim::Untargeted, rest));
    let attack = attack(rest, epsilon, alpha).with_context(|| {
        format!(
            "--attacks: `{name}` is no attack; expected fgsm, ifgsm-STEPS, pgd-STEPSxSTARTS or cw-api, cw-tutorial, cw-defense-gan, \
             the last three also with -kCONFIDENCE behind, each also with untargeted- in front"
        )
    })?;
    attack.check()?;
    Ok((attack, aim))
}

fn attack(name: &str, epsilon: f64, alpha: f64) -> Result<Attack> {
    if name == "fgsm" {
        return Ok(Attack::Fgsm { epsilon });
    }
    if let Some(steps) = name.strip_prefix("ifgsm-") {
        return Ok(Attack::IFgsm { epsilon, alpha, steps: steps.parse()? });
    }
    if let Some((steps, restarts)) = name.strip_prefix("pgd-").and_then(|rest| rest.split_once('x')) {
        return Ok(Attack::Pgd { epsilon, alpha, steps: steps.parse()?, restarts: restarts.parse()? });
    }
    for preset in [Preset::Api, Preset::Tutorial, Preset::DefenseGan] {
        match name.strip_prefix("cw-").and_then(|name| name.strip_prefix(preset.as_str())) {
            Some("") => return Ok(Attack::CarliniWagner { preset, confidence: 0 }),
            Some(rest) => {
                let confidence = rest.strip_prefix("-k").context("unknown")?.parse()?;
                return Ok(Attack::CarliniWagner { preset, confidence });
            }
            None => {}
        }
    }
    bail!("unknown")
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::*;

    #[test]
    fn a_name_reads_back_as_the_attack_it_names() {
        for name in
            ["fgsm", "ifgsm-40", "pgd-40x5", "cw-api", "cw-defense-gan", "cw-tutorial-k20", "untargeted-pgd-7x2"]
        {
            let (attack, aim) = parse(name, 0.3, 0.03).unwrap();
            assert_eq!(Plan { attack, aim, seed: 1 }.name(), name);
        }
    }

    #[test]
    fn a_name_that_is_no_attack_is_refused_with_those_there_are() {
        let refused = |name: &str| format!("{:#}", parse(name, 0.3, 0.03).unwrap_err());
        assert!(refused("cw-mine").contains("`cw-mine` is no attack; expected fgsm, ifgsm-STEPS"));
        assert!(refused("cw-tutorial-kmuch").contains("`cw-tutorial-kmuch` is no attack"));
        assert!(refused("ifgsm-many").contains("`ifgsm-many` is no attack"));
        assert!(refused("pgd-40x0").contains("restarts is 0"));
    }
}
