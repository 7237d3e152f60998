"""Writes the .json and .npy files of this folder; README.md says how to run it."""
import importlib.util
import json
import pathlib
import site
import warnings

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

FOLDER = pathlib.Path(__file__).parent


def write(name, what, cases):
    versions = {"torch": torch.__version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__}
    text = json.dumps({"what": what, "versions": versions, "cases": cases}, indent=1)
    (FOLDER / f"{name}.json").write_text(text + "\n")


# --- Warm-up and cosine -------------------------------------------------------------------------------------------


def rates(make, base, count):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
    scheduler = make(optimizer)
    result = []
    for _ in range(count):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return result


def warm_up_cosine(base, decay_rate, start_factor, warm_up, total):
    schedulers = torch.optim.lr_scheduler

    def make(optimizer):
        rise = schedulers.LinearLR(optimizer, start_factor=start_factor, total_iters=warm_up)
        fall = schedulers.CosineAnnealingLR(optimizer, T_max=total - warm_up, eta_min=base * decay_rate**3)
        return schedulers.SequentialLR(optimizer, [rise, fall], milestones=[warm_up])

    return rates(make, base, total)


def warm_up_steps(base, decay_rate, boundaries, start_factor, warm_up, total):
    schedulers = torch.optim.lr_scheduler

    def make(optimizer):
        # The reference drops the rate in the epoch after the boundary; MultiStepLR in the epoch that it names.
        fall = schedulers.MultiStepLR(optimizer, [b + 1 for b in boundaries], gamma=decay_rate)
        rise = schedulers.LinearLR(optimizer, start_factor=start_factor, total_iters=warm_up)
        return schedulers.ChainedScheduler([rise, fall])

    return rates(make, base, total)


def record_schedules():
    cases = []
    for base, decay_rate, start_factor, warm_up, epochs in [(0.4, 0.1, 1 / 3, 10, 50), (1.2, 0.2, 0.1, 1, 6)]:
        common = dict(kind="cosine", lr=base, decay_rate=decay_rate, start_factor=start_factor, warmup_epochs=warm_up, epochs=epochs)
        cases.append(dict(common, steps_per_epoch=1, values=warm_up_cosine(base, decay_rate, start_factor, warm_up, epochs)))
        steps = 7
        values = warm_up_cosine(base, decay_rate, start_factor, warm_up * steps, epochs * steps)
        cases.append(dict(common, steps_per_epoch=steps, values=values))
    common = dict(kind="step", lr=0.4, decay_rate=0.1, decay_epochs=[12, 20], start_factor=0.25, warmup_epochs=5, epochs=30)
    values = warm_up_steps(0.4, 0.1, [12, 20], 0.25, 5, 30)
    cases.append(dict(common, steps_per_epoch=1, values=values))
    write("warm-up-schedules", "learning rate of each epoch or step: torch's SequentialLR of LinearLR and CosineAnnealingLR; ChainedScheduler of LinearLR and MultiStepLR", cases)


# --- LARS ---------------------------------------------------------------------------------------------------------


