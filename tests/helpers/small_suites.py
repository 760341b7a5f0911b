"""Suites of a few small models on the ferry, and what running them left."""

from paths import GOLDEN

from lmbench.bench.runner import measure_suite
from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.bench.watch import Watch

TINY = {"hidden": 4, "epochs": 1, "batch": 4, "steps": 8}

FERRY = CorpusSpec(
    "ferry", documents="line", train=str(GOLDEN / "ferry.train.txt"), test=str(GOLDEN / "ferry.test.txt")
)


def suite_of(*models, **more):
    return Suite(name="small", corpora=[FERRY], models=[ModelSpec(*m) for m in models], **more)


def results_in(folder, suite, **more):
    outcome = measure_suite(suite, folder, **more)
    return outcome, outcome.results()[0]


def failing(how):
    return ("odd_models:Failing", how, "char", {"how": how})


class Log(Watch):
    def __init__(self):
        self.fresh, self.said = [], {}

    def done(self, cell, outcome, fresh):
        self.said[cell.label] = outcome
        if fresh:
            self.fresh.append(cell.label)
