import numpy as np
import pytest

from mmrot.errors import UserError
from mmrot.evaluation.rank_me import rank_me


def matrix(*singular_values: float) -> np.ndarray:
    """A 20×8 matrix with these singular values; the others are zero."""
    rng = np.random.default_rng(0)
    u, _ = np.linalg.qr(rng.normal(size=(20, 8)))
    v, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    values = np.zeros(8)
    values[: len(singular_values)] = singular_values
    return u * values @ v.T


@pytest.mark.parametrize('rank', [1, 3, 8])
def test_equal_singular_values_give_the_rank(rank):
    assert rank_me(matrix(*[2.5] * rank)) == pytest.approx(rank)


def test_unequal_singular_values_give_the_exponential_of_their_entropy():
    p = np.array([0.5, 0.25, 0.25])
    assert rank_me(matrix(6, 3, 3)) == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert rank_me(matrix(6, 3, 3).astype(np.float32)) == pytest.approx(2**1.5, rel=1e-4)


@pytest.mark.parametrize(
    'embeddings', [np.zeros((0, 3)), np.ones(3), np.array([[1.0, np.nan]]), np.array([[np.inf]])]
)
def test_invalid_embeddings_are_an_error(embeddings):
    with pytest.raises(UserError, match='needs finite embeddings'):
        rank_me(embeddings)
