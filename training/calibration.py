"""Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks")."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax


def fit_temperature(logits: npt.NDArray[np.floating], label_ids: npt.NDArray[np.integer]) -> float:
    """The temperature T > 0 at which softmax(logits / T) has the least negative log-likelihood.

    Args:
        logits: shape (sentences, labels), from sentences that were not trained on.
        label_ids: shape (sentences,).
    """

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(label_ids)), label_ids].mean())

    # In the logarithm the search is as fine below 1 as above; no model seen was outside [0.05, 20].
    best = minimize_scalar(negative_log_likelihood, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(best.x))
