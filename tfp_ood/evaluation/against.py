# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether a score follows something simple."""

import numpy as np
from scipy import stats as scipy_stats

from tfp_ood import reporting
from tfp_ood.evaluation._text import title

__all__ = ['scores_against']

_FEWEST = 5


def scores_against(evaluation, values, quantity, scores=None, num_bins=10):
  """Shows how scores go with a quantity that each example has.

  A score that follows the quantity closely says little else of an example.

  Args:
    evaluation: `Evaluation`.
    values: `dict` by data set of arrays `[num_examples]` of finite numbers, the
      quantity of each example, in the same order.
    quantity: `str`, what it is, with its unit.
    scores: list of names of scores. Default: all.
    num_bins: Python `int`: scores are averaged over examples of like values.

  Returns:
    `tfp_ood.reporting.Section`; its results are a `dict` of `dict`s by score and data
    set of `rank_correlation`, that of Spearman; `None` where either does not vary.

  #### Example

  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> model = tfp.distributions.Sample(tfp.distributions.Normal(0., 1.), [3])
  >>> data = {'known': model.sample(50, seed=1), 'new': model.sample(50, seed=2)}
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, {'nll': tfp_ood.stats.NegativeLogLikelihood()},
  ...     {'known': data['known']}, {'new': data['new']}, verbose=False)
  >>> length = {name: tf.norm(x, axis=-1).numpy() for name, x in data.items()}
  >>> section = scores_against(evaluation, length, 'length of the vector')
  >>> round(section.results['nll']['new']['rank_correlation'], 3)
  1.0
  """
  scores = list(evaluation.scores) if scores is None else scores
  edges = np.linspace(
    min(map(np.min, values.values())),
    max(map(np.max, values.values())),
    num_bins + 1,
  )
  middles = (edges[1:] + edges[:-1]) / 2
  section = reporting.Section(f'Scores against {quantity}')
  for score in scores:
    of_score = {name: evaluation.scores[score][name] for name in values}
    section.results[score] = {
      name: {'rank_correlation': _rank_correlation(values[name], found)}
      for name, found in of_score.items()
    }
    means = {
      name: _means(values[name], found, edges)
      for name, found in of_score.items()
    }
    is_shown = np.all(np.isfinite(list(means.values())), axis=0)
    if is_shown.any():
      section.add_figure(
        f'{score}_against_{quantity}',
        reporting.curve,
        f'Mean of the score {title(score)} by {quantity}, where each data set has '
        f'{_FEWEST} examples or more.',
        x=middles[is_shown],
        series_by_name={name: mean[is_shown] for name, mean in means.items()},
        xlabel=quantity,
        ylabel=f'score: {title(score)}',
      )
  section.add_table(
    ['score', *values],
    [
      [title(score), *(_text(f['rank_correlation']) for f in found.values())]
      for score, found in section.results.items()
    ],
    caption=f"Spearman's rank correlation of scores and {quantity}.",
  )
  return section


def _rank_correlation(values, scores):
  if np.ptp(values) == 0 or np.ptp(scores) == 0:
    return None
  return float(scipy_stats.spearmanr(values, scores).statistic)


def _means(values, scores, edges):
  """Means of the scores between each two edges, NaN where there are few."""
  bins = np.clip(np.digitize(values, edges) - 1, 0, len(edges) - 2)
  counts = np.bincount(bins, minlength=len(edges) - 1)
  sums = np.bincount(bins, weights=scores, minlength=len(edges) - 1)
  return np.where(counts >= _FEWEST, sums / np.maximum(counts, 1), np.nan)


def _text(correlation):
  return None if correlation is None else f'{correlation:.3f}'
