"""Writes fixtures/*.json: logits, labels, and what scikit-learn says of them.

Run `pip install scikit-learn==1.7.2 numpy`, then `python make_metrics.py`. The tests need no Python.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)

FOLDER = Path(__file__).parent / "fixtures"
BINS = 15


def rounded(array: np.ndarray) -> np.ndarray:
    """Logits as float32 that a short text holds exactly."""
    return (np.round(array * 64) / 64).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> tuple[float, list, list, list]:
    """Equation 3 of Guo et al. (2017), from scikit-learn's reliability curve."""
    accuracy, mean_confidence = calibration_curve(right, confidence, n_bins=BINS, strategy="uniform")
    # The curve leaves empty bins out, and does not say how many predictions are in the others.
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts[counts > 0]
    error = float((filled * np.abs(accuracy - mean_confidence)).sum() / filled.sum())
    return error, counts.tolist(), mean_confidence.tolist(), accuracy.tolist()


def averages(truth, predicted, **options) -> dict:
    found = {}
    for kind in options.pop("kinds"):
        precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted, average=kind, zero_division=0, **options)
        found[kind] = {"precision": precision, "recall": recall, "f1": f1}
    return found


def area(truth: np.ndarray, scores: np.ndarray) -> float | None:
    return None if truth.min() == truth.max() else float(roc_auc_score(truth, scores))


def mean_of(areas: list) -> float | None:
    known = [value for value in areas if value is not None]
    return float(np.mean(known)) if known else None


def per_class(truth, predicted, areas: list, classes: int, **options) -> list[dict]:
    columns = precision_recall_fscore_support(truth, predicted, average=None, zero_division=0, **options)
    return [
        {"support": int(support), "precision": precision, "recall": recall, "f1": f1, "rocAuc": areas[index]}
        for index, (precision, recall, f1, support) in enumerate(zip(*(column.tolist() for column in columns)))
    ]


def top_k(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    names = np.arange(logits.shape[1])
    if len(names) > 2:
        return float(top_k_accuracy_score(labels, logits, k=k, labels=names))
    # For two classes scikit-learn wants one score an image, and knows no second place.
    return float((np.argsort(-logits, 1)[:, :k] == labels[:, None]).any(1).mean())


def single_label(logits: np.ndarray, labels: np.ndarray, wanted: list[int]) -> dict:
    classes = logits.shape[1]
    names = np.arange(classes)
    probability = softmax(logits)
    predicted = logits.argmax(1)
    areas = [area(labels == one, probability[:, one]) for one in names]
    error, counts, confidence, accuracy = expected_calibration_error(probability.max(1), predicted == labels)
    return {
        "classes": classes,
        "logits": logits.ravel().tolist(),
        "labels": labels.tolist(),
        "expected": {
            "loss": log_loss(labels, probability, labels=names),
            "top1": accuracy_score(labels, predicted),
            "topK": {str(k): top_k(logits, labels, k) for k in wanted},
            "perClass": per_class(labels, predicted, areas, classes, labels=names),
            **averages(labels, predicted, labels=names, kinds=["macro", "weighted"]),
            "rocAuc": mean_of(areas),
            "confusionMatrix": confusion_matrix(labels, predicted, labels=names).tolist(),
            "calibration": {"error": error, "counts": counts, "confidence": confidence, "accuracy": accuracy},
        },
    }


def multi_label(logits: np.ndarray, labels: np.ndarray) -> dict:
    classes = logits.shape[1]
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    predicted = (logits > 0).astype(int)
    areas = [area(labels[:, one], logits[:, one]) for one in range(classes)]
    error, counts, confidence, accuracy = expected_calibration_error(probability.ravel(), labels.ravel())
    losses = [log_loss(labels[:, one], probability[:, one], labels=[0, 1]) for one in range(classes)]
    return {
        "classes": classes,
        "logits": logits.ravel().tolist(),
        "labels": labels.ravel().tolist(),
        "expected": {
            "loss": float(np.mean(losses)),
            "exactMatch": accuracy_score(labels, predicted),
            "perClass": per_class(labels, predicted, areas, classes),
            **averages(labels, predicted, kinds=["macro", "weighted", "micro"]),
            "rocAuc": mean_of(areas),
            "calibration": {"error": error, "counts": counts, "confidence": confidence, "accuracy": accuracy},
        },
    }


def distinct_rows(logits: np.ndarray) -> np.ndarray:
    """No two equal logits in an image, where the order of the most probable classes would be a matter of taste."""
    order = np.argsort(np.argsort(logits, axis=1), axis=1)
    return rounded(logits) + (order / 4096).astype(np.float32)


def main() -> None:
    rng = np.random.default_rng(7)
    FOLDER.mkdir(exist_ok=True)

    def logits_of(labels: np.ndarray, classes: int, strength: float, scale: float) -> np.ndarray:
        noise = rng.normal(size=(len(labels), classes))
        noise[np.arange(len(labels)), labels] += strength
        return distinct_rows(noise * scale)

    labels = rng.choice(7, size=240, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.04, 0.01])
    cases = {
        "seven-classes": single_label(logits_of(labels, 7, 1.2, 1.5), labels, [1, 2, 3, 5]),
        # The last two classes are never true, one of them never predicted; many probabilities are 1 in single precision.
        "missing-classes": single_label(
            np.concatenate(
                [logits_of(labels % 3, 4, 2.0, 7.0), np.full((240, 1), -40, np.float32)], axis=1
            ),
            labels % 3,
            [1, 2, 4],
        ),
        "two-classes": single_label(logits_of(labels % 2, 2, 0.8, 2.0), labels % 2, [1, 2]),
    }
    truth = (rng.random((180, 6)) < np.array([0.5, 0.3, 0.1, 0.05, 1.0, 0.0])).astype(int)
    scores = rounded(truth * 1.1 - 0.8 + rng.normal(size=truth.shape))
    # A grid this coarse makes ties, which count half.
    scores[:, 2] = np.round(scores[:, 2])
    cases["multi-label"] = multi_label(scores, truth)
    for name, case in cases.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(case, separators=(",", ":")) + "\n")
        print(name, {key: value for key, value in case["expected"].items() if isinstance(value, float)})


main()
