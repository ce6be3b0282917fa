from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from detente.annotations import Annotation
from detente.inference import load_classifier
from detente.model import open_model
from training.__main__ import main


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "modernbert", "mpnet"])
def test_every_architecture_trains_exports_and_scores_alike_on_onnx_and_torch(
    architecture: str,
    make_encoder: Callable[[str], Path],
    write_config: Callable[..., Path],
    sample: list[Annotation],
    tmp_path: Path,
) -> None:
    config = write_config(make_encoder(architecture))
    assert main([str(config), "--out", str(tmp_path / "model"), "--runs", str(tmp_path / "runs")]) == 0
    model = open_model(tmp_path / "model")
    texts = [row.text for row in sample]
    on_onnx = load_classifier(model).score(texts)
    on_torch = load_classifier(model, "torch-cpu").score(texts)
    assert np.allclose(on_onnx, on_torch, atol=2e-4)
    assert np.allclose(on_onnx.sum(axis=1), 1.0, atol=1e-5)
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())
