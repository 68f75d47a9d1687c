"""Runs foolbox's attacks on the weights and pictures that `puvae-train attack` wrote, and compares the results."""

import argparse
import json
import sys

import eagerpy as ep
import foolbox as fb
import jax
import jax.numpy as jnp
import numpy as np

SAME_PIXEL = 1e-4
PIXELS = 0.999
CARLINI_WAGNER = 0.02
NO_CHANGE = 1e-3  # L2 norm of the rounding in a picture that was classified as wanted from the start
BATCH = 250  # puvae-train's; a batch of CW shares the decision to stop early
CW = {
    "api": dict(stepsize=5e-3, binary_search_steps=5, initial_const=0.01),
    "tutorial": dict(stepsize=0.1, binary_search_steps=1, initial_const=10.0),
    "defense-gan": dict(stepsize=10.0, binary_search_steps=1, initial_const=100.0),
}
STRIDES = {"a": (1, 2), "b": (1, 2), "c": (1, 1, 2), "d": (1, 1, 2)}


def classifier(weights, architecture):
    """The paper's Table 1 in JAX: unpadded convolutions, ReLU, no dropout in use."""

    def logits(x):
        for layer, stride in enumerate(STRIDES[architecture], start=1):
            kernel, bias = weights[f"conv{layer}.weight"], weights[f"conv{layer}.bias"]
            x = jax.lax.conv_general_dilated(x, kernel, (stride, stride), "VALID", precision="highest")
            x = jax.nn.relu(x + bias[None, :, None, None])
        x = x.reshape(x.shape[0], -1)
        layers = sorted({name.split(".")[0] for name in weights if name.startswith("fc")})
        for layer in layers:
            x = jnp.matmul(x, weights[f"{layer}.weight"].T, precision="highest") + weights[f"{layer}.bias"]
            x = x if layer == layers[-1] else jax.nn.relu(x)
        return x

    return logits


def attacks_of(parameters):
    """foolbox's attack with the parameters of ours, and the epsilon to call it with."""
    (name, values), = parameters["attack"].items()
    if name == "CarliniWagner":
        confidence = values.get("confidence", 0)
        attack = fb.attacks.L2CarliniWagnerAttack(steps=100, confidence=confidence, abort_early=True, **CW[values["preset"]])
        return attack, None
    epsilon = values["epsilon"]
    step, steps = (epsilon, 1) if name == "Fgsm" else (values["alpha"], values["steps"])
    return fb.attacks.LinfBasicIterativeAttack(abs_stepsize=step, steps=steps, random_start=False), epsilon


def run(model, arrays, attack, epsilon):
    """foolbox's pictures for all images, with one class to aim at for each, or none."""
    targeted = (arrays["y_target"] >= 0).all()
    results = []
    for start in range(0, len(arrays["x"]), BATCH):
        part = slice(start, start + BATCH)
        x = ep.astensor(jnp.asarray(arrays["x"][part]))
        classes = ep.astensor(jnp.asarray(arrays["y_target" if targeted else "y"][part]))
        criterion = (fb.criteria.TargetedMisclassification if targeted else fb.criteria.Misclassification)(classes)
        _, adversarial, _ = attack(model, x, criterion, epsilons=epsilon)
        results.append(np.asarray(adversarial.raw))
    return np.concatenate(results)


def successes(logits, x, arrays):
    """For which pictures the victim says what the attacker wanted; foolbox's CW returns a black one where it fails."""
    answers = np.concatenate([np.asarray(logits(jnp.asarray(x[at : at + BATCH]))).argmax(1) for at in range(0, len(x), BATCH)])
    targeted = (arrays["y_target"] >= 0).all()
    wanted = answers == arrays["y_target"] if targeted else answers != arrays["y"]
    return wanted & (x.reshape(len(x), -1).max(1) > 0)


def mean_l2(x, arrays, of):
    """Mean L2 norm of the perturbations of the pictures `of`."""
    return float(np.sqrt(((x - arrays["x"])[of] ** 2).sum((1, 2, 3))).mean()) if of.any() else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, help="what `attack --weights` wrote")
    parser.add_argument("files", nargs="+", help="what `attack --npz` wrote")
    options = parser.parse_args()
    weights = dict(np.load(options.weights))
    failed = False
    print("| victim | attack | aim | n | pixels that agree | success ours / foolbox | mean L2 where both succeed, ours / foolbox |")
    print("|---|---|---|---|---|---|---|")
    for path in options.files:
        arrays = dict(np.load(path))
        parameters = json.loads(arrays["parameters"].tobytes().decode())
        architecture = parameters["victim"]["config"]["architecture"]
        logits = jax.jit(classifier(weights, architecture))
        model = fb.models.JAXModel(logits, bounds=(0, 1))
        attack, epsilon = attacks_of(parameters)
        theirs = run(model, arrays, attack, epsilon)
        pixels = float((np.abs(theirs - arrays["x_adv"]) < SAME_PIXEL).mean())
        fooled = [successes(logits, x, arrays) for x in (arrays["x_adv"], theirs)]
        reached = [float(each.mean()) for each in fooled]
        distance = [mean_l2(x, arrays, fooled[0] & fooled[1]) for x in (arrays["x_adv"], theirs)]
        if epsilon is None:
            near = abs(distance[0] - distance[1]) <= CARLINI_WAGNER * distance[1] + NO_CHANGE
            right = abs(reached[0] - reached[1]) <= CARLINI_WAGNER and near
        else:
            right = pixels >= PIXELS
        failed |= not right
        (name, values), = parameters["attack"].items()
        name = f"CW {values['preset']}" if epsilon is None else f"{name} ε {epsilon}" + (f" × {values['steps']}" if "steps" in values else "")
        print(
            f"| {parameters['dataset']} {architecture.upper()} | {name} | {parameters['aim']} | {len(arrays['x'])} | {100 * pixels:.3f} % "
            f"| {100 * reached[0]:.1f} % / {100 * reached[1]:.1f} % | {distance[0]:.4f} / {distance[1]:.4f} |" + ("" if right else " **differs** |")
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
