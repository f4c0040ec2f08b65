# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of draws of classes."""

import numpy as np
import pytest
import tensorflow as tf
from integration.python_runs import run_python
from scipy import stats

from tfp_ood.distributions.categorical import Categorical

_PROBS = [0.5, 0.3, 0.0, 0.15, 0.05]
_NUM_DRAWS = 50_000


@pytest.mark.parametrize('dtype', [tf.bfloat16, tf.float32, tf.float64])
def test_draws_have_their_probabilities(dtype):
  probs = tf.constant(_PROBS, dtype)
  draws = Categorical(logits=tf.math.log(probs)).sample(_NUM_DRAWS, seed=1)
  counts = np.bincount(draws, minlength=5)
  assert counts[2] == 0
  seen = counts > 0
  expected = tf.nn.softmax(tf.cast(tf.math.log(probs), tf.float64)).numpy()
  assert (
    stats.chisquare(counts[seen], _NUM_DRAWS * expected[seen]).pvalue > 1e-3
  )


def test_draws_of_a_batch_are_independent():
  logits = tf.math.log(tf.constant([_PROBS, _PROBS[::-1]]))
  draws = Categorical(logits, dtype=tf.int64).sample(_NUM_DRAWS, seed=1)
  assert draws.shape == [_NUM_DRAWS, 2]
  assert draws.dtype == tf.int64
  # The second distribution is the first in reverse.
  one, other = draws[:, 0], 4 - draws[:, 1]
  table = np.histogram2d(one, other, bins=range(6))[0]
  table = table[table.any(axis=1)][:, table.any(axis=0)]
  assert stats.chi2_contingency(table).pvalue > 1e-3


def test_the_same_draws_under_xla():
  logits = tf.random.stateless_normal([300, 7], [1, 2])

  def draw():
    return Categorical(logits).sample(5, seed=3)

  np.testing.assert_array_equal(tf.function(draw, jit_compile=True)(), draw())


@pytest.mark.slow
def test_the_same_draws_with_any_number_of_threads(tmp_path):
  script = tmp_path / 'draw.py'
  script.write_text(
    'import hashlib, tensorflow as tf\n'
    'from tfp_ood.distributions.categorical import Categorical\n'
    'draws = Categorical(tf.zeros([100_000, 2])).sample(seed=0)\n'
    'print(hashlib.sha256(draws.numpy().tobytes()).hexdigest())\n',
    encoding='utf-8',
  )
  digests = {
    run_python([script], tmp_path, TF_NUM_INTRAOP_THREADS=number).stdout
    for number in ('1', '4')
  }
  assert len(digests) == 1
  assert len(digests.pop().strip()) == 64
