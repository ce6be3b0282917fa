"""The command `python -m eval MODEL [--on FILE…]`."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from detente.annotations import read_annotations
from detente.atomic import atomic_writer
from detente.errors import DetenteError, printable
from detente.inference import load_classifier
from detente.model import open_model
from eval.evaluate import (
    Result,
    measure_articles,
    measure_direction,
    measure_labelled,
    test_split,
    to_json,
    training_texts,
)
from eval.report import show
from eval.sets import DirectionSet, read_articles, read_set

ANNOTATIONS = Path("seeds/annotations.jsonl")
ARTICLES = Path("seeds/articles.jsonl")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m eval",
        description="Measure an exported model: macro-F1, precision, recall and F1 of each label, confusion matrix.",
        epilog="Without --on: the test split of the seeds, and their articles. With it: each file; annotation files "
        "that mark splits are measured on their test rows, PLOVER- and CAMEO-coded ones (column penta) by direction.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="model directory, such as models/default")
    parser.add_argument("--on", type=Path, nargs="+", metavar="FILE", default=[], help="files to measure on instead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results as JSON")
    parser.add_argument("--device", default="cpu", help="cpu (ONNX Runtime), cuda, or torch-cpu (fp32 torch)")
    options = parser.parse_args(arguments)
    try:
        model = open_model(options.model)
        classifier = load_classifier(model, options.device)
        trained_on = training_texts(model)
        results: list[Result] = []
        if options.on:
            for path in options.on:
                found = read_set(path)
                if isinstance(found, DirectionSet):
                    results.append(measure_direction(classifier, found, trained_on))
                else:
                    results.append(measure_labelled(classifier, test_split([path], found.annotations), trained_on))
        else:
            paths = [ANNOTATIONS, ARTICLES]
            results.append(measure_labelled(classifier, test_split(paths, read_annotations(paths)), trained_on))
            articles = read_articles(ARTICLES)
            test = [article for article in articles if article.split == "test"]
            results.append(measure_articles(classifier, "articles (test)", test))
            results.append(
                measure_articles(
                    classifier, f"articles (all; {len(articles) - len(test)} of them trained or tuned on)", articles
                )
            )
        Console().print(f"{options.model} ({model.version}), device {options.device}\n", highlight=False)
        show(results, Console())
        if options.json:
            with atomic_writer(options.json) as file:
                content = {"model": model.version, "device": options.device, "results": to_json(results)}
                file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    except DetenteError as error:
        for line in str(error).splitlines():
            print(f"eval: {printable(line)}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
