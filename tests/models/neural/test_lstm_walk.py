"""The compiled walk through an LSTM beside torch's, which any network has."""

import numpy as np
import pytest
import torch

from lmbench.models import make_model
from lmbench.models.neural.dynamic import DynamicEvaluation
from lmbench.models.neural.lstm_walk import LstmWalk
from lmbench.models.neural.stepping import AdaptingStepper
from lmbench.models.neural.walk import TorchWalk
from lmbench.text.tokens import Tokens

V = 11
KINDS = {
    "one-hot": {"embedding": 0},
    "embedded": {"embedding": 6, "direct": 3},
    "tied": {"embedding": 8},
    "no n-grams": {"embedding": 0, "direct": 0},
    "layers": {"embedding": 0, "layers": 3, "direct": 2},
}


def network_of(options, double=True):
    torch.manual_seed(0)
    model = make_model("lstm", hidden=8, **options)
    model.vocab_size = V
    network = model._network(torch.Generator().manual_seed(1))
    with torch.no_grad():
        for name, p in network.named_parameters():
            if name == "grams":  # which begin as nothing
                p.normal_(0.0, 0.5, generator=torch.Generator().manual_seed(2))
    return (network.double() if double else network).eval()


def adapting_of(network, rate=0.05, pull=0.3, segment=5):
    """Squares of all kinds: some so large that what they pull back is all, some 0."""
    drawn = torch.Generator().manual_seed(3)
    squares = [torch.empty_like(p).exponential_(generator=drawn).pow(4) for p in network.parameters()]
    for square in squares:
        square[torch.rand(square.shape, generator=drawn) < 0.1] = 0.0
    return DynamicEvaluation(network, squares, rate, pull, segment)


def documents(seed=0):
    """Of several lengths, in which n-grams come again after a while; one begins as if after nothing."""
    rng = np.random.default_rng(seed)
    lengths = (33, 4, 60, 5)
    return [
        np.append(-1 if n == 4 else 2, rng.choice(V, n, p=rng.dirichlet(np.full(V, 0.3)))) for n in lengths
    ]


@pytest.mark.parametrize("options", KINDS.values(), ids=list(KINDS))
def test_it_says_what_torch_says(options):
    network = network_of(options)
    walks = LstmWalk(network, None), TorchWalk(network, None)
    rng = np.random.default_rng(0)
    for document in documents():
        for walk in walks:
            walk.begin()
        for some in np.split(document, np.unique(rng.integers(1, len(document), 6))):
            one, other = (walk.feed(some) for walk in walks)
            np.testing.assert_allclose(one, other, atol=1e-12)
    assert isinstance(network.walk(), LstmWalk)


@pytest.mark.parametrize("options", KINDS.values(), ids=list(KINDS))
def test_it_learns_what_torch_learns(options):
    network = network_of(options)
    before = [p.detach().clone() for p in network.parameters()]
    adapting = adapting_of(network)
    walks = LstmWalk(network, adapting), TorchWalk(network, adapting)
    moved = 0.0
    for document in documents():
        for walk in walks:
            walk.begin()
        for begin in range(0, len(document) - 1, 5):
            inputs, targets = document[begin : begin + 5], document[begin + 1 : begin + 6]
            one, other = (walk.feed(inputs[: len(targets)], each=True) for walk in walks)
            np.testing.assert_allclose(one, other, atol=1e-10)
            if len(targets) == 5:
                for walk in walks:
                    walk.learn(targets)
            moved = max(moved, float(np.abs(one).max()))
    assert moved > 1.0
    assert all(torch.equal(p, w) for p, w in zip(network.parameters(), before, strict=True))


def test_a_segment_fed_at_once_or_token_by_token_gives_the_same_bits():
    network = network_of({"embedding": 6}, double=False)
    adapting = adapting_of(network, segment=6)
    one, other = (LstmWalk(network, adapting) for _ in range(2))
    document = documents()[2]
    for begin in range(0, 54, 6):
        inputs, targets = document[begin : begin + 6], document[begin + 1 : begin + 7]
        rows = one.feed(inputs, each=True)
        singly = [other.feed(inputs[i : i + 1]) for i in range(6)]
        assert rows.dtype == np.float64
        np.testing.assert_array_equal(rows, np.concatenate(singly))
        np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1.0, atol=1e-12)
        one.learn(targets)
        other.learn(targets)


@pytest.mark.parametrize("options", KINDS.values(), ids=list(KINDS))
def test_documents_read_in_pieces_give_the_bits_of_the_whole_text(options):
    # A reader comes to the last token of a document, which none is predicted from: what it reads there is read, not written.
    network = network_of(options, double=False)
    adapting, rng = adapting_of(network, rate=0.5), np.random.default_rng(0)
    some = [document[1:] for document in documents()]
    starts = np.cumsum([0, *map(len, some[:-1])])
    tokens = Tokens(np.concatenate(some).astype(np.int32), starts, 2)
    expected, place = adapting.score(tokens, whole=True), 0
    stepper = AdaptingStepper(make_model("lstm", hidden=8, **options), tokens.bos, adapting)
    for document in tokens.documents():
        stepper.begin()
        for piece in np.split(document, np.unique(rng.integers(1, len(document), 9))):
            np.testing.assert_array_equal(np.minimum(stepper._distribution(), 0.0), expected[place])
            stepper.read(piece)
            place += len(piece)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_where_nothing_can_be_learnt_nothing_moves(name):
    # Of one symbol all gradients are 0, and by the mean of their squares is divided.
    model = make_model(name, hidden=4, epochs=1, dynamic=0.001, dynamic_steps=2).fit([0] * 9, vocab_size=1)
    assert model.log_probs([0] * 7).tolist() == [0.0] * 7


def test_weights_beyond_bounds_are_no_probabilities():
    network = network_of({"embedding": 0}, double=False)
    with torch.no_grad():
        network.bias[3] = torch.nan
    assert np.isnan(LstmWalk(network, None).feed(np.array([1]))).all()
    with torch.no_grad():
        network.bias[3] = 0.0
        network.cells[0].weight_ih_l0.mul_(1e6)  # gates of exp(-1e6)
    one, other = (kind(network, None).feed(np.array([1, 2])) for kind in (LstmWalk, TorchWalk))
    np.testing.assert_allclose(one, other, atol=1e-5)
