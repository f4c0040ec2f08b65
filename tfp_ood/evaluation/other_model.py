# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The same data under another model."""

from tfp_ood.evaluation._in_short import in_short
from tfp_ood.evaluation._tables import auroc_table

__all__ = ['other_model']


def other_model(evaluation, heading, name='other_model'):
  """Returns what another model makes of the same data, as a section.

  Args:
    evaluation: `Evaluation` of the other model, with data out of distribution.
    heading: `str`, the title of the section.
    name: `str`, of the figure's own file.

  Returns:
    `tfp_ood.reporting.Section`; its results are `dict`s of AUROCs by score and by
    data set.

  #### Example

  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> model = tfp.distributions.Sample(tfp.distributions.Normal(0., 1.), [3])
  >>> data = model.sample(50, seed=1)
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, {'likelihood': tfp_ood.stats.NegativeLogLikelihood()},
  ...     {'near': data}, {'far': data + 20.}, verbose=False)
  >>> other_model(evaluation, 'A normal').results
  {'likelihood': {'far': 1.0}}
  """
  section = in_short(evaluation, heading, name)
  section.add_table(*auroc_table(evaluation))
  section.results = {
    score: {name: found.auroc for name, found in by_dataset.items()}
    for score, by_dataset in evaluation.aurocs().items()
  }
  return section
