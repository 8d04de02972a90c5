import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from mmrot.errors import UserError
from mmrot.evaluation import knn
from mmrot.evaluation.knn import knn_accuracy, knn_predict, nearest_neighbours


def reference(queries, bank, k):
    """Sort all similarities of each query; of equal ones the lower index comes first."""
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, bank)]
    similarity = unit[0] @ unit[1].T
    return [sorted(range(len(bank)), key=lambda i: (-row[i], i))[:k] for row in similarity]


def test_neighbours_of_a_hand_made_bank():
    bank = np.array([[0.0, 3.0], [1.0, 0.0], [2.0, 2.0]])
    similarities, indices = nearest_neighbours(np.array([[5.0, 0.0]]), bank, 3)
    assert indices.tolist() == [[1, 2, 0]]
    torch.testing.assert_close(similarities, torch.tensor([[1.0, 0.5**0.5, 0.0]]))


@pytest.mark.parametrize('k', [1, 4, 7, 23, 60])
@pytest.mark.parametrize('blocks', [(1024, 65536), (5, 7), (3, 60)])
def test_neighbours_equal_those_of_a_full_sort(monkeypatch, k, blocks):
    monkeypatch.setattr(knn, '_QUERY_BLOCK', blocks[0])
    monkeypatch.setattr(knn, '_BANK_BLOCK', blocks[1])
    rng = np.random.default_rng(0)
    queries, bank = rng.normal(size=(17, 6)), rng.normal(size=(60, 6))
    assert nearest_neighbours(queries, bank, k)[1].tolist() == reference(queries, bank, k)


@pytest.mark.parametrize('bank_block', [65536, 4])
def test_equal_similarities_are_ordered_by_index(monkeypatch, bank_block):
    monkeypatch.setattr(knn, '_BANK_BLOCK', bank_block)
    # exact in float32: two directions, each many times
    bank = np.array([[0.0, 1.0], [2.0, 0.0]])[np.arange(30) % 2]
    queries = np.array([[1.0, 0.0], [0.0, 4.0]])
    for k in (1, 3, 15, 20, 30):
        assert nearest_neighbours(queries, bank, k)[1].tolist() == reference(queries, bank, k)


def test_votes_are_weighted_by_similarity():
    similarities = torch.tensor([[0.9, 0.5, 0.5]])
    labels = torch.tensor([[2, 1, 1]])
    assert knn_predict(similarities, labels, 3, temperature=None).tolist() == [1]
    # exp(0.4 / 0.5) = 2.23 outweighs two votes, exp(0.4 / 0.7) = 1.77 does not
    assert knn_predict(similarities, labels, 3, temperature=0.5).tolist() == [2]
    assert knn_predict(similarities, labels, 3, temperature=0.7).tolist() == [1]


def test_equal_votes_go_to_the_lowest_class():
    labels = torch.tensor([[3, 1, 3, 1], [0, 2, 1, 3]])
    assert knn_predict(torch.ones(2, 4), labels, 4, temperature=0.07).tolist() == [1, 0]


def test_small_temperature_does_not_overflow():
    labels = torch.tensor([[1, 0]])
    assert knn_predict(torch.tensor([[1.0, 0.9]]), labels, 2, temperature=1e-4).tolist() == [1]


def test_plain_vote_equals_scikit_learn():
    rng = np.random.default_rng(1)
    bank, queries = rng.normal(size=(300, 8)), rng.normal(size=(37, 8))  # fewer than 100
    labels, truth = rng.integers(0, 5, 300), rng.integers(0, 5, 37)
    ours = knn_accuracy(queries, truth, bank, labels, [1, 5, 20], temperature=None)
    for k, accuracy in ours.items():
        theirs = KNeighborsClassifier(k, metric='cosine').fit(bank, labels)
        assert accuracy == pytest.approx(100 * theirs.score(queries, truth))


def test_weighted_vote_equals_a_loop():
    rng = np.random.default_rng(2)
    bank, queries = rng.normal(size=(80, 4)), rng.normal(size=(30, 4))
    labels, truth = rng.integers(0, 3, 80), rng.integers(0, 3, 30)
    correct = 0
    for query, label in zip(queries, truth, strict=True):
        similarity = bank @ query / np.linalg.norm(bank, axis=1) / np.linalg.norm(query)
        votes = np.zeros(3)
        for index in np.argsort(-similarity)[:10]:
            votes[labels[index]] += np.exp(similarity[index] / 0.07)
        correct += votes.argmax() == label
    accuracy = knn_accuracy(queries, truth, bank, labels, [10], temperature=0.07)
    assert accuracy == {10: pytest.approx(100 * correct / 30)}


def test_reads_memory_maps(tmp_path):
    rng = np.random.default_rng(3)
    bank = rng.normal(size=(20, 3)).astype(np.float32)
    np.save(tmp_path / 'bank.npy', bank)
    mapped = np.load(tmp_path / 'bank.npy', mmap_mode='r')
    assert nearest_neighbours(mapped, mapped, 1)[1].squeeze(1).tolist() == list(range(20))


def test_values_that_are_not_finite_are_named():
    bank = np.ones((5, 2))
    bank[3, 1] = np.nan
    with pytest.raises(UserError, match='norm of bank vector 3 is not finite'):
        nearest_neighbours(np.ones((2, 2)), bank, 1)


def test_arguments_that_do_not_fit_are_named():
    ones, labels = np.ones((5, 2)), np.zeros(5, int)
    with pytest.raises(UserError, match='k=6 is not from 1 to 5'):
        nearest_neighbours(ones, ones, 6)
    with pytest.raises(UserError, match='Queries have 3 dimensions, the bank has 2'):
        nearest_neighbours(np.ones((5, 3)), ones, 1)
    with pytest.raises(UserError, match='5 bank vectors have 4 labels'):
        knn_accuracy(ones, labels, ones, labels[:4], [1])
    with pytest.raises(UserError, match='Labels of query vectors include -1'):
        knn_accuracy(ones, labels - 1, ones, labels, [1])
    for ks in ([], [3, 0]):
        with pytest.raises(UserError, match='not one or more positive integers'):
            knn_accuracy(ones, labels, ones, labels, ks)
    with pytest.raises(UserError, match='no query vectors'):
        knn_accuracy(ones[:0], labels[:0], ones, labels, [1])
