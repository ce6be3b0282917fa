"""The baseline: TF-IDF over words and word pairs, logistic regression on top. Saved as ONNX, never as a pickle."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from detente.annotations import Annotations
from training.config import TfidfVariant


def fit_baseline(variant: TfidfVariant, train: Annotations, weights: Sequence[float] | None = None) -> Pipeline:
    """Fit on the training split. The pipeline takes lower-case texts: ONNX Runtime lowers them by locale, Python not.

    Term counts stay linear, since skl2onnx's logarithm of them differs from scikit-learn's. `weights` are the
    sentences'; without them each counts the same.
    """
    pipeline = Pipeline(
        [
            (
                "tfidf",
                TfidfVectorizer(
                    ngram_range=(1, variant.max_ngram),
                    min_df=variant.min_documents,
                    lowercase=False,
                    token_pattern=r"[a-zA-Z0-9_]+",  # noqa: S106 - a pattern for words
                ),
            ),
            (
                "regression",
                LogisticRegression(
                    C=variant.inverse_regularisation, class_weight="balanced", max_iter=1000, random_state=variant.seed
                ),
            ),
        ]
    )
    return pipeline.fit(lowered(train.texts()), train.label_ids(), regression__sample_weight=weights)


def lowered(texts: list[str]) -> list[str]:
    """The texts as the baseline takes them; `OnnxTextClassifier` lowers them alike."""
    return [text.lower() for text in texts]


def baseline_logits(pipeline: Pipeline, texts: list[str]) -> npt.NDArray[np.float64]:
    """Logits, shape (texts, 3)."""
    logits: npt.NDArray[np.float64] = pipeline.decision_function(lowered(texts))
    return logits


def fold_temperature(pipeline: Pipeline, temperature: float) -> None:
    """Divide the logits by the temperature, in place."""
    regression = pipeline["regression"]
    regression.coef_ /= temperature
    regression.intercept_ /= temperature


def baseline_to_onnx(pipeline: Pipeline) -> onnx.ModelProto:
    """A graph from `text`, shape (sentences, 1), to `logits`, shape (sentences, 3)."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import StringTensorType

    options = {LogisticRegression: {"zipmap": False, "raw_scores": True}}
    model = to_onnx(pipeline, initial_types=[("text", StringTensorType([None, 1]))], options=options, target_opset=18)
    # skl2onnx calls its second output `probabilities` even where raw scores were asked for.
    for node in model.graph.node:
        node.output[:] = ["logits" if name == "probabilities" else name for name in node.output]
    model.graph.output[1].name = "logits"
    del model.graph.output[0]
    onnx.checker.check_model(model)
    return model
