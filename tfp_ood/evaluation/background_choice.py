# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Choosing a background model by data that are not reported."""

import collections

import numpy as np

from tfp_ood import reporting, stats
from tfp_ood._batches import as_dataset, images_of
from tfp_ood.evaluation._text import estimate

__all__ = ['BackgroundChoice', 'choose_background']


class BackgroundChoice(
  collections.namedtuple('BackgroundChoice', ['name', 'section'])
):
  """What `choose_background` returns.

  Attributes:
    name: that of the background model which was chosen.
    section: `tfp_ood.reporting.Section` with the table that it was chosen by; its
      results are `chosen`, the name, and `auroc`, with its interval, by background
      model and by data set.
  """


def choose_background(
  distribution, backgrounds, in_distribution, out_of_distribution
):
  """Chooses the background model whose likelihood ratio tells data sets apart best.

  How much to mutate the training data of a background model, and how much to decay
  its weights, is chosen by data out of distribution [1]: take others than those to be
  reported. The model with the largest mean AUROC over the data sets is chosen.

  Args:
    distribution: the model of the in-distribution examples; see
      `tfp_ood.stats.Statistics`.
    backgrounds: `dict` of background models, by names that tell them apart, such as
      the rates of mutation.
    in_distribution: data that all models saw alike: `tf.data.Dataset` of batches, or
      array.
    out_of_distribution: `dict` of others by name, not those to be reported.

  Returns:
    `BackgroundChoice`.

  Raises:
    ValueError: if there is no background model or no data set to choose by.

  #### Example

  >>> import tensorflow_probability as tfp
  >>> tfd = tfp.distributions
  >>> model = tfd.Sample(tfd.Normal(0., 1.), [8])
  >>> backgrounds = {
  ...     'moved': tfd.Sample(tfd.Normal(1., 1.), [8]),
  ...     'wide': tfd.Sample(tfd.Normal(0., 4.), [8])}
  >>> inside, outside = model.sample(50, seed=1), 2. * model.sample(50, seed=2)
  >>> choose_background(model, backgrounds, inside, {'wide': outside}).name
  'wide'

  #### References

  [1]: Jie Ren et al. Likelihood Ratios for Out-of-Distribution Detection. _Neural
       Information Processing Systems_, 2019. https://arxiv.org/abs/1906.02845
  """
  if not backgrounds or not out_of_distribution:
    raise ValueError(
      'choose_background: `backgrounds` and `out_of_distribution` must hold at least '
      f'one each; got {len(backgrounds)} and {len(out_of_distribution)}.'
    )
  log_prob = _log_probs(distribution, in_distribution, out_of_distribution)
  aurocs = {}
  for name, background in backgrounds.items():
    of_background = _log_probs(background, in_distribution, out_of_distribution)
    inside, *others = (
      stats.likelihood_ratio(*pair).numpy()
      for pair in zip(log_prob, of_background, strict=True)
    )
    aurocs[name] = {
      dataset: stats.auroc_confidence_interval(inside, values)
      for dataset, values in zip(out_of_distribution, others, strict=True)
    }

  def mean(name):
    return np.mean([found.auroc for found in aurocs[name].values()])

  chosen = max(aurocs, key=mean)
  return BackgroundChoice(chosen, _section(chosen, aurocs))


def _log_probs(model, in_distribution, out_of_distribution):
  """The log-probabilities of all data sets, a list of arrays."""
  statistics = stats.Statistics(model)
  return [
    np.concatenate(
      [
        statistics(images_of(batch), ['log_prob'])['log_prob']
        for batch in as_dataset(data)
      ]
    )
    for data in (in_distribution, *out_of_distribution.values())
  ]


def _section(chosen, aurocs):
  section = reporting.Section(
    'Which background model?',
    {
      'chosen': chosen,
      'auroc': {
        name: {d: found._asdict() for d, found in by_dataset.items()}
        for name, by_dataset in aurocs.items()
      },
    },
  )
  section.add_table(
    ['background', *next(iter(aurocs.values()))],
    [
      [
        f'{name}{", chosen" if name == chosen else ""}',
        *(estimate(found.auroc, found) for found in by_dataset.values()),
      ]
      for name, by_dataset in aurocs.items()
    ],
    caption='AUROC of the likelihood ratio, by which the background model was chosen: '
    'of data sets that are not among those reported.',
  )
  return section
