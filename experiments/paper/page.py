"""The page of a reproduction of the paper's experiments: its report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.paper.histories import Histories
from experiments.paper.precision import ClassificationPrecision
from experiments.paper.report import Report, WrongCategories
from experiments.paper.sift import Sift
from fashion16.estimate import Figure
from fashion16.evaluation import paper
from fashion16.evaluation.reproduction import OverSeeds, Searches, SizePoint

IN_SHORT = ("what", "the paper", "ours", "95 % interval", "sample")
HEAD = """\
# The paper's experiments on our data

Chen, He, Zheng, “Clothing image retrieval method based on deep learning”, Computer Systems & Applications 28(3), 2019,
[doi 10.15888/j.cnki.csa.006826](https://doi.org/10.15888/j.cnki.csa.006826), section 2, run by `make reproduce`
on data that anyone can get. Intervals are of 95 %; n is the sample. Written by the command, not by hand."""

DIFFERS = """\
- **Data.** The paper's photos of clothes are its own; these are the 70,000 gray pictures of 28×28 pixels of
  Fashion-MNIST in ten categories, of which the 10,000 published test pictures are asked about.
- **Size.** Above 70,000, items are **synthetic**: the embedding of a real training or validation picture and the
  change that a real distortion (turned, cropped, lit otherwise, saved as a poor JPEG) made of another one's embedding.
  They crowd as real ones do, but there are fewer different garments among them. No query is among them, nor a
  copy of it.
- **Network.** The paper's classifier is trained on its pictures. Here two networks are: the category network
  (table 1 alone), and a VGG-16 with an embedding of 256 values, 8-bit weights and a softmax head, which does
  everything else. Both were trained on all 55,000 training pictures, so that **precision by size varies the head and
  the gallery only, not the network**.
- **Search.** Hyperplane codes of the embeddings choose the candidates, as the paper's; the cosine of the embeddings
  ranks them.
- **Machine.** The paper's times are of 2019's computer; ours of the one below. Times of different machines compare
  methods only where the ratio is large."""


def page(report: Report) -> str:
    """The Markdown page of a report."""
    sections = [
        HEAD,
        _quick(report),
        "## In short\n\n" + _in_short(report),
        "## What differs from the paper\n\n" + DIFFERS + "\n\n" + _machine(report),
        "## Table 1 and figure 4: training\n\n" + _training(report.training),
        "## 2.1.1: classification\n\n" + _classification(report.classification),
        "## Table 2: precision by data size\n\n" + _sizes(report.retrieval_by_size),
        "## 2.1.3 and table 4: searched directly, and in the category\n\n" + _searches(report.searches),
        "## Table 3: SIFT against the network\n\n" + _sift(report.sift),
        "## Do categories keep apart what is different?\n\n" + _wrong(report.wrong_categories),
        "## The run\n\n" + _steps(report),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def in_short(report: Report) -> list[tuple[str, ...]]:
    """The figures that the paper has too, as words: what, the paper's, ours, its interval, its sample."""
    run = report.training.category_cnn
    trained = [paper.Training(run.name, run.result["seconds"])] if run and "seconds" in run.result else []
    table = paper.beside_us(report.classification.all, trained, report)
    rows: list[tuple[str, ...]] = []
    for found in table.to_dict("records"):

        def words(key: str, missing: str, found: dict[str, Any] = found) -> str:
            value = found[key]
            if value != value:
                return missing
            if found["unit"] == paper.SHARE:
                return f"{value:.4f}"
            return f"{value:,.0f} s" if value >= 100 else f"{value:.4g} s"

        interval = f"{words('low', '')} to {words('high', '')}" if found["low"] == found["low"] else ""
        n = f"{found['n']:,.0f}" if found["n"] == found["n"] else ""
        ours = words("ours", str(found["remark"]))
        rows.append((str(found["what"]), words("paper", "not known here"), ours, interval, n))
    return rows


def share(figure: Figure | None) -> str:
    """A share in percent, with its interval and sample."""
    if figure is None:
        return "–"
    return f"{100 * figure.value:.2f} % ({100 * figure.low:.2f}–{100 * figure.high:.2f}, n = {figure.n:,})"


def milliseconds(figure: Figure) -> str:
    """A time in milliseconds, with its interval and sample."""
    return f"{1000 * figure.value:.2f} ms ({1000 * figure.low:.2f}–{1000 * figure.high:.2f}, n = {figure.n:,})"


def _quick(report: Report) -> str:
    if not report.quick:
        return ""
    return "> **A quick run**: small samples, wide intervals, and no sizes above the collection's own."


def _in_short(report: Report) -> str:
    first = report.searches[0]
    note = (
        f"Times are from the photo's bytes to the results, at {first.items:,} real items. The classification is "
        "that of the served encoder and head."
    )
    return _table(IN_SHORT, in_short(report)) + "\n\n" + note + "\n\n" + _list(_worth(report))


def _worth(report: Report) -> Iterable[str]:
    """What the figures say of the method, a sentence each."""
    largest, wrong = report.searches[-1], report.wrong_categories
    whole = largest.direct.seconds.value / largest.in_category.seconds.value
    kind = "synthetic" if largest.synthetic else "real"
    yield (
        f"**Faster**: at {largest.items:,} {kind} items a search in the category is "
        f"{largest.direct_to_in_category:.1f} times as fast as a direct one, and {whole:.1f} times end to end, "
        "where the network's pass counts in both (the paper: 1.1 times)."
    )
    yield (
        f"**Cleaner**: {_percent(wrong.wrong_in_category)} of the results are of another category than the query, "
        f"and {_percent(wrong.wrong_direct)} of a direct search's."
    )
    of_wrong, again = wrong.wrong, wrong.found_again.wrong
    yield (
        f"**At a price**: {_percent(wrong.wrongly_classified)} of the queries are classified wrongly and find "
        "nothing of their own category. The second guess has it right for "
        f"{_percent(of_wrong.second_guess)} of them; of the results in all categories "
        f"{_percent(of_wrong.direct)} are right. A wrongly classified copy finds its original in the second "
        f"guess in {_percent(again.second_guess)}, and in all categories in {_percent(again.direct)} of cases."
    )


def _percent(figure: Figure | None) -> str:
    return "–" if figure is None else f"{100 * figure.value:.1f} %"


def _machine(report: Report) -> str:
    machine, sizes = report.machine, report.sizes
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    memory = machine.memory_bytes
    rows = [
        ("processor", f"{machine.cpu}, {machine.cores} cores"),
        ("memory", "unknown" if memory is None else f"{memory / 2**30:.1f} GB"),
        ("system", machine.system),
        ("versions", versions),
        ("commit", machine.git_commit or "unknown"),
        ("collection", f"{report.collection}: {report.items:,} items, {report.test_pictures:,} for testing"),
        ("encoder", report.encoder_digest),
        ("embeddings compared", report.embeddings_from),
        ("labels", f"revision {report.label_revision:,}"),
        ("seeds", f"{report.seed}; galleries by size: {', '.join(map(str, sizes.seeds))}"),
        ("measured", f"until {report.measured_at}"),
    ]
    return _table(("", ""), rows)


def _training(training: Histories) -> str:
    parts = []
    run = training.category_cnn
    if run is None:
        parts.append("No finished run of the category network with 20 epochs is there: `make reproduce TRAIN=1`.")
    else:
        result = run.result
        parts.append(
            f"**The category network**, run `{run.name}`: {share(run.accuracy)} of the test pictures, by the "
            f"epoch best on the validation split (number {result.get('best_epoch', 'unknown')}); "
            f"{result.get('seconds', 0):,.0f} s for {len(run.epochs)} epochs, where the paper took "
            f"{paper.TRAINING_TIME.value:,.0f} s for {paper.EPOCHS}."
        )
        parts.append(_epochs(run.epochs))
    if training.encoder:
        parts.append(
            "**The encoder** learns from photos and small pictures at once, which takes minutes an epoch: its runs "
            f"were begun with fewer epochs than the paper's {paper.EPOCHS}, so of its training the paper's length is "
            "not repeated."
        )
    for run in training.encoder:
        parts.append(f"Run `{run.name}`, {run.result.get('seconds', 0):,.0f} s:")
        parts.append(_epochs(run.epochs))
    return "\n\n".join(parts)


def _epochs(epochs: Sequence[Mapping[str, Any]]) -> str:
    if not epochs:
        return "Its history is empty."
    columns = [name for name in epochs[0] if name != "epoch"]
    rows = [
        (
            str(int(row["epoch"]) + 1),
            *(f"{row[c]:,.0f}" if c == "seconds" else f"{row[c]:.4f}" for c in columns),
        )
        for row in epochs
    ]
    return _table(("epoch", *(name.replace("_", " ").replace("val ", "validation ") for name in columns)), rows)


def _classification(found: ClassificationPrecision) -> str:
    of_samples = found.samples
    return (
        f"m/k over all test pictures: **{share(found.all)}**; the paper: {100 * paper.CLASSIFICATION.value:.2f} %. "
        f"As the paper does it, on random samples: the mean of {of_samples.samples:,} samples of "
        f"{of_samples.n:,} pictures is {100 * of_samples.value:.2f} %, and 95 % of the samples lie between "
        f"{100 * of_samples.low:.2f} and {100 * of_samples.high:.2f} %: so far apart may two such figures lie "
        "that measure the same."
    )


def _sizes(points: Sequence[SizePoint]) -> str:
    rows = [
        (
            f"{point.items:,}",
            f"{share(point.precision_at_20)}, {_spread(point.precision_at_20)}",
            f"{share(point.classification)}, {_spread(point.classification)}",
            f"{100 * point.direct.value:.2f} %",
            f"{100 * point.without_labels.value:.2f} %",
        )
        for point in points
    ]
    known = ", ".join(f"{figure.value:.4f} at {figure.items:,}" for figure in paper.RETRIEVAL)
    table = _table(("pictures", "precision@20", "classification", "direct", "gallery without labels"), rows)
    return (
        f"{table}\n\nThe paper: {known}. Each size takes the first pictures of the training and validation splits in "
        "random order, another one for each seed; after the interval stand the lowest and the highest of a seed. At "
        "60,000 all seeds have the same pictures. Where items lie in the categories of their labels, all results of a "
        "search in the predicted category are right, or none is: precision is then the share of queries that are "
        "classified rightly. *Direct* is precision@20 in all categories at once; *gallery without labels* is "
        "precision@20 in the predicted category where each item lies where the head puts it."
    )


def _spread(figure: OverSeeds) -> str:
    return f"{100 * figure.lowest:.2f}–{100 * figure.highest:.2f}"


def _searches(searches: Sequence[Searches]) -> str:
    rows = []
    for found in searches:
        for its, name in ((found.in_category, "in the category"), (found.direct, "directly")):
            rows.append(
                (
                    f"{found.items:,}" + (" synthetic" if found.synthetic else " real"),
                    name,
                    milliseconds(its.search_seconds),
                    milliseconds(its.seconds),
                    share(its.precision_at_20),
                    share(its.recall_at_20),
                    share(its.recall_of_everything),
                    f"{its.candidates:,.0f}",
                )
            )
    heads = ("items", "searched", "search only", "end to end", "precision@20", "recall@20", "of everything's", "codes")
    times = [
        f"{found.items:,}: directly takes {found.direct_to_in_category:.1f} times as long as in the category"
        + ("" if found.load_before is None else f" (load of the machine before: {found.load_before:.1f})")
        for found in searches
    ]
    return (
        f"{_table(heads, rows)}\n\nMeans of random test pictures, one at a time; end to end is from the photo's bytes "
        "to results. *Recall@20* is against the exact 20 nearest by cosine where it was searched, *of everything's* "
        "against those in all categories; *codes* are those compared. The paper: "
        "3.2416 s in the category, 3.6375 s directly, 1.1 times as long. Search only:\n\n" + _list(times)
    )


def _sift(sift: Sift) -> str:
    if sift.cnn is None:
        return f"Not measured: {sift.missing}"
    rows = [
        (
            method.name,
            share(method.accuracy),
            share(method.precision_at_20_in_category),
            share(method.precision_at_20_direct),
            f"{100 * method.without_descriptors:.1f} %",
            f"{method.ms_per_picture:.2f}",
            f"{method.dimensions:,}",
        )
        for method in [sift.cnn, *sift.methods]
    ]
    heads = ("features", "classification", "precision@20", "direct", "without descriptors", "ms a picture", "values")
    return (
        f"{_table(heads, rows)}\n\nThe paper: 0.8940 with SIFT, 0.9271 with its network. All features get the same "
        "head and the same retrieval; their settings are chosen on the validation split; pictures without descriptors "
        "count as errors. HOG with a support vector machine is reported at 0.926 elsewhere. *ms a picture* is the "
        "time to its vector. The figure above is that of the SIFT method that is most often right."
    )


def _wrong(found: WrongCategories) -> str:
    rows = [
        (
            name,
            share(its.first_guess),
            share(its.second_guess),
            share(its.direct),
        )
        for name, its in (("classified rightly", found.right), ("classified wrongly", found.wrong))
    ]
    again = [
        (
            name,
            share(its.first_guess),
            share(its.second_guess),
            share(its.two_guesses),
            share(its.direct),
        )
        for name, its in (("all", found.found_again.all), ("classified wrongly", found.found_again.wrong))
    ]
    return (
        f"Of the 20 results, of another category than the query: directly **{share(found.wrong_direct)}**, in the "
        f"predicted category **{share(found.wrong_in_category)}**. Classified wrongly: "
        f"{share(found.wrongly_classified)} of the queries, and then all results of the first guess are wrong. "
        "Precision@20 by where is searched:\n\n"
        + _table(("queries", "first guess", "second guess", "all categories"), rows)
        + "\n\nDistorted copies of items in the index that find their originals among 20 results:\n\n"
        + _table(("copies", "first guess", "second guess", "first two guesses", "all categories"), again)
    )


def _steps(report: Report) -> str:
    rows = [(name, f"{step.seconds:,.0f}", step.measured_at) for name, step in report.steps.items()]
    total = sum(step.seconds for step in report.steps.values())
    peak = report.machine.peak_memory_bytes
    memory = "" if peak is None else f" The process that wrote this page had {peak / 2**30:.1f} GB of memory at most."
    return _table(("step", "seconds", "measured at"), [*rows, ("all", f"{total:,.0f}", "")]) + (
        f"\n\nAgain: `make reproduce`; in minutes, on small samples: `make reproduce QUICK=1`. A step that "
        f"was measured on the same is not run again: remove `data/reproduction/` to measure everything again.{memory}"
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a cell's own bars and line ends would end it."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