def lightly_lars():
    for folder in site.getsitepackages():
        path = pathlib.Path(folder, "lightly", "utils", "lars.py")
        if path.exists():
            spec = importlib.util.spec_from_file_location("lars", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module.LARS
    raise SystemExit("install lightly: README.md")


def record_lars():
    lars = lightly_lars()
    generator = np.random.default_rng(17)
    cases = []
    for nesterov, weight_decay in [(False, 1e-2), (True, 1e-2), (False, 1e-6)]:
        weight = generator.normal(size=(3, 4)).astype(np.float32)
        bias = generator.normal(size=4).astype(np.float32)
        gradients = [
            dict(weight=generator.normal(size=(3, 4)).astype(np.float32), bias=generator.normal(size=4).astype(np.float32))
            for _ in range(4)
        ]
        gradients[2]["weight"] *= 1e-3
        learning_rates = [2.0, 2.0, 1.0, 0.5]
        w, b = (torch.nn.Parameter(torch.tensor(x)) for x in (weight, bias))
        groups = [dict(params=[w], weight_decay=weight_decay), dict(params=[b], weight_decay=0)]
        optimizer = lars(groups, lr=1.0, momentum=0.9, nesterov=nesterov, trust_coefficient=0.001)
        steps = []
        for gradient, rate in zip(gradients, learning_rates):
            for group in optimizer.param_groups:
                group["lr"] = rate
            w.grad, b.grad = torch.tensor(gradient["weight"]), torch.tensor(gradient["bias"])
            optimizer.step()
            steps.append(
                dict(
                    lr=rate,
                    gradient={name: values.flatten().tolist() for name, values in gradient.items()},
                    weight=w.detach().flatten().tolist(),
                    bias=b.detach().flatten().tolist(),
                    buffer=optimizer.state[w]["momentum_buffer"].flatten().tolist(),
                )
            )
        cases.append(
            dict(nesterov=nesterov, weight_decay=weight_decay, momentum=0.9, trust_coefficient=0.001,
                 shape=[3, 4], weight=weight.flatten().tolist(), bias=bias.tolist(), steps=steps)
        )
    write("lars", "lightly 1.6.0's LARS over four steps; weight adapted, bias (weight decay 0) not", cases)


# --- Linear probe -------------------------------------------------------------------------------------------------


def record_linear_probe():
    generator = np.random.default_rng(23)
    classes, dimension, train, validation = 6, 32, 1200, 600
    centres = generator.normal(size=(classes, dimension)) * 0.25
    mixing = generator.normal(size=(dimension, dimension)) * 0.3
    offsets = generator.uniform(0, 2, size=dimension)

    def draw(count):
        labels = generator.integers(0, classes, size=count)
        raw = centres[labels] + generator.normal(size=(count, dimension)) @ mixing * 0.5 + offsets
        # Like features after a ReLU and an average pool: never negative, some columns nearly dead.
        return np.maximum(raw, 0).astype(np.float32), labels.astype(np.int64)

    x, y = draw(train)
    x_validation, y_validation = draw(validation)
    x[:, 5] = 0.75
    x_validation[:, 5] = 0.75
    for name, array in dict(x=x, y=y, xv=x_validation, yv=y_validation).items():
        np.save(FOLDER / f"linear-probe-{name}.npy", array)
    scaler = StandardScaler().fit(x.astype(np.float64))
    scaled, scaled_validation = scaler.transform(x.astype(np.float64)), scaler.transform(x_validation.astype(np.float64))
    cases = []
    for standardised in (False, True):
        inputs, inputs_validation = (scaled, scaled_validation) if standardised else (x.astype(np.float64), x_validation)
        for c in (1.0, 0.01):
            model = LogisticRegression(C=c, tol=1e-9, max_iter=100_000).fit(inputs, y)
            # scikit-learn's objective, divided by the number of rows.
            penalty = (model.coef_**2).sum() / (2 * c * train)
            loss = log_loss(y, model.predict_proba(inputs)) + penalty
            cases.append(
                dict(standardised=standardised, C=c, classes=classes, loss=loss, iterations=int(model.n_iter_[0]),
                     train_accuracy=100 * model.score(inputs, y), accuracy=100 * model.score(inputs_validation, y_validation),
                     coefficients_norm=float(np.linalg.norm(model.coef_)))
            )
    write("linear-probe", "scikit-learn's LogisticRegression (multinomial, L-BFGS) on linear-probe-x.npy and -y.npy, accuracy in percent on -xv.npy and -yv.npy; loss: mean cross-entropy + ||W||^2 / (2 C n)", cases)


warnings.simplefilter("ignore")
torch.use_deterministic_algorithms(True)
record_schedules()
record_lars()
record_linear_probe()
