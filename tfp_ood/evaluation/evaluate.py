# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""One evaluation for any model, any scores and any data."""

import copy
import os
import re

from tfp_ood import _protocol, stats
from tfp_ood._batches import as_dataset
from tfp_ood.evaluation._store import StatisticsStore
from tfp_ood.evaluation.evaluation import Evaluation

__all__ = ['evaluate']


def evaluate(
  distribution,
  scores,
  in_distribution,
  out_of_distribution,
  training=None,
  *,
  background=None,
  ensemble=(),
  statistics=None,
  classifier=None,
  keep=('log_prob',),
  limits=None,
  recommended=None,
  folder=None,
  verbose=True,
):
  """Scores data sets under a model, and puts together what the scores say.

  Each statistic is computed once, whatever number of scores read it. Scores that
  learn something learn it from `training`. p-values are those of a `Detector`
  calibrated with every second in-distribution example; the others are tested.

  Data are `tf.data.Dataset`s of batches of examples, or of tuples that start with
  them, or arrays.

  Args:
    distribution: the model: any object with `log_prob(x)`; see
      `tfp_ood.stats.Statistics`.
    scores: `dict` from names to `tfp_ood.stats.Score`s, or a list of them, named
      after their classes; others are compared with the first.
    in_distribution: data that no model was trained on, or a `dict` of one entry
      that gives them a name.
    out_of_distribution: `dict` from names to data.
    training: the training data, or a `dict` of one entry. May be left out if no
      score learns.
    background: the model of the background; see `LikelihoodRatio`.
    ensemble: models of the in-distribution examples; see `Waic`.
    statistics: `dict` of a user's own statistics; see `tfp_ood.stats.Statistics`.
    classifier: a classifier of the in-distribution examples; see
      `tfp_ood.stats.Statistics`.
    keep: names of statistics that are to be in the result, beside those that the
      scores read; those that the model does not have are left out.
    limits: `dict` from names of statistics to the number of examples of each data
      set that they are computed for at most, such as `{'optimized_log_prob': 500}`;
      scores that read them score as many.
    recommended: name of the score that the report is to begin with, beside the
      first.
    folder: where to keep statistics, so that an evaluation which was interrupted,
      or which is asked for more, computes what is missing. `None` for nowhere.
    verbose: Python `bool`, whether to print lines of progress.

  Returns:
    `Evaluation`.

  Raises:
    ValueError: if a score reads a statistic that there is not, a score learns and
      there are no training data, or a data set is empty.

  #### Example

  >>> import numpy as np
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> model = tfp.distributions.Sample(
  ...     tfp.distributions.Normal(128., 20.), [8, 8, 3])
  >>> evaluation = evaluate(
  ...     model,
  ...     [tfp_ood.stats.NegativeLogLikelihood()],
  ...     in_distribution=np.round(model.sample(100, seed=1)),
  ...     out_of_distribution={'gray': np.full([100, 8, 8, 3], 128.)},
  ...     verbose=False)
  >>> evaluation.aurocs()['negative_log_likelihood']['gray'].auroc
  0.0
  """
  scores = _named_scores(scores)
  if recommended is not None and recommended not in scores:
    raise ValueError(
      f'evaluate: `recommended` must be one of {", ".join(scores)}; got '
      f'{recommended!r}.'
    )
  data = {}
  (in_name,) = _add(data, in_distribution, 'in-distribution')
  training_names = [] if training is None else _add(data, training, 'training')
  others = _add(data, out_of_distribution, None)
  models = {
    'background': background,
    'ensemble': ensemble,
    'statistics': statistics,
    'classifier': classifier,
  }
  known = stats.Statistics(distribution, **models)
  for score in scores.values():
    known.check_names(score.statistics)
  read = [name for score in scores.values() for name in score.statistics]
  kept = [name for name in keep if name in known.names]
  store = StatisticsStore(
    known,
    None if folder is None else os.path.join(folder, 'statistics'),
    limits,
    verbose,
  )
  names = list(dict.fromkeys([*kept, *read]))
  values = {
    name: store.compute(name, dataset, names) for name, dataset in data.items()
  }
  scores = {
    name: _fitted(name, score, values, training_names)
    for name, score in scores.items()
  }

  def calibrated(score, part=slice(None)):
    detector = stats.Detector(distribution, scores[score], **models)
    inside = _of_score(scores[score], values[in_name])
    return detector.fit_statistics({k: v[part] for k, v in inside.items()})

  scored, p_values = {}, {}
  for name, score in scores.items():
    detector = calibrated(name, slice(None, None, 2))
    inputs = {d: _of_score(score, v) for d, v in values.items()}
    scored[name] = {d: detector.score_statistics(v) for d, v in inputs.items()}
    inputs[in_name] = {k: v[1::2] for k, v in inputs[in_name].items()}
    p_values[name] = {
      d: detector.p_value_of_statistics(v) for d, v in inputs.items()
    }
  return Evaluation(
    in_name,
    training_names[0] if training_names else None,
    others,
    values,
    scored,
    p_values,
    kept,
    event_size=_protocol.event_shape(distribution).num_elements(),
    recommended=recommended,
    make_detector=calibrated,
  )


def _named_scores(scores):
  """Returns scores by name, copies of those given."""
  if not isinstance(scores, dict):
    named = {_snake_case(type(score).__name__): score for score in scores}
    if len(named) != len(scores):
      raise ValueError(
        'evaluate: two scores are of one class; give `scores` as a dict by name.'
      )
    scores = named
  return {name: copy.deepcopy(score) for name, score in scores.items()}


def _snake_case(name):
  return re.sub(r'(?<!^)(?=[A-Z])', '_', name).lower()


def _add(data, new, default_name):
  """Adds data sets to a `dict`, and returns their names."""
  if not isinstance(new, dict):
    new = {default_name: new}
  for name, dataset in new.items():
    if name in data:
      raise ValueError(f'evaluate: two data sets have the name {name!r}.')
    data[name] = as_dataset(dataset)
  return list(new)


def _fitted(name, score, values, training_names):
  if not score.learns or score.is_fitted:
    return score
  if not training_names:
    raise ValueError(
      f'evaluate: the score {name!r} learns from training data; give `training`, '
      'or a score that was fitted.'
    )
  return score.fit(_of_score(score, values[training_names[0]]))


def _of_score(score, values):
  """The statistics that a score reads, of as many examples as have them all."""
  values = {name: values[name] for name in score.statistics}
  count = min(map(len, values.values()))
  return {name: v[:count] for name, v in values.items()}
